//! A board's serial console: a device of this machine, or a port of a console server.
//!
//! Whatever it is, the console gets a socket, as it does from the emulator; a task carries the bytes.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::task::AbortOnDropHandle;

use super::LabError;
use super::telnet::{Telnet, encoded};

/// How much is carried at a time, in bytes.
const PIECE: usize = 4096;

/// Where a board's serial console is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SerialPort {
    /// A device, for example `/dev/ttyUSB0`; a pseudo-terminal is one, too.
    Device(PathBuf),
    /// `tcp:HOST:PORT`: the bytes as they are.
    Tcp(String),
    /// `rfc2217:HOST:PORT`: telnet with the serial port's settings (RFC 2217).
    Rfc2217(String),
}

/// A port that is open until this is dropped.
#[derive(Debug)]
pub struct OpenPort {
    _task: AbortOnDropHandle<()>,
}

impl FromStr for SerialPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = |rest: &str| match rest.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(rest.to_owned())
            }
            _ => Err(format!("`{text}` has no HOST:PORT")),
        };
        if let Some(rest) = text.strip_prefix("tcp:") {
            address(rest).map(Self::Tcp)
        } else if let Some(rest) = text.strip_prefix("rfc2217:") {
            address(rest).map(Self::Rfc2217)
        } else if text.starts_with('/') {
            Ok(Self::Device(text.into()))
        } else {
            Err(format!(
                "`{text}` is no serial port: write /dev/NAME, tcp:HOST:PORT or rfc2217:HOST:PORT"
            ))
        }
    }
}

impl std::fmt::Display for SerialPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Device(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Rfc2217(address) => write!(f, "rfc2217:{address}"),
        }
    }
}

impl SerialPort {
    /// Opens the port at `baud` bits a second, 8 data bits, no parity, no flow control. Needs a tokio runtime.
    ///
    /// # Errors
    /// The device or address cannot be opened.
    pub async fn open(&self, baud: u32) -> Result<(UnixStream, OpenPort), LabError> {
        let failed = |source| LabError::Serial {
            port: self.to_string(),
            source,
        };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let task = match self {
            Self::Device(path) => {
                let device = device(path, baud).map_err(failed)?;
                tokio::spawn(carry_device(device, ours))
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(failed)?;
                tokio::spawn(async move {
                    let (mut port, mut ours) = (stream, ours);
                    // The end of either is the end.
                    let _ = tokio::io::copy_bidirectional(&mut port, &mut ours).await;
                })
            }
            Self::Rfc2217(address) => {
                let mut stream = TcpStream::connect(address).await.map_err(failed)?;
                let greeting = Telnet::greeting(baud);
                stream.write_all(&greeting).await.map_err(failed)?;
                tokio::spawn(async move {
                    let _ = carry_telnet(stream, ours).await;
                })
            }
        };
        let port = OpenPort {
            _task: AbortOnDropHandle::new(task),
        };
        Ok((theirs, port))
    }
}

/// Opens a terminal raw.
fn device(path: &Path, baud: u32) -> io::Result<AsyncFd<std::fs::File>> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let mut settings = tcgetattr(&file)?;
    settings.make_raw();
    settings.set_speed(baud)?;
    tcsetattr(&file, OptionalActions::Now, &settings)?;
    // SAFETY: the file is owned and nobody else closes its descriptor.
    Ok(unsafe { AsyncFd::register(file) }?)
}

/// Carries bytes until either end is gone.
async fn carry_device(device: AsyncFd<std::fs::File>, mut socket: UnixStream) {
    let (mut from, mut to) = (vec![0; PIECE], vec![0; PIECE]);
    let (mut socket_reads, mut socket_writes) = socket.split();
    let from_board = async {
        loop {
            let mut ready = device.readable().await?;
            match ready.try_io(|device| device.get_ref().read(&mut from)) {
                Ok(Ok(0)) => return io::Result::Ok(()),
                Ok(Ok(n)) => {
                    socket_writes
                        .write_all(from.get(..n).unwrap_or_default())
                        .await?
                }
                Ok(Err(e)) => return Err(e),
                Err(_not_yet) => {}
            }
        }
    };
    let to_board = async {
        loop {
            let n = socket_reads.read(&mut to).await?;
            let mut rest = to.get(..n).unwrap_or_default();
            if rest.is_empty() {
                return io::Result::Ok(());
            }
            while !rest.is_empty() {
                let mut ready = device.writable().await?;
                match ready.try_io(|device| device.get_ref().write(rest)) {
                    Ok(written) => rest = rest.get(written?..).unwrap_or_default(),
                    Err(_not_yet) => {}
                }
            }
        }
    };
    tokio::select! {
        _ = from_board => {}
        _ = to_board => {}
    }
}

async fn carry_telnet(mut port: TcpStream, mut socket: UnixStream) -> io::Result<()> {
    let mut telnet = Telnet::default();
    let (mut from, mut to) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        tokio::select! {
            n = port.read(&mut from) => {
                let bytes = from.get(..n?).unwrap_or_default();
                if bytes.is_empty() {
                    return Ok(());
                }
                let (data, answer) = telnet.take(bytes);
                port.write_all(&answer).await?;
                socket.write_all(&data).await?;
            }
            n = socket.read(&mut to) => {
                let bytes = to.get(..n?).unwrap_or_default();
                if bytes.is_empty() {
                    return Ok(());
                }
                port.write_all(&encoded(bytes)).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn ports_are_named_as_people_write_them() {
        let read = |text: &str| text.parse::<SerialPort>();
        for text in ["/dev/ttyUSB0", "tcp:desk:4000", "rfc2217:[::1]:4000"] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        for text in ["ttyUSB0", "tcp:desk", "tcp::4000", "rfc2217:desk:x", ""] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_terminal_carries_every_byte_both_ways() {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let board = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&board).unwrap();
        unlockpt(&board).unwrap();
        let name = ptsname(&board, Vec::new()).unwrap();
        let port = SerialPort::Device(name.to_str().unwrap().into());
        let (mut socket, _port) = port.open(115_200).await.unwrap();
        let mut board = std::fs::File::from(board);
        // Raw: no byte means anything to the terminal, and nothing is echoed.
        let all: Vec<u8> = (0..=255).collect();
        board.write_all(&all).unwrap();
        let mut got = vec![0; 256];
        socket.read_exact(&mut got).await.unwrap();
        assert_eq!(got, all);
        socket.write_all(&all).await.unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut got = vec![0; 256];
            board.read_exact(&mut got).unwrap();
            got
        });
        assert_eq!(read.await.unwrap(), all);
    }

    #[tokio::test]
    async fn a_console_server_speaks_telnet() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (mut socket, _port) = SerialPort::Rfc2217(address).open(9600).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let mut greeting = vec![0; Telnet::greeting(9600).len()];
        server.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, Telnet::greeting(9600));
        server
            .write_all(b"U\xff\xfb\x01-Boot\xff\xff")
            .await
            .unwrap();
        let mut got = vec![0; 7];
        socket.read_exact(&mut got).await.unwrap();
        assert_eq!(got, b"U-Boot\xff");
    }
}
