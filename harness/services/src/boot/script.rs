//! The client's own templates, `boot.ipxe` and `secrets`: reading them, and what iPXE is told when one cannot be had.

use std::collections::BTreeMap;

use super::path::FilePath;
use super::template::render;
use super::{Client, DataRoot};
use crate::Error;

/// The longest template in bytes. It is held in memory, here and in iPXE.
const LIMIT: u64 = 256 * 1024;

/// Renders the template at `path` of a client's folder.
///
/// # Errors
/// There is no such template, or it cannot be read or is no text.
pub(super) async fn rendered(
    root: &DataRoot,
    client: Client,
    path: &str,
    variables: &BTreeMap<String, String>,
) -> Result<String, Error> {
    let blob = root.file(client, &FilePath::new(path)?).await?;
    let blob = blob.ok_or_else(|| Error::NoTemplate {
        name: path.into(),
        client: client.to_string(),
    })?;
    if blob.len() > LIMIT {
        return Err(Error::TemplateTooLong {
            name: path.into(),
            found: blob.len(),
            limit: LIMIT,
        });
    }
    let bytes = blob.read().await?;
    let template = str::from_utf8(&bytes).map_err(|source| Error::TemplateNotText {
        name: path.into(),
        source,
    })?;
    Ok(render(template, variables))
}

/// A script that shows the error. Only characters without a meaning to iPXE are kept.
pub(super) fn error_script(error: &Error) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || " .,:/_-()".contains(c) {
            c
        } else {
            ' '
        }
    };
    let text: String = error.for_clients().chars().map(plain).collect();
    format!("#!ipxe\n\necho The boot server cannot render boot.ipxe: {text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_a_script_that_cannot_do_anything_else() {
        let error = Error::NoTemplate {
            name: "boot.ipxe".into(),
            client: "x\nshell ${net0/mac} || poweroff && `a` 'b' \"c\"".into(),
        };
        insta::assert_snapshot!(error_script(&error), @r"
        #!ipxe

        echo The boot server cannot render boot.ipxe: there is no boot.ipxe for x shell   net0/mac     poweroff     a   b   c : add one to the client s folder in the data root
        ");
    }
}
