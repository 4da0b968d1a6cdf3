//! Why the board would not start.

use std::io;
use std::path::PathBuf;

use shakedown_base::untrusted;

use super::{CONFIG_TXT, Foreign, KernelKind};
use crate::ImageError;
use crate::boot::device_tree::DeviceTreeError;
use crate::config_txt::{BoardModel, ConfigError};
use crate::fat::FatError;

/// Why the board would not start.
#[derive(Debug, thiserror::Error)]
pub enum FirmwareError {
    /// The image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// `config.txt` or `autoboot.txt` cannot be read.
    #[error("{file} in partition {partition}: {source}")]
    Config {
        /// Partition number.
        partition: u32,
        /// The file.
        file: &'static str,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// A file is a directory, is too large, or cannot be read for another reason.
    #[error("partition {partition}: {source}")]
    Unreadable {
        /// Partition number.
        partition: u32,
        /// The file's path.
        file: String,
        /// What is wrong with it.
        source: FatError,
    },
    /// `autoboot.txt` names a partition that cannot be started from.
    #[error("{file} names partition {}: {}; the real firmware would stop here", untrusted(.number), untrusted(.what))]
    BootPartition {
        /// The file.
        file: &'static str,
        /// The partition that it names, as it is written there.
        number: String,
        /// What is wrong with it.
        what: String,
    },
    /// A file is missing.
    #[error("partition {partition} has no {} ({}); the real firmware would stop here", untrusted(.file), untrusted(.reason))]
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
        "{} in partition {partition} is empty ({}); the real firmware would stop here", untrusted(.file), untrusted(.reason)
    )]
    Empty {
        /// Partition number.
        partition: u32,
        /// The file's path.
        file: String,
        /// What asks for it.
        reason: String,
    },
    /// No device tree is on the card, and none is in the boot loader.
    #[error(
        "partition {partition} has no {} ({}), and {} brings no device tree of its own; the board would start it without one",
        untrusted(.file), untrusted(.reason), untrusted(.kernel)
    )]
    NoDeviceTree {
        /// Partition number.
        partition: u32,
        /// The file's path.
        file: String,
        /// What asks for it.
        reason: String,
        /// The boot loader.
        kernel: String,
    },
    /// The firmware would start this file, and it is not a program for the board.
    #[error("{} is {kind}, which the firmware does not start: {}", untrusted(.file), untrusted(.what))]
    NotAKernel {
        /// The file's path.
        file: String,
        /// What it is.
        kind: KernelKind,
        /// What is wrong or missing.
        what: String,
    },
    /// A file of the firmware itself is something else.
    #[error("{} is {kind}, no firmware of the board; the real firmware would stop here", untrusted(.file))]
    NotFirmware {
        /// The file's path.
        file: String,
        /// What it is.
        kind: Foreign,
    },
    /// The processor would be in the wrong mode.
    #[error("the board starts {} in {mode} mode ({}), and it is {kind}; {}", untrusted(.file), untrusted(.reason), consequence(.kind, .mode))]
    Mode {
        /// The file's path.
        file: String,
        /// What it is.
        kind: KernelKind,
        /// `32-bit` or `64-bit`.
        mode: &'static str,
        /// What decides the mode.
        reason: String,
    },
    /// A device tree cannot be used.
    #[error("{}: {source}", untrusted(.file))]
    DeviceTree {
        /// The file's path.
        file: String,
        /// What is wrong with it.
        source: DeviceTreeError,
    },
    /// A device tree is that of another board.
    #[error(
        "{} is the device tree of another board: its `compatible` is {}, and a {model} is {expected}", untrusted(.file), untrusted(.found)
    )]
    OtherBoard {
        /// The file's path.
        file: String,
        /// What it says it is for.
        found: String,
        /// The board.
        model: BoardModel,
        /// What a tree for it says.
        expected: &'static str,
    },
    /// A file is named twice among the RAM file systems.
    #[error("{}: {} is named more than once", untrusted(.reason), untrusted(.file))]
    Twice {
        /// The file's path.
        file: String,
        /// The line.
        reason: String,
    },
    /// Nothing makes the serial console work.
    #[error("nothing turns the serial console on and fixes its clock")]
    NoConsole,
    /// The settings ask for something that has no counterpart under QEMU.
    #[error("{}: {} is not emulated; take the line out to run this image here", untrusted(.reason), untrusted(.what))]
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

fn consequence(kind: &KernelKind, mode: &str) -> &'static str {
    match (kind, mode) {
        (KernelKind::Arm32, "32-bit") => "netboot images are for 64-bit ARM",
        _ => "a board that is started so says nothing at all",
    }
}

impl FirmwareError {
    /// The file on the firmware partition that it is about.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Missing { file, .. }
            | Self::Empty { file, .. }
            | Self::NoDeviceTree { file, .. }
            | Self::NotAKernel { file, .. }
            | Self::NotFirmware { file, .. }
            | Self::Unreadable { file, .. }
            | Self::Mode { file, .. }
            | Self::DeviceTree { file, .. }
            | Self::OtherBoard { file, .. } => Some(file),
            Self::Config { file, .. } | Self::BootPartition { file, .. } => Some(file),
            Self::Unsupported { .. } | Self::NoConsole | Self::Twice { .. } => Some(CONFIG_TXT),
            Self::Image(_) | Self::Write { .. } => None,
        }
    }

    /// What to do about it, where that is not what the rule says that it breaks.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NotAKernel {
                kind: KernelKind::Foreign(foreign),
                ..
            } => foreign.remedy(),
            Self::Config { file, source, .. } if source.file() != *file => {
                Some("correct the file that config.txt includes")
            }
            Self::BootPartition { .. } => Some(
                "let boot_partition in autoboot.txt name a FAT partition with the board's firmware, or take the line out",
            ),
            _ => None,
        }
    }
}
