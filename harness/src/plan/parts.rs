//! What a run is made of, wherever it came from.

use std::path::{Path, PathBuf};

use super::ProvisionedImage;
use crate::board::PartFile;
use crate::error::RunError;
use crate::machine::QemuProgram;
use crate::report::PartVersion;
use crate::services::{Blob, OciImage};

/// The foreign parts of a run. `fixtures` makes them; the harness only uses them.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The emulator.
    pub qemu: QemuProgram,
    /// The disk image, which is only read: the run makes its card of a copy.
    pub image: PathBuf,
    /// How to get that image, for who has none.
    pub image_source: String,
    /// What is known of an image that was provisioned already; `None` for a prebuilt one, which the run provisions.
    pub provisioned: Option<ProvisionedImage>,
    /// The files that the board's firmware is made of.
    pub firmware: Vec<(PartFile, PathBuf)>,
    /// The Linux kernel that the boot server hands out.
    pub kernel: PathBuf,
    /// The initramfs that the boot server hands out.
    pub initramfs: PathBuf,
    /// How to get that initramfs.
    pub initramfs_source: String,
    /// More files that the boot server hands out, by their path below `/files`.
    pub files: Vec<(String, Blob)>,
    /// The container image that the registry hands out.
    pub container: Container,
    /// Every part with version and digest, for the report.
    pub versions: Vec<PartVersion>,
}

impl Parts {
    /// Where a file of the board's firmware is.
    ///
    /// # Errors
    /// [`RunError::NoPart`].
    pub(crate) fn file(&self, file: &PartFile) -> Result<&Path, RunError> {
        let mut all = self.firmware.iter();
        let found = all.find(|(named, _)| named == file);
        found
            .map(|(_, path)| path.as_path())
            .ok_or_else(|| RunError::NoPart {
                set: file.set.to_string(),
                path: file.path.clone(),
            })
    }
}

/// The container image that the registry hands out.
#[derive(Debug, Clone)]
pub struct Container {
    /// The image without the run's nonce.
    pub image: OciImage,
    /// What it is and where it comes from, in a line.
    pub source: String,
    /// It stands in for the real image.
    pub stand_in: bool,
}
