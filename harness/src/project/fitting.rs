//! Which scenarios a provisioned image can boot in.

use super::error::ProjectError;
use super::selection::Runs;
use crate::board::Board;
use crate::plan::ProvisionedImage;
use crate::scenario::Scenario;

/// The runs of `selected` that a provisioned image can boot in, and what people are told: what is left out, and what a run cannot show if it
/// has no boot server of the user's own.
///
/// # Errors
/// The image fits none of them.
pub fn fitting<'a>(
    selected: Runs<'a>,
    image: &ProvisionedImage,
    own_boot_server: bool,
) -> Result<(Runs<'a>, Vec<String>), ProjectError> {
    let fits = |(scenario, _): &(&Scenario, &Board)| scenario.boot.transport == image.transport();
    let (fitting, others): (Vec<_>, Vec<_>) = selected.into_iter().partition(fits);
    if fitting.is_empty() {
        return Err(ProjectError::OtherWayToBoot);
    }
    let mut notes = Vec::new();
    if let ProvisionedImage::Https { server, .. } = image {
        notes.push(match own_boot_server {
            true => format!("the image is provisioned for {server}, and keeps its trust"),
            false => format!(
                "the image is provisioned for {server}; the run plays this server, and a copy of the image trusts its CA"
            ),
        });
    }
    let untested = if own_boot_server {
        &[]
    } else {
        image.untested()
    };
    notes.extend(
        untested
            .iter()
            .map(|untested| format!("not tested: {untested}")),
    );
    notes.extend(others.iter().map(|(scenario, _)| {
        format!(
            "{} is left out: the image is provisioned for another way to boot",
            scenario.name
        )
    }));
    Ok((fitting, notes))
}
