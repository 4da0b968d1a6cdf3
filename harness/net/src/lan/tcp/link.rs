//! What the port's task and the streams share: the engine behind its lock, and a bell.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use smoltcp::socket::tcp::Socket;
use tokio::sync::{Notify, oneshot};

use super::TcpStream;
use super::engine::{Conn, Engine};
use super::registry::Registry;
use super::turn::{ConnId, Established, Turn, Waiting};
use crate::lan::egress::Egress;
use crate::lan::frame::Mac;
use crate::lan::lock::lock;

/// An engine, shared by the port's task and the streams.
#[derive(Debug)]
pub(in crate::lan) struct Link {
    engine: Mutex<Engine>,
    /// Rung when the port's task should take a turn.
    bell: Notify,
}

impl Link {
    pub(in crate::lan) fn new(egress: Arc<Egress>, registry: Arc<Registry>) -> Arc<Self> {
        Arc::new(Self {
            engine: Mutex::new(Engine::new(egress, registry)),
            bell: Notify::new(),
        })
    }

    /// Receives packets, sends what can be sent, and says when to come back.
    pub(in crate::lan) fn turn(
        self: &Arc<Self>,
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
        self.settle(&mut turn);
        turn
    }

    /// Hands out connections and wakes tasks. Both may drop streams, so the engine must not be locked.
    fn settle(self: &Arc<Self>, turn: &mut Turn) {
        for Established { whom, id, peer } in turn.established.drain(..) {
            match whom {
                Waiting::Listener(place) => {
                    place.send(TcpStream::new(Arc::clone(self), id, peer));
                }
                // Who does not wait any more has dropped the stream.
                Waiting::Dialler(told) => drop(told.send(())),
            }
        }
        turn.wakers.drain(..).for_each(Waker::wake);
    }

    /// Asks a guest for a connection. The stream is one once the receiver says so; an error of the receiver says that there is no connection.
    /// `None`: there are too many connections.
    pub(in crate::lan) fn dial(
        self: &Arc<Self>,
        local: Ipv4Addr,
        peer: SocketAddrV4,
        mac: Mac,
    ) -> Option<(TcpStream, oneshot::Receiver<()>)> {
        let (told, established) = oneshot::channel();
        let id = lock(&self.engine).dial(local, peer, mac, told)?;
        self.ring();
        let stream = TcpStream::new(Arc::clone(self), id, peer);
        Some((stream, established))
    }

    /// Resets nobody, but ends all connections here: their streams fail from now on.
    pub(in crate::lan) fn close(self: &Arc<Self>) {
        let mut turn = Turn::default();
        lock(&self.engine).close(&mut turn);
        self.settle(&mut turn);
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
