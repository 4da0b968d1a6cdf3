//! The binary protocol of the virtual power distribution unit that CI gateways drive, on TCP port 9191.
//!
//! A request has four bytes, big-endian: `port << 2 | operation`. The answer has one byte. An order is answered when it has been carried
//! out. A connection may carry any number of requests.
//!
//! | operation | meaning | answer |
//! | --- | --- | --- |
//! | 0 | how many ports are there? | their number |
//! | 1 | switch the port on | 1, or 5 |
//! | 2 | switch the port off | 1, or 5 |
//! | 3 | state of the port? | 3 on, 4 off, 5 unknown |

use std::io;
use std::time::Duration;

use axum::serve::Listener;
use shakedown_base::timeline::{OutletState, SwitchedBy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::PowerUnit;
use crate::serve::serve_connections;
use crate::{Journal, Server};

/// How long a client may keep a connection without asking anything.
const IDLE: Duration = Duration::from_secs(60);

const DONE: u8 = 1;
const ON: u8 = 3;
const OFF: u8 = 4;
const UNKNOWN: u8 = 5;

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Count,
    Switch { port: u32, on: bool },
    State { port: u32 },
}

fn parse(bytes: [u8; 4]) -> Request {
    let word = u32::from_be_bytes(bytes);
    let port = word >> 2;
    match word & 0b11 {
        0 => Request::Count,
        1 => Request::Switch { port, on: true },
        2 => Request::Switch { port, on: false },
        _ => Request::State { port },
    }
}

/// Answers the protocol on `listener` until the server is dropped. Needs a tokio runtime.
pub fn serve_pdu<L: Listener>(listener: L, unit: PowerUnit, journal: Journal) -> Server {
    serve_connections(listener, journal, move |mut io, _| {
        let unit = unit.clone();
        // A client that breaks off harms nobody else.
        async move { drop(converse(&mut io, &unit).await) }
    })
}

async fn converse<I>(io: &mut I, unit: &PowerUnit) -> io::Result<()>
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut request = [0; 4];
    loop {
        timeout(IDLE, io.read_exact(&mut request)).await??;
        let answer = answer(unit, parse(request)).await;
        io.write_all(&[answer]).await?;
        io.flush().await?;
    }
}

async fn answer(unit: &PowerUnit, request: Request) -> u8 {
    let known = |port| u16::try_from(port).unwrap_or(u16::MAX);
    match request {
        Request::Count => u8::try_from(unit.ports()).unwrap_or(u8::MAX),
        Request::Switch { port, on } => match unit.switch(known(port), on, SwitchedBy::Tcp).await {
            Ok(()) => DONE,
            Err(_) => UNKNOWN,
        },
        Request::State { port } => match unit.read(known(port)) {
            Ok((_, OutletState::On)) => ON,
            Ok((_, OutletState::Off)) => OFF,
            _ => UNKNOWN,
        },
    }
}

#[cfg(test)]
mod tests {
    use shakedown_base::timeline::{ServiceId, Timeline};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::unit::tests::unit;
    use super::*;

    #[tokio::test]
    async fn a_gateways_driver_switches_boards() {
        let (unit, _) = unit();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let journal = Journal::new(ServiceId::Power, Timeline::start());
        let _server = serve_pdu(listener, unit.clone(), journal);
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut ask = async |port: u32, operation: u32| {
            stream.write_u32(port << 2 | operation).await.unwrap();
            stream.read_u8().await.unwrap()
        };
        assert_eq!(ask(0, 0).await, 3);
        assert_eq!(ask(1, 3).await, OFF);
        assert_eq!(ask(1, 1).await, DONE);
        assert_eq!(ask(1, 3).await, ON);
        assert_eq!(ask(0, 3).await, OFF);
        assert_eq!(ask(1, 2).await, DONE);
        assert_eq!(ask(1, 3).await, OFF);
        assert_eq!(ask(2, 1).await, UNKNOWN);
        assert_eq!(ask(2, 3).await, UNKNOWN);
        assert_eq!(ask(9, 1).await, UNKNOWN);
        assert_eq!(ask(0x3fff_ffff, 3).await, UNKNOWN);
        assert_eq!(unit.read(1).unwrap().1, OutletState::Off);
    }
}
