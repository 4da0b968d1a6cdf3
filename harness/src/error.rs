//! Why a run could not take place. What goes wrong *during* a run is a [`Failure`](crate::report::Failure) instead.

use std::io;
use std::path::PathBuf;

use crate::report::Class;
use crate::timeline::StoppedBy;

/// A run that could not take place.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run was stopped before the board had been switched on.
    #[error("stopped by {}", match .0 { StoppedBy::User => "the user", StoppedBy::Signal => "a signal" })]
    Stopped(StoppedBy),
    /// The image breaks rules of the specification that bind.
    #[error("the image breaks the specification, so that a board may not start it (--boot-anyway boots it all the same):\n  {}", .0.join("\n  "))]
    Broken(Vec<String>),
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
        "boards/{board}.toml: nic.oui \"{oui}\" is not a vendor prefix; write three bytes such as \"b8:27:eb\""
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
    /// A boot server outside of the run has an image without an identity.
    #[error(
        "the boot server is one outside of the run, and the image has no identity that it would know: provision the image for it first (`image provision`)"
    )]
    NotProvisioned,
    /// A checkpoint is damaged, or was written by another QEMU.
    #[error("cannot go on from the checkpoint {}; remove this folder, or boot the board in whole with --no-checkpoints: {source}", folder.display())]
    BadCheckpoint {
        /// Its folder.
        folder: PathBuf,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The power distribution unit is gone.
    #[error("the power distribution unit of the run is gone")]
    Plug,
    /// A port of this machine that should lead to the board cannot be opened.
    #[error(
        "cannot open port {port} of this machine for --forward: {source}; give another one, and where several runs are made, --jobs 1"
    )]
    HostPort {
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The scenario names a kind of board of which nobody knows anything.
    #[error("scenario {scenario} has a board of type {board}, which is not there: look at boards/")]
    UnknownBoard {
        /// The scenario.
        scenario: String,
        /// The kind of board.
        board: String,
    },
    /// The scenario has several boards.
    #[error(
        "scenario {scenario} has several boards, and there is one {here}: choose a scenario without [board]"
    )]
    SeveralBoards {
        /// The scenario.
        scenario: String,
        /// Where there is one board.
        here: &'static str,
    },
    /// The scenario damages a part of the card that is not there.
    #[error("cannot damage partition {partition} of the card as the scenario says: {what}")]
    Damage {
        /// The partition's number.
        partition: u32,
        /// What is wrong.
        what: String,
    },
    /// The firmware stage is stuck, as the real firmware would be.
    #[error(transparent)]
    Firmware(#[from] crate::image::boot::FirmwareError),
    /// The emulated firmware's variables could not be set.
    #[error("{}: {source}", path.display())]
    Variables {
        /// The template of the variables.
        path: PathBuf,
        /// What is wrong.
        source: crate::image::edk2_variables::Edk2Error,
    },
    /// A file that the board's definition names is not among the parts of the run.
    #[error(
        "the board starts with {path} of the package set {set}, which is not among the parts of this run"
    )]
    NoPart {
        /// The package set.
        set: String,
        /// The file.
        path: String,
    },
    /// The device tree could not be edited.
    #[error(transparent)]
    DeviceTree(#[from] crate::image::boot::device_tree::DeviceTreeError),
    /// The emulator could not be started.
    #[error(transparent)]
    Machine(#[from] crate::machine::MachineError),
    /// The board on the desk cannot be reached or switched.
    #[error(transparent)]
    Desk(#[from] crate::lab::LabError),
    /// The scenario cannot be run on a board on a desk.
    #[error("{scenario} cannot be run on a board on a desk: {reason}")]
    NotOnDesk {
        /// The scenario.
        scenario: String,
        /// Why.
        reason: &'static str,
    },
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
        if self.trouble().is_some() {
            return Class::Host;
        }
        match self {
            Self::Broken(_) | Self::Image(_) | Self::Firmware(_) | Self::DeviceTree(_) => {
                Class::Image
            }
            Self::Machine(_) | Self::BadCheckpoint { .. } | Self::Variables { .. } => {
                Class::Emulator
            }
            Self::Services(_) | Self::Lan(_) => Class::Server,
            Self::Stopped(_)
            | Self::Folder { .. }
            | Self::Damage { .. }
            | Self::HostPort { .. }
            | Self::NoPart { .. }
            | Self::Plug
            | Self::UnknownBoard { .. }
            | Self::SeveralBoards { .. }
            | Self::Desk(_)
            | Self::NotOnDesk { .. }
            | Self::Cpio(_)
            | Self::Server(_)
            | Self::Oui { .. }
            | Self::Transport { .. }
            | Self::NotProvisioned
            | Self::ClientCertificate { .. } => Class::Host,
        }
    }

    /// The error and, where this machine is in the way, what to do.
    #[must_use]
    pub fn advice(&self) -> String {
        match self.trouble() {
            None => self.to_string(),
            Some(Trouble::Full) => format!(
                "{self}; a disk of this machine is full: make room in the project's target folder and in {}",
                std::env::temp_dir().display()
            ),
            Some(Trouble::LongPath) => format!(
                "{self}; the path of the folder for temporary files is too long for a socket: set TMPDIR to a shorter one, for example TMPDIR=/tmp"
            ),
            Some(Trouble::Other) => format!("{self}; this is of this machine, not of the image"),
        }
    }

    /// What is wrong with this machine, if that is the cause.
    fn trouble(&self) -> Option<Trouble> {
        let mut error: Option<&dyn std::error::Error> = Some(self);
        while let Some(cause) = error {
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                return Trouble::of(io);
            }
            error = cause.source();
        }
        None
    }
}

/// What is wrong with this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Full,
    LongPath,
    Other,
}

impl Trouble {
    fn of(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Self::Full),
            io::ErrorKind::InvalidInput if error.to_string().contains("SUN_LEN") => {
                Some(Self::LongPath)
            }
            // What a damaged file makes of a reader.
            io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof => None,
            _ => Some(Self::Other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::MachineError;

    fn of(source: io::Error) -> RunError {
        RunError::Machine(MachineError::Io {
            action: "listen on",
            path: "/somewhere/uart0".into(),
            source,
        })
    }

    #[test]
    fn a_full_disk_and_a_long_path_are_the_hosts() {
        let full = of(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.class(), Class::Host);
        assert!(full.advice().contains("make room"), "{}", full.advice());
        let long = std::os::unix::net::UnixListener::bind("/tmp/".to_owned() + &"x".repeat(200));
        let long = of(long.unwrap_err());
        assert_eq!(long.class(), Class::Host);
        assert!(long.advice().contains("TMPDIR=/tmp"), "{}", long.advice());
        let damaged = of(io::Error::from(io::ErrorKind::UnexpectedEof));
        assert_eq!(damaged.class(), Class::Emulator);
    }
}
