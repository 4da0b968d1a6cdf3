//! What runs before the boot loader: each kind of firmware is a small module that looks at the disk and says what the machine starts with.

mod direct;
#[cfg(test)]
mod testing;
mod uefi;
mod videocore;

use std::path::{Path, PathBuf};

use crate::board::{Board, Firmware};
use crate::error::RunError;
use crate::image::boot::HeaderUart;
use crate::mac::Mac;
use crate::plan::Parts;
use crate::scenario::Scenario;
use crate::timeline::Event;

/// What the firmware is input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) board: &'a Board,
    pub(crate) scenario: &'a Scenario,
    pub(crate) parts: &'a Parts,
    /// The disk as it was provisioned.
    pub(crate) disk: &'a Path,
    /// The address of the network interface.
    pub(crate) mac: Mac,
    /// A folder for the files that the machine starts with.
    pub(crate) folder: &'a Path,
}

/// What the machine starts with. Every file is of the run's working files, or is only read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Handover {
    /// A boot loader or kernel that takes the place of the machine's ROM.
    pub(crate) kernel: Option<PathBuf>,
    /// The device tree for it.
    pub(crate) device_tree: Option<PathBuf>,
    /// The initial RAM file system for it.
    pub(crate) initrd: Option<PathBuf>,
    /// What the machine has as its ROM.
    pub(crate) rom: Option<PathBuf>,
    /// The contents of the machine's flash chips: the firmware, and its variables.
    pub(crate) flash: Option<(PathBuf, PathBuf)>,
    /// What the firmware has put on the header, where it has the choice.
    pub(crate) header: Option<HeaderUart>,
    /// What started, for the timeline.
    pub(crate) started: Started,
    /// What must be said, for people to read.
    pub(crate) notes: Vec<String>,
}

/// What started, by the names that it has where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Started {
    program: String,
    device_tree: String,
}

impl Started {
    /// The event that says so.
    pub(crate) fn event(&self) -> Event {
        Event::Firmware {
            kernel: self.program.clone(),
            device_tree: self.device_tree.clone(),
        }
    }
}

/// Does what the board's firmware would do with the disk.
///
/// # Errors
/// The firmware would stop, or a file cannot be read or written.
pub(crate) fn start(input: &Input<'_>) -> Result<Handover, RunError> {
    match &input.board.firmware {
        Firmware::Videocore { model, revision } => videocore::start(input, *model, *revision),
        Firmware::Uefi { code, variables } => uefi::start(input, code, variables),
        Firmware::Direct { rom, kernel } => direct::start(input, rom.as_ref(), kernel.as_ref()),
    }
}

fn in_folder(path: &Path) -> impl Fn(std::io::Error) -> RunError {
    let path = path.to_path_buf();
    move |source| RunError::Folder {
        path: path.clone(),
        source,
    }
}
