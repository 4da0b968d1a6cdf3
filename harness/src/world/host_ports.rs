//! Ports of this machine that lead to a port of a board. Nobody but this machine reaches them: they are on the loopback interface.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::error::RunError;
use crate::lan::Dialler;
use crate::mac::Mac;
use crate::plan::HostForward;
use crate::timeline::{Event, InboundEvent, Timeline};

/// Bytes copied at a time.
const PIECE: usize = 32 * 1024;
/// Most connections at a time for each port; more wait.
const MOST: usize = 64;

/// Open ports of this machine. Dropping it closes them, and breaks their connections.
#[derive(Debug, Default)]
pub(crate) struct HostPorts {
    _ports: Vec<AbortOnDropHandle<()>>,
}

/// The board that ports lead to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) dialler: Dialler,
    pub(crate) mac: Mac,
    /// The board's part of the timeline.
    pub(crate) timeline: Timeline,
}

impl HostPorts {
    /// Opens the ports. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`RunError::HostPort`].
    pub(crate) fn open(forwards: &[HostForward], target: &Target) -> Result<Self, RunError> {
        let mut ports = Vec::new();
        for forward in forwards {
            let failed = |source| RunError::HostPort {
                port: forward.host_port,
                source,
            };
            let listener = listen(forward.host_port).map_err(failed)?;
            let host_port = listener.local_addr().map_err(failed)?.port();
            let forward = HostForward {
                host_port,
                ..*forward
            };
            let text = format!(
                "127.0.0.1:{host_port} of this machine leads to port {} of the board",
                forward.port
            );
            target.timeline.note("forward", text);
            let serving = serve(listener, forward, target.clone());
            ports.push(AbortOnDropHandle::new(tokio::spawn(serving)));
        }
        Ok(Self { _ports: ports })
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn serve(listener: TcpListener, forward: HostForward, target: Target) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept(), if connections.len() < MOST => {
                let target = target.clone();
                connections.spawn(async move { connection(client, forward, &target).await });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What is written down of a connection when it is over, or when the run is.
struct Log<'a> {
    forward: HostForward,
    address: Option<Ipv4Addr>,
    to_board: AtomicU64,
    to_host: AtomicU64,
    error: Option<String>,
    started: Instant,
    timeline: &'a Timeline,
}

impl Drop for Log<'_> {
    fn drop(&mut self) {
        self.timeline.emit(Event::Inbound(InboundEvent {
            host_port: self.forward.host_port,
            address: self.address,
            port: self.forward.port,
            to_board: self.to_board.load(Ordering::Relaxed),
            to_host: self.to_host.load(Ordering::Relaxed),
            error: self.error.take(),
            duration: self.started.elapsed(),
        }));
    }
}

async fn connection(client: TcpStream, forward: HostForward, target: &Target) {
    let address = address_of(target);
    let mut log = Log {
        forward,
        address,
        to_board: AtomicU64::new(0),
        to_host: AtomicU64::new(0),
        error: Some("broken off with the run".into()),
        started: Instant::now(),
        timeline: &target.timeline,
    };
    let Some(address) = address else {
        log.error = Some("the board has no address yet".into());
        return;
    };
    let to = SocketAddrV4::new(address, forward.port);
    log.error = match target.dialler.connect(target.mac, to).await {
        Err(error) => Some(format!("no connection to {to}: {error}")),
        Ok(board) => {
            let (from_host, to_host) = client.into_split();
            let (from_board, to_board) = tokio::io::split(board);
            let both = tokio::try_join!(
                copy(from_host, to_board, &log.to_board),
                copy(from_board, to_host, &log.to_host)
            );
            both.err().map(|error| format!("broken off: {error}"))
        }
    };
}

/// The address that the board was given last.
fn address_of(target: &Target) -> Option<Ipv4Addr> {
    let mac = target.mac.to_string();
    target.timeline.find_last(|record| match &record.event {
        Event::Lease {
            mac: of, address, ..
        } if *of == mac => Some(*address),
        _ => None,
    })
}

/// Copies until `from` ends, and then ends `to`.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    bytes: &AtomicU64,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(piece.get(..read).unwrap_or_default()).await?;
        bytes.fetch_add(read as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::lan::{Config, Lan};
    use crate::timeline::{Cursor, Record};

    const MAC: Mac = Mac([0xb8, 0x27, 0xeb, 0, 0, 1]);

    fn target(lan: &Lan, timeline: &Timeline) -> Target {
        Target {
            dialler: lan.dialler(),
            mac: MAC,
            timeline: timeline.clone(),
        }
    }

    async fn ended(timeline: &Timeline, cursor: &mut Cursor) -> InboundEvent {
        let is_it = |r: &Record| matches!(r.event, Event::Inbound(_));
        let record = timeout(Duration::from_secs(20), timeline.wait_for(cursor, is_it)).await;
        match record.unwrap().event {
            Event::Inbound(inbound) => inbound,
            other => panic!("{other:?}"),
        }
    }

    /// The port of this machine that was opened.
    fn opened(timeline: &Timeline) -> u16 {
        let records = timeline.snapshot();
        let note = records.iter().find_map(|r| match &r.event {
            Event::Note { text, .. } => text.strip_prefix("127.0.0.1:"),
            _ => None,
        });
        let port = note.unwrap().split_once(' ').unwrap().0;
        port.parse().unwrap()
    }

    #[tokio::test]
    async fn a_connection_that_comes_to_nothing_is_an_event() {
        let timeline = Timeline::start();
        let lan = Lan::start(Config::default(), timeline.clone()).unwrap();
        let forward = "0:80".parse().unwrap();
        let ports = HostPorts::open(&[forward], &target(&lan, &timeline)).unwrap();
        let port = opened(&timeline);
        let mut cursor = Cursor::default();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);
        let early = ended(&timeline, &mut cursor).await;
        assert_eq!(early.error.as_deref(), Some("the board has no address yet"));
        timeline.emit(Event::Lease {
            mac: MAC.to_string(),
            address: [10, 0, 2, 50].into(),
            vendor_class: None,
        });
        let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        let gone = ended(&timeline, &mut cursor).await;
        assert_eq!((gone.host_port, gone.port), (port, 80));
        let error = gone.error.unwrap();
        assert!(
            error.starts_with("no connection to 10.0.2.50:80: "),
            "{error}"
        );
        // The port is on one address of the loopback interface alone, and is taken.
        let other = TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), port)).await;
        assert!(other.is_err());
        let taken = HostForward {
            host_port: port,
            port: 80,
        };
        let error = HostPorts::open(&[taken], &target(&lan, &timeline)).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!(
                "cannot open port {port} of this machine for --forward: "
            )),
            "{text}"
        );
        drop(ports);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(
            TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .is_err()
        );
    }
}
