//! Why a run could not take place. What goes wrong *during* a run is a [`Failure`](crate::report::Failure) instead.

use std::io;
use std::path::PathBuf;

use crate::report::Class;

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
    /// The certificate authority cannot be put into an archive.
    #[error(transparent)]
    Cpio(#[from] crate::cpio::CpioError),
    /// The scenario's boot server cannot be written into a boot script.
    #[error(transparent)]
    Server(#[from] crate::image::script::BadServer),
    /// The board's definition has a vendor prefix that is none.
    #[error(
        "boards/{board}.toml: nic.oui \"{oui}\" is not a vendor prefix; write three bytes as in \"b8:27:eb\""
    )]
    Oui {
        /// The board.
        board: String,
        /// What its definition says.
        oui: String,
    },
    /// The image was provisioned for another transport than the scenario's.
    #[error(
        "the image was provisioned for another way to boot than the one of scenario {scenario}; give the prebuilt image, or another scenario"
    )]
    Transport {
        /// The scenario.
        scenario: String,
    },
    /// The scenario tests a client certificate that the given image does not have.
    #[error(
        "the image has a client certificate of its own, and scenario {scenario} wants another; give the prebuilt image, or another scenario"
    )]
    ClientCertificate {
        /// The scenario.
        scenario: String,
    },
    /// A checkpoint is damaged, or was written by another QEMU.
    #[error("cannot go on from the checkpoint {}; remove this folder, or boot the board in whole with --no-checkpoints: {source}", folder.display())]
    BadCheckpoint {
        /// Its folder.
        folder: PathBuf,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The firmware stage is stuck, as the real firmware would be.
    #[error(transparent)]
    Firmware(#[from] crate::image::boot::FirmwareError),
    /// The device tree could not be edited.
    #[error(transparent)]
    DeviceTree(#[from] crate::image::boot::device_tree::DeviceTreeError),
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

impl RunError {
    /// Whose fault it most likely is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Image(_) | Self::Firmware(_) | Self::DeviceTree(_) => Class::Image,
            Self::Machine(_) | Self::BadCheckpoint { .. } => Class::Emulator,
            Self::Services(_) | Self::Lan(_) => Class::Server,
            Self::Folder { .. }
            | Self::Cpio(_)
            | Self::Server(_)
            | Self::Oui { .. }
            | Self::Transport { .. }
            | Self::ClientCertificate { .. } => Class::Host,
        }
    }
}
