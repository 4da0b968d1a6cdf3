//! The TCP engine of one switch port: `smoltcp`'s interface and sockets, and what `smoltcp` leaves to its user.
//!
//! Life of a connection: a request arrives and somebody listens, or somebody dials a guest, so there is a [`Conn`]; the handshake ends and
//! its [`TcpStream`](super::TcpStream) goes to the listener, or who has dialled is told; the stream is dropped and the connection is an orphan that says goodbye by itself; it is removed.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration as SmolDuration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, TcpSeqNumber};
use tokio::sync::oneshot;

use super::packets::{Packets, Segment, Tuple};
use super::registry::{Admission, Place, Registry};
use super::turn::{ConnId, Established, Turn, Waiting};
use crate::lan::egress::Egress;
use crate::lan::frame::Mac;
use crate::lan::observe::{Counters, count, count_down};

/// Bytes buffered per connection and direction. Twelve megabytes a second and a guest that looks up every 20 ms make 240 KiB.
pub(super) const BUFFER: usize = 256 * 1024;
/// Free bytes from which on a writer is woken: waking it for each segment would cost more than the copy.
const WRITABLE: usize = BUFFER / 4;
/// Most connections of one port; more requests are ignored, as by a busy server.
const MAX_CONNECTIONS: usize = 512;
/// After which silence a peer is asked whether it is still there, and after which one it is given up: a board that lost its
/// power says nothing.
const KEEP_ALIVE: SmolDuration = SmolDuration::from_secs(30);
const SILENCE: SmolDuration = SmolDuration::from_secs(120);
/// How long a closed connection waits for the peer's FIN, and for a repetition of it.
const FIN_WAIT: Duration = Duration::from_secs(30);
const TIME_WAIT: Duration = Duration::from_secs(1);
/// A request that comes again on a connection that has been silent for so long is a new one, of a guest that was restarted and draws the same
/// numbers again, as iPXE does where nothing is random. Sooner it is a copy that was late.
const RESTARTED: Duration = Duration::from_secs(1);
/// The ports that connections to guests are made from (RFC 6335, section 6).
const DIALLING: std::ops::RangeInclusive<u16> = 49152..=65535;
/// Most addresses that are remembered as refused.
const MAX_REFUSED: usize = 64;

/// What is known of a connection besides its socket.
#[derive(Debug)]
pub(super) struct Conn {
    handle: SocketHandle,
    tuple: Tuple,
    /// Sequence number of the guest's request, which tells its repetition from another request.
    sequence: Option<TcpSeqNumber>,
    /// When the guest was heard last, once the handshake was over.
    heard: Option<Duration>,
    /// Who waits for the end of the handshake, until it is over.
    whom: Option<Waiting>,
    /// The stream was dropped.
    pub(super) is_orphan: bool,
    /// The peer reset the connection.
    pub(super) is_reset: bool,
    /// Bytes read since the port's task last had a chance to tell the peer about the room.
    pub(super) unannounced: usize,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    /// What an orphan waits for, and until when.
    linger: Option<(State, Duration)>,
}

pub(super) struct Engine {
    interface: Interface,
    packets: Packets,
    sockets: SocketSet<'static>,
    conns: HashMap<ConnId, Conn>,
    by_tuple: HashMap<Tuple, ConnId>,
    next_id: ConnId,
    /// The port of the next connection to a guest.
    next_port: u16,
    registry: Arc<Registry>,
    counters: Arc<Counters>,
    /// Addresses that were reported as refused.
    refused: HashSet<SocketAddrV4>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("conns", &self.conns)
            .finish_non_exhaustive()
    }
}

