//! What the port's task and the streams share: the engine behind its lock, and a bell.

use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use smoltcp::socket::tcp::Socket;
use tokio::sync::Notify;

use super::TcpStream;
use super::engine::{Conn, ConnId, Engine};
use super::registry::{Place, Registry};
use crate::lan::frame::Mac;
use crate::lan::lock::lock;
use crate::lan::port::Outlet;

/// An engine, shared by the port's task and the streams.
#[derive(Debug)]
pub(in crate::lan) struct Link {
    engine: Mutex<Engine>,
    /// Rung when the port's task should take a turn.
    bell: Notify,
}

/// What a turn of the engine leads to, outside its lock.
#[derive(Debug, Default)]
pub(in crate::lan) struct Turn {
    pub(super) established: Vec<(Place, TcpStream)>,
    pub(super) wakers: Vec<Waker>,
    /// Where guests asked for a connection and nobody listened; each address once.
    pub(in crate::lan) refused: Vec<SocketAddrV4>,
    /// When the engine wants its next turn, as time since the LAN was started.
    pub(in crate::lan) next: Option<Duration>,
    /// It has more to send than the cable takes.
    pub(in crate::lan) is_blocked: bool,
}

impl Turn {
    /// Hands out connections and wakes tasks. Both may drop streams, so the engine must not be locked.
    fn settle(&mut self) {
        for (place, stream) in self.established.drain(..) {
            place.send(stream);
        }
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

impl Link {
    pub(in crate::lan) fn new(outlet: Arc<Outlet>, registry: Arc<Registry>) -> Arc<Self> {
        Arc::new_cyclic(|link| Self {
            engine: Mutex::new(Engine::new(link.clone(), outlet, registry)),
            bell: Notify::new(),
        })
    }

    /// Receives packets, sends what can be sent, and says when to come back.
    pub(in crate::lan) fn turn(
        &self,
        packets: impl IntoIterator<Item = (Bytes, Mac)>,
        now: Duration,
    ) -> Turn {
        let mut turn = Turn::default();
        let mut engine = lock(&self.engine);
        for (packet, from) in packets {
            engine.receive(packet, from, now, &mut turn);
        }
        engine.transmit(now, &mut turn);
        drop(engine);
        turn.settle();
        turn
    }

    /// Resets nobody, but ends all connections here: their streams fail from now on.
    pub(in crate::lan) fn close(&self) {
        let mut turn = Turn::default();
        lock(&self.engine).close(&mut turn);
        turn.settle();
    }

    /// Waits until a stream rings.
    pub(in crate::lan) async fn rung(&self) {
        self.bell.notified().await;
    }

    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Works on the socket of a connection; `None` when the connection is gone.
    pub(super) fn with<R>(
        &self,
        id: ConnId,
        work: impl FnOnce(&mut Socket<'static>, &mut Conn) -> R,
    ) -> Option<R> {
        lock(&self.engine).with(id, work)
    }
}
