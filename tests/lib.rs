//! Shared by the trials: where the project is.

use std::path::{Path, PathBuf};

/// The folder that holds `boards` and `scenarios`.
#[must_use]
pub fn project_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
