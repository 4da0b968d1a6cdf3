//! Holding an image that somebody gives to the specification, before it is booted.

use std::time::SystemTime;

use crate::error::RunError;
use crate::image::source;
use crate::plan::{ImageCheck, Job};
use crate::survey::{Level, VerifyOptions, verify};
use crate::timeline::Timeline;

/// Puts what is wrong with the image onto the timeline.
///
/// # Errors
/// The image cannot be read, or breaks a rule that binds and is not to be booted anyway.
pub(super) fn check_image(job: &Job<'_>, timeline: &Timeline) -> Result<(), RunError> {
    if job.extras.image_check == ImageCheck::None {
        return Ok(());
    }
    let model = job.board.firmware.model();
    let options = VerifyOptions {
        models: model.as_slice(),
        rom_reads_mbr_only: job.board.image.rom_reads_mbr_only,
        now: SystemTime::now(),
    };
    let found = verify(&source::open(&job.parts.image)?, &options)?;
    let mut broken = Vec::new();
    for violation in &found.violations {
        match violation.level {
            Level::Must => broken.push(violation.to_string()),
            Level::Should => timeline.note("image", format!("advice: {violation}")),
        }
    }
    for violation in &broken {
        timeline.note("image", format!("breaks the specification: {violation}"));
    }
    if broken.is_empty() || job.extras.image_check == ImageCheck::BootAnyway {
        return Ok(());
    }
    Err(RunError::Broken(broken))
}
