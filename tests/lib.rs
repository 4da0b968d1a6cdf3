//! Shared by the trials: where the project is, and the programs that they drive.

pub mod namespace;
mod tool;

use std::path::{Path, PathBuf};

pub use tool::{Tool, trial_with};

/// The folder that holds `boards` and `scenarios`.
#[must_use]
pub fn project_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
