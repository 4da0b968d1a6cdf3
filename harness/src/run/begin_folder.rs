//! The beginning of a run's folder.

use std::fs;

use crate::error::RunError;
use crate::folder::RunFolder;
use crate::plan::Job;

/// Creates the run's folder, which says what run it is of.
///
/// # Errors
/// It cannot be created or written.
pub(super) fn begin_folder(job: &Job<'_>) -> Result<(), RunError> {
    let in_folder = |source| RunError::Folder {
        path: job.folder.clone(),
        source,
    };
    RunFolder::create(&job.folder).map_err(in_folder)?;
    let identity = format!("scenario {}\nboard {}\n", job.scenario.name, job.board.name);
    fs::write(job.folder.join(RunFolder::IDENTITY), identity).map_err(in_folder)
}
