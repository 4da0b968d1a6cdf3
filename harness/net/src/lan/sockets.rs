//! UDP ports that a task serves: for services that send more than one datagram for each that they receive, or unasked.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::Error;
use super::frame::{self, Mac};
use super::lock::lock;
use super::switch::Switch;

/// Datagrams that may wait for their task.
const BACKLOG: usize = 256;
/// No switch port: what the gateway sends goes to whatever port its receiver is on.
const GATEWAY: u32 = u32::MAX;

/// A datagram from a guest.
#[derive(Debug)]
pub(super) struct Received {
    /// The NIC that it came from.
    pub(super) mac: Mac,
    /// Who sent it.
    pub(super) source: SocketAddrV4,
    /// The port that it came to.
    pub(super) port: u16,
    /// The bytes behind the UDP header.
    pub(super) payload: Vec<u8>,
}

/// The open sockets of a LAN.
#[derive(Debug, Default)]
pub(super) struct Sockets(Mutex<Vec<Open>>);

#[derive(Debug)]
struct Open {
    address: Ipv4Addr,
    ports: Vec<RangeInclusive<u16>>,
    sender: mpsc::Sender<Received>,
}

impl Open {
    fn has(&self, address: Ipv4Addr, port: u16) -> bool {
        self.address == address && self.ports.iter().any(|ports| ports.contains(&port))
    }
}

/// A socket: ports of one address. Dropping it closes them.
#[derive(Debug)]
pub(super) struct Socket {
    address: Ipv4Addr,
    received: mpsc::Receiver<Received>,
    switch: Arc<Switch>,
}

/// What became of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// A task has it.
    Taken,
    /// Its task is too far behind.
    Overflowed,
    /// Nobody serves that port.
    Nobody,
}

impl Sockets {
    /// Opens ports of an address.
    pub(super) fn open(
        &self,
        address: Ipv4Addr,
        ports: Vec<RangeInclusive<u16>>,
        switch: Arc<Switch>,
    ) -> Result<Socket, Error> {
        let mut sockets = lock(&self.0);
        sockets.retain(|open| !open.sender.is_closed());
        let first = ports.iter().map(|ports| *ports.start()).next();
        let is_open = |port: &u16| sockets.iter().any(|open| open.has(address, *port));
        if let Some(port) = first.filter(is_open) {
            return Err(Error::InUse(SocketAddrV4::new(address, port)));
        }
        let (sender, received) = mpsc::channel(BACKLOG);
        sockets.push(Open {
            address,
            ports,
            sender,
        });
        Ok(Socket {
            address,
            received,
            switch,
        })
    }

    /// Hands a datagram to its task.
    pub(super) fn deliver(
        &self,
        mac: Mac,
        source: SocketAddrV4,
        destination: SocketAddrV4,
        payload: &[u8],
    ) -> Delivery {
        let sockets = lock(&self.0);
        let is_it = |open: &&Open| open.has(*destination.ip(), destination.port());
        let Some(open) = sockets.iter().find(is_it) else {
            return Delivery::Nobody;
        };
        let received = Received {
            mac,
            source,
            port: destination.port(),
            payload: payload.to_vec(),
        };
        match open.sender.try_send(received) {
            Ok(()) => Delivery::Taken,
            Err(mpsc::error::TrySendError::Full(_)) => Delivery::Overflowed,
            Err(mpsc::error::TrySendError::Closed(_)) => Delivery::Nobody,
        }
    }

    /// Whether a task serves this address, on whatever port.
    pub(super) fn has_host(&self, address: Ipv4Addr) -> bool {
        lock(&self.0).iter().any(|open| open.address == address)
    }

    /// Ends all sockets.
    pub(super) fn close_all(&self) {
        lock(&self.0).clear();
    }
}

impl Socket {
    /// The address of its ports.
    pub(super) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The next datagram; `None` when the LAN has ended.
    pub(super) async fn receive(&mut self) -> Option<Received> {
        self.received.recv().await
    }

    /// Sends a datagram from one of its ports. One that does not fit into a packet is dropped.
    pub(super) fn send(&self, from: u16, mac: Mac, to: SocketAddrV4, payload: &[u8]) {
        let source = SocketAddrV4::new(self.address, from);
        if let Some(frame) = frame::udp(mac, source, to, payload) {
            self.switch.forward(&frame, mac, GATEWAY);
        }
    }
}
