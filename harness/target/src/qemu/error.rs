//! What can go wrong with the machine.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The emulator could not be started, or did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The operating system refused something about a file or socket.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, for example `create`.
        action: &'static str,
        /// The file or socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// QEMU could not be executed.
    #[error("cannot start {}: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// QEMU ended before it was told to.
    #[error("QEMU ended by itself ({status}); it said:\n{stderr}")]
    Ended {
        /// Its exit status.
        status: String,
        /// The end of its standard error.
        stderr: String,
    },
    /// QEMU did not connect to a socket in time.
    #[error("QEMU did not connect its {socket} socket within {within:?}; it said:\n{stderr}")]
    NotConnected {
        /// For example `qmp`.
        socket: String,
        /// The bound.
        within: Duration,
        /// The end of its standard error.
        stderr: String,
    },
    /// The monitor's connection ended or was not QMP.
    #[error("QEMU's monitor: {0}")]
    Monitor(String),
    /// There was no moment to save a machine at.
    #[error("whenever the guest was looked at, it had an interrupt to serve")]
    NeverQuiet,
    /// The monitor refused a command.
    #[error("QEMU refused {command}: {description}")]
    Refused {
        /// The QMP command.
        command: String,
        /// QEMU's words.
        description: String,
    },
}

impl MachineError {
    /// What the system said when `action` was tried on a file or socket, as an error of this kind.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
