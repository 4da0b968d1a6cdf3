//! What a turn of the engine leads to, outside its lock.

use std::net::SocketAddrV4;
use std::task::Waker;
use std::time::Duration;

use tokio::sync::oneshot;

use super::registry::Place;

/// A connection's name within its engine. Never used twice.
pub(super) type ConnId = u64;

/// The outcome of a turn.
#[derive(Debug, Default)]
pub(in crate::lan) struct Turn {
    pub(super) established: Vec<Established>,
    pub(super) wakers: Vec<Waker>,
    /// Where guests asked for a connection and nobody listened; each address once.
    pub(in crate::lan) refused: Vec<SocketAddrV4>,
    /// When the engine wants its next turn, as time since the LAN was started.
    pub(in crate::lan) next: Option<Duration>,
    /// It has more to send than the cable takes.
    pub(in crate::lan) is_blocked: bool,
}

/// A connection whose handshake is over.
#[derive(Debug)]
pub(super) struct Established {
    /// Who waits for it.
    pub(super) whom: Waiting,
    pub(super) id: ConnId,
    pub(super) peer: SocketAddrV4,
}

/// Who waits for the end of a handshake.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A listener, which gets the stream.
    Listener(Place),
    /// Who has dialled, and has the stream. It is dropped when there is no connection.
    Dialler(oneshot::Sender<()>),
}
