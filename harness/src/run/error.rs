//! Why a run could not take place. What goes wrong *during* a run is a [`Failure`](crate::report::Failure) instead.

use std::io;
use std::path::PathBuf;

/// A run that could not take place.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run's folder could not be used.
    #[error("cannot write to the run's folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The image could not be provisioned.
    #[error(transparent)]
    Image(#[from] crate::image::ImageError),
    /// The firmware stage is stuck, as the real firmware would be.
    #[error(transparent)]
    Firmware(#[from] crate::machine::FirmwareError),
    /// The device tree could not be edited.
    #[error(transparent)]
    DeviceTree(#[from] crate::machine::DeviceTreeError),
    /// The emulator could not be started.
    #[error(transparent)]
    Machine(#[from] crate::machine::MachineError),
    /// A server could not be started.
    #[error(transparent)]
    Services(#[from] crate::services::Error),
    /// The LAN could not be started.
    #[error(transparent)]
    Lan(#[from] crate::lan::Error),
}