impl Engine {
    pub(super) fn new(egress: Arc<Egress>, registry: Arc<Registry>) -> Self {
        let (counters, seed) = (Arc::clone(&egress.counters), egress.port.into());
        let mut packets = Packets::new(egress);
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut packets, Instant::ZERO);
        interface.set_any_ip(true);
        Self {
            interface,
            packets,
            sockets: SocketSet::new(Vec::new()),
            conns: HashMap::new(),
            by_tuple: HashMap::new(),
            next_id: 0,
            next_port: *DIALLING.start(),
            registry,
            counters,
            refused: HashSet::new(),
        }
    }

    /// Works on a connection's socket; `None` when the connection is gone.
    pub(super) fn with<R>(
        &mut self,
        id: ConnId,
        work: impl FnOnce(&mut Socket<'static>, &mut Conn) -> R,
    ) -> Option<R> {
        let conn = self.conns.get_mut(&id)?;
        Some(work(self.sockets.get_mut(conn.handle), conn))
    }

    pub(super) fn receive(&mut self, packet: Bytes, from: Mac, now: Duration, turn: &mut Turn) {
        let Some(segment) = Segment::parse(&packet) else {
            count(&self.counters.malformed, 1);
            return;
        };
        if segment.opens && !self.is_repetition(&segment, now) {
            match self.registry.admit(segment.tuple.local) {
                Admission::Place(place) if self.conns.len() < MAX_CONNECTIONS => {
                    self.open(&segment, place, turn)
                }
                Admission::Place(_) | Admission::Full => return,
                // smoltcp resets what no socket is for.
                Admission::Nobody => {
                    count(&self.counters.refused, 1);
                    let local = segment.tuple.local;
                    if self.refused.len() < MAX_REFUSED && self.refused.insert(local) {
                        turn.refused.push(local);
                    }
                }
            }
        }
        self.packets.incoming = Some((packet, from));
        self.interface
            .poll_ingress_single(instant(now), &mut self.packets, &mut self.sockets);
        if let Some(&id) = self.by_tuple.get(&segment.tuple) {
            self.packets
                .neighbours
                .insert(*segment.tuple.peer.ip(), from);
            self.follow_up(id, &segment, turn);
            if let Some(conn) = self.conns.get_mut(&id)
                && conn.whom.is_none()
                && !segment.opens
            {
                conn.heard = Some(now);
            }
        }
    }

    fn is_repetition(&self, segment: &Segment, now: Duration) -> bool {
        let conn = self
            .by_tuple
            .get(&segment.tuple)
            .and_then(|id| self.conns.get(id));
        conn.is_some_and(|conn| {
            let state = self.sockets.get::<Socket<'_>>(conn.handle).state();
            conn.sequence == Some(segment.sequence)
                && !matches!(state, State::Closed | State::TimeWait)
                && conn.heard.is_none_or(|heard| now < heard + RESTARTED)
        })
    }

    /// Makes a socket for a request. A connection with the same ends is dead: the guest was restarted and uses its ports again.
    /// One that has ended properly stays, since its stream may have bytes left to read.
    fn open(&mut self, segment: &Segment, place: Place, turn: &mut Turn) {
        if let Some(&former) = self.by_tuple.get(&segment.tuple) {
            let handle = self.conns.get(&former).map(|conn| conn.handle);
            if handle.is_some_and(|handle| {
                self.sockets.get::<Socket<'_>>(handle).state() != State::Closed
            }) {
                self.remove(former, turn);
            }
        }
        let mut socket = new_socket();
        let local = segment.tuple.local;
        if socket
            .listen((IpAddress::Ipv4(*local.ip()), local.port()))
            .is_err()
        {
            return;
        }
        let (sequence, whom) = (Some(segment.sequence), Waiting::Listener(place));
        self.add(socket, segment.tuple, sequence, whom);
    }

    /// Asks a guest for a connection from this address. Who has dialled is told when the handshake is over. `None`: there are too many
    /// connections.
    pub(super) fn dial(
        &mut self,
        local: Ipv4Addr,
        peer: SocketAddrV4,
        mac: Mac,
        told: oneshot::Sender<()>,
    ) -> Option<ConnId> {
        if self.conns.len() >= MAX_CONNECTIONS {
            return None;
        }
        let tuple = self.free_tuple(local, peer)?;
        let mut socket = new_socket();
        let remote = (IpAddress::Ipv4(*peer.ip()), peer.port());
        let local = (IpAddress::Ipv4(local), tuple.local.port());
        let connected = socket.connect(self.interface.context(), remote, local);
        connected.ok()?;
        self.packets.neighbours.insert(*peer.ip(), mac);
        Some(self.add(socket, tuple, None, Waiting::Dialler(told)))
    }

    /// The ends of a new connection to a guest.
    fn free_tuple(&mut self, local: Ipv4Addr, peer: SocketAddrV4) -> Option<Tuple> {
        for _ in DIALLING {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(*DIALLING.start());
            let local = SocketAddrV4::new(local, port);
            let tuple = Tuple { peer, local };
            if !self.by_tuple.contains_key(&tuple) {
                return Some(tuple);
            }
        }
        None
    }

    fn add(
        &mut self,
        socket: Socket<'static>,
        tuple: Tuple,
        sequence: Option<TcpSeqNumber>,
        whom: Waiting,
    ) -> ConnId {
        let conn = Conn {
            handle: self.sockets.add(socket),
            tuple,
            sequence,
            heard: None,
            whom: Some(whom),
            is_orphan: false,
            is_reset: false,
            unannounced: 0,
            reader: None,
            writer: None,
            linger: None,
        };
        count(&self.counters.open, 1);
        self.next_id += 1;
        self.by_tuple.insert(tuple, self.next_id);
        self.conns.insert(self.next_id, conn);
        self.next_id
    }

    /// Looks at a connection that a segment has just arrived for.
    fn follow_up(&mut self, id: ConnId, segment: &Segment, turn: &mut Turn) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        match self.sockets.get::<Socket<'_>>(conn.handle).state() {
            // The peer took its request back, and smoltcp listens again; the next request makes a socket of its own.
            State::Listen => self.remove(id, turn),
            State::SynReceived | State::SynSent => {}
            State::Closed => conn.is_reset |= segment.resets,
            _ => {
                if let Some(whom) = conn.whom.take() {
                    count(&self.counters.connections, 1);
                    let peer = conn.tuple.peer;
                    turn.established.push(Established { whom, id, peer });
                }
            }
        }
    }

    pub(super) fn transmit(&mut self, now: Duration, turn: &mut Turn) {
        use smoltcp::iface::PollResult;

        let at = instant(now);
        self.packets.is_blocked = false;
        while !self.packets.is_blocked
            && self
                .interface
                .poll_egress(at, &mut self.packets, &mut self.sockets)
                == PollResult::SocketStateChanged
        {}
        turn.is_blocked = self.packets.is_blocked;
        let deadline = self.sweep(now, turn);
        let next = self.interface.poll_at(at, &self.sockets);
        let next =
            next.map(|next| Duration::from_micros(next.total_micros().try_into().unwrap_or(0)));
        turn.next = next.into_iter().chain(deadline).min();
    }

    /// Wakes tasks and lets orphans go. Returns when the next orphan's patience ends.
    fn sweep(&mut self, now: Duration, turn: &mut Turn) -> Option<Duration> {
        let mut gone = Vec::new();
        let mut deadline = None;
        for (&id, conn) in &mut self.conns {
            let socket = self.sockets.get_mut::<Socket<'_>>(conn.handle);
            conn.unannounced = 0;
            if socket.can_recv() || !socket.may_recv() {
                turn.wakers.extend(conn.reader.take());
            }
            if !socket.may_send() || socket.send_capacity() - socket.send_queue() >= WRITABLE {
                turn.wakers.extend(conn.writer.take());
            }
            // A closed socket that still knows its peer has a reset to send.
            let is_over = socket.state() == State::Closed && socket.remote_endpoint().is_none();
            if is_over && (conn.is_orphan || conn.whom.is_some()) {
                gone.push(id);
            } else if conn.is_orphan {
                if conn.linger(socket, now) {
                    gone.push(id);
                } else {
                    let until = conn.linger.map(|(_, until)| until);
                    deadline = deadline.into_iter().chain(until).min();
                }
            }
        }
        for id in gone {
            self.remove(id, turn);
        }
        deadline
    }

    /// Removes a connection without a word to the peer.
    fn remove(&mut self, id: ConnId, turn: &mut Turn) {
        let Some(conn) = self.conns.remove(&id) else {
            return;
        };
        self.sockets.remove(conn.handle);
        count_down(&self.counters.open);
        turn.wakers
            .extend(conn.reader.into_iter().chain(conn.writer));
        if self.by_tuple.get(&conn.tuple) == Some(&id) {
            self.by_tuple.remove(&conn.tuple);
        }
        let peer = conn.tuple.peer.ip();
        if !self.by_tuple.keys().any(|tuple| tuple.peer.ip() == peer) {
            self.packets.neighbours.remove(peer);
        }
    }

    pub(super) fn close(&mut self, turn: &mut Turn) {
        let all: Vec<_> = self.conns.keys().copied().collect();
        all.into_iter().for_each(|id| self.remove(id, turn));
    }
}

impl Conn {
    /// What an orphan does besides what TCP does by itself; `true` when it has waited long enough.
    fn linger(&mut self, socket: &mut Socket<'_>, now: Duration) -> bool {
        let state = socket.state();
        if socket.can_recv() && state != State::Closed {
            // Nobody will ever read it, and the peer should know.
            socket.abort();
            return false;
        }
        let patience = match state {
            State::FinWait2 => FIN_WAIT,
            State::TimeWait => TIME_WAIT,
            _ => return false,
        };
        match self.linger {
            Some((since, until)) if since == state => until <= now,
            _ => {
                self.linger = Some((state, now + patience));
                false
            }
        }
    }
}

fn new_socket() -> Socket<'static> {
    let buffer = || SocketBuffer::new(vec![0; BUFFER]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.set_nagle_enabled(false);
    // Packets come in batches, and a batch is acknowledged as a whole.
    socket.set_ack_delay(None);
    socket.set_keep_alive(Some(KEEP_ALIVE));
    socket.set_timeout(Some(SILENCE));
    socket
}

fn instant(now: Duration) -> Instant {
    Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}
