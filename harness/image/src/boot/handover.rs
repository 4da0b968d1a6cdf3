//! What the firmware hands over, as files of the host.

use std::path::{Path, PathBuf};

use super::evaluate::{BootFile, Evaluation, HeaderUart, Stage, evaluate};
use super::{CONFIG_TXT, FirmwareError};
use crate::Disk;
use crate::config_txt::{Config, Hardware};

/// What the firmware hands over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareHandover {
    /// The boot loader or kernel.
    pub kernel: PathBuf,
    /// Its name on the firmware partition.
    pub kernel_name: String,
    /// The device tree, with the overlays that apply.
    pub device_tree: PathBuf,
    /// Its name on the firmware partition.
    pub device_tree_name: String,
    /// The initial RAM file system, joined of all files that are named.
    pub initramfs: Option<PathBuf>,
    /// The kernel's command line, one line.
    pub cmdline: Option<String>,
    /// The UART on the board's header.
    pub uart: HeaderUart,
    /// The settings that led here.
    pub config: Config,
    /// What the real firmware does and this stage does not, or what it passes over in silence; for people to read.
    pub notes: Vec<String>,
}

/// Does what the firmware of `hardware` would do with `image`, and leaves kernel, device tree and initramfs in `directory`.
///
/// # Errors
/// [`FirmwareError`], which says where the real firmware would have stopped.
pub fn start(
    image: &Path,
    hardware: &Hardware,
    directory: &Path,
) -> Result<FirmwareHandover, FirmwareError> {
    evaluate(&Disk::open(image)?, hardware).hand_over(directory)
}

impl Evaluation {
    /// Writes what the board starts with into `directory`.
    ///
    /// # Errors
    /// The first of [`Evaluation::stops`], or [`FirmwareError::Write`].
    pub fn hand_over(mut self, directory: &Path) -> Result<FirmwareHandover, FirmwareError> {
        // What stops a board comes before what stops the emulation.
        self.stops
            .sort_by_key(|(stage, _)| *stage == Stage::Emulation);
        if let Some((_, error)) = self.stops.into_iter().next() {
            return Err(error);
        }
        let file = |file: Option<BootFile>, name: &str| {
            let BootFile {
                name: from,
                contents,
            } = file?;
            Some(write(directory.join(name), &contents).map(|path| (path, from)))
        };
        let missing = |what: &str| FirmwareError::Unsupported {
            what: format!("a start without {what}"),
            reason: CONFIG_TXT.into(),
        };
        let (kernel, kernel_name) =
            file(self.kernel, "kernel").ok_or_else(|| missing("a kernel"))??;
        let (device_tree, device_tree_name) =
            file(self.device_tree, "device-tree.dtb").ok_or_else(|| missing("a device tree"))??;
        let initramfs = file(self.initramfs, "initramfs").transpose()?;
        Ok(FirmwareHandover {
            kernel,
            kernel_name,
            device_tree,
            device_tree_name,
            initramfs: initramfs.map(|(path, _)| path),
            cmdline: self.cmdline,
            uart: self.uart,
            config: self.config.unwrap_or_default(),
            notes: self.notes,
        })
    }
}

fn write(path: PathBuf, contents: &[u8]) -> Result<PathBuf, FirmwareError> {
    match std::fs::write(&path, contents) {
        Ok(()) => Ok(path),
        Err(source) => Err(FirmwareError::Write { path, source }),
    }
}
