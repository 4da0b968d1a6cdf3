//! Why the board would not start.

use std::io;
use std::path::PathBuf;

use super::CONFIG_TXT;
use crate::ImageError;
use crate::config_txt::ConfigError;

/// Why the board would not start.
#[derive(Debug, thiserror::Error)]
pub enum FirmwareError {
    /// The image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// `config.txt` cannot be read.
    #[error("{CONFIG_TXT} in partition {partition}: {source}")]
    Config {
        /// Partition number.
        partition: u32,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// A file is missing.
    #[error("partition {partition} has no {file} ({reason}); the real firmware would stop here")]
    Missing {
        /// Partition number.
        partition: u32,
        /// The file's path.
        file: String,
        /// What asks for it.
        reason: String,
    },
    /// A file is there and holds nothing.
    #[error(
        "{file} in partition {partition} is empty ({reason}); the real firmware would stop here"
    )]
    Empty {
        /// Partition number.
        partition: u32,
        /// The file's path.
        file: String,
        /// What asks for it.
        reason: String,
    },
    /// The settings ask for something that has no counterpart under QEMU.
    #[error("{reason}: {what} is not emulated; take the line out to run this image here")]
    Unsupported {
        /// What is asked for.
        what: String,
        /// The line that asks for it.
        reason: String,
    },
    /// A file of the host could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FirmwareError {
    /// The file on the firmware partition that it is about.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Missing { file, .. } | Self::Empty { file, .. } => Some(file),
            Self::Config { .. } | Self::Unsupported { .. } => Some(CONFIG_TXT),
            Self::Image(_) | Self::Write { .. } => None,
        }
    }
}
