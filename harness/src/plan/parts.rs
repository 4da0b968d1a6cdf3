//! What a run is made of, wherever it came from.

use std::path::PathBuf;

use super::ProvisionedImage;
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
