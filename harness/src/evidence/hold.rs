//! A board that has failed and stays on for its user to look at: its serial ports and its monitor are available as sockets.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::error::RecvError;

use crate::console::Console;
use crate::folder::RunFolder;
use crate::machine::Machine;
use crate::timeline::{Event, Record};

/// How much of what a port said before is shown to a client that connects late, in bytes.
const BACKLOG: u64 = 2048;

/// How long to wait when the system has no file descriptor for another client.
const BACK_OFF: std::time::Duration = std::time::Duration::from_secs(1);

/// How to get at a board that is kept on, as `attach.json` in the run's folder says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Unix sockets of the serial ports in the board's order: raw bytes, both ways.
    pub uarts: Vec<PathBuf>,
    /// The port that spoke last.
    pub speaking: u8,
    /// Unix socket of a QMP monitor.
    pub qmp: PathBuf,
}

impl Attach {
    const FILE: &str = RunFolder::ATTACH;

    /// Reads what a kept run has left in its folder.
    ///
    /// # Errors
    /// There is none, or it is not ours.
    pub fn read(folder: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(folder.join(Self::FILE))?)?)
    }

    /// The last lines of the port that spoke last, for a client that connects late. `folder` is the run's.
    ///
    /// # Errors
    /// The port's record cannot be read.
    pub fn backlog(&self, folder: &Path) -> io::Result<Vec<u8>> {
        let mut file = File::open(RunFolder::of(folder).raw(self.speaking))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(BACKLOG)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if length > BACKLOG {
            let line = bytes.iter().position(|b| *b == b'\n').map_or(0, |i| i + 1);
            bytes.drain(..line);
        }
        Ok(bytes)
    }
}

/// Serves the board's serial ports until `stop` completes. `records` are those of the run so far, `ready` is called once clients can
/// connect.
pub(crate) async fn hold(
    machine: &Machine,
    console: &Console,
    folder: &Path,
    records: &[Record],
    ready: impl FnOnce(),
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let sockets = machine.sockets();
    let spoke = |r: &Record| match r.event {
        Event::Serial { uart, .. } => Some(uart),
        _ => None,
    };
    let mut attach = Attach {
        uarts: Vec::new(),
        speaking: records.iter().rev().find_map(spoke).unwrap_or(0),
        qmp: machine.user_monitor(),
    };
    let mut listeners = Vec::new();
    for uart in 0..console.uarts() {
        let path = sockets.join(format!("console{uart}"));
        listeners.push((uart, UnixListener::bind(&path)?));
        attach.uarts.push(path);
    }
    let file = folder.join(Attach::FILE);
    fs::write(&file, serde_json::to_vec_pretty(&attach)?)?;
    ready();
    let serving = listeners
        .iter()
        .map(|(uart, listener)| accept(listener, console, *uart));
    tokio::select! {
        _ = join_all(serving) => {}
        _ = machine.ended() => {}
        () = stop => {}
    }
    fs::remove_file(file)
}

/// Serves every client of one port.
async fn accept(listener: &UnixListener, console: &Console, uart: u8) {
    let mut clients = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => clients.push(serve(stream, console, uart)),
                // No file descriptor is free; one may be in a moment.
                Err(_) => tokio::time::sleep(BACK_OFF).await,
            },
            // A client that leaves in the middle of a line is no error.
            Some(_) = clients.next() => {}
        }
    }
}

/// Serves one client of one port.
async fn serve(mut stream: UnixStream, console: &Console, uart: u8) -> io::Result<()> {
    let mut from_board = console.subscribe();
    let mut typed = [0; 256];
    loop {
        tokio::select! {
            chunk = from_board.recv() => match chunk {
                Ok(chunk) if chunk.uart == uart => stream.write_all(&chunk.bytes).await?,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
            n = stream.read(&mut typed) => match n? {
                0 => return Ok(()),
                n => console.send(uart, typed.get(..n).unwrap_or_default()).await?,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Timeline;

    #[test]
    fn who_comes_late_sees_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{}\nlogin: ", "x".repeat(3000));
        fs::write(folder.path().join("uart0.raw"), text).unwrap();
        let attach = Attach {
            uarts: Vec::new(),
            speaking: 0,
            qmp: PathBuf::new(),
        };
        assert_eq!(attach.backlog(folder.path()).unwrap(), b"login: ");
    }

    #[tokio::test]
    async fn a_guest_hears_the_port_and_types_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, mut board) = UnixStream::pair().unwrap();
        let (console, _expectations) =
            Console::start(vec![ours], folder.path(), &Timeline::start()).unwrap();
        let (mut guest, theirs) = UnixStream::pair().unwrap();
        let scene = async {
            let mut heard = [0; 2];
            guest.write_all(b"ls\r").await.unwrap();
            let mut typed = [0; 3];
            board.read_exact(&mut typed).await.unwrap();
            assert_eq!(&typed, b"ls\r");
            board.write_all(b"$ ").await.unwrap();
            guest.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"$ ");
            drop(guest);
        };
        let served = serve(theirs, &console, 0);
        let ((), served) = tokio::join!(scene, served);
        served.unwrap();
    }
}
