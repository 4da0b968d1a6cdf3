//! How packets get into and out of `smoltcp`: one at a time in, straight onto the cable out.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use bytes::Bytes;
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetProtocol, Ipv4Packet, TcpPacket, TcpRepr, TcpSeqNumber};

use crate::lan::egress::Egress;
use crate::lan::frame::{self, MTU, Mac};

/// Frames of room on the cable that segments leave for replies, which cannot wait.
const RESERVE: usize = 16;

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tuple {
    /// The guest.
    pub(super) peer: SocketAddrV4,
    /// The service.
    pub(super) local: SocketAddrV4,
}

/// What the engine looks at in a segment before `smoltcp` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) tuple: Tuple,
    pub(super) sequence: TcpSeqNumber,
    /// A request for a new connection.
    pub(super) opens: bool,
    pub(super) resets: bool,
}

impl Segment {
    /// Reads an IPv4 packet that holds a TCP segment; `None` when it makes no sense.
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let packet = Ipv4Packet::new_checked(packet).ok()?;
        let (source, destination) = (packet.src_addr(), packet.dst_addr());
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        TcpRepr::parse(
            &segment,
            &source.into(),
            &destination.into(),
            &ChecksumCapabilities::default(),
        )
        .ok()?;
        Some(Self {
            tuple: Tuple {
                peer: SocketAddrV4::new(source, segment.src_port()),
                local: SocketAddrV4::new(destination, segment.dst_port()),
            },
            sequence: segment.seq_number(),
            opens: segment.syn() && !segment.ack(),
            resets: segment.rst(),
        })
    }
}

/// `smoltcp`'s view of a switch port. TCP alone comes through here, without Ethernet headers.
#[derive(Debug)]
pub(super) struct Packets {
    egress: Arc<Egress>,
    /// The packet that `smoltcp` must receive now, and who sent it.
    pub(super) incoming: Option<(Bytes, Mac)>,
    /// Hardware addresses of the peers of all connections. A peer has sent a segment before it has a connection, so ARP is not needed.
    pub(super) neighbours: HashMap<Ipv4Addr, Mac>,
    /// `smoltcp` had more to send than the cable had room for.
    pub(super) is_blocked: bool,
}

impl Packets {
    pub(super) fn new(egress: Arc<Egress>) -> Self {
        Self {
            egress,
            incoming: None,
            neighbours: HashMap::new(),
            is_blocked: false,
        }
    }
}

impl Device for Packets {
    type RxToken<'a> = Received;
    type TxToken<'a> = Transmit<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Received, Transmit<'_>)> {
        let (packet, from) = self.incoming.take()?;
        let transmit = Transmit {
            packets: self,
            to: Some(from),
        };
        Some((Received(packet), transmit))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Transmit<'_>> {
        if self.egress.room() <= RESERVE {
            self.is_blocked = true;
            return None;
        }
        Some(Transmit {
            packets: self,
            to: None,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

/// A packet on its way in.
#[derive(Debug)]
pub(super) struct Received(Bytes);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

/// Leave to send one packet.
#[derive(Debug)]
pub(super) struct Transmit<'a> {
    packets: &'a Packets,
    /// Whom the packet answers, if it is an answer.
    to: Option<Mac>,
}

impl TxToken for Transmit<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let (frame, (result, peer)) =
            frame::unaddressed(EthernetProtocol::Ipv4, length, |buffer| {
                let result = f(buffer);
                (result, Ipv4Packet::new_unchecked(&*buffer).dst_addr())
            });
        if let Some(to) = self
            .to
            .or_else(|| self.packets.neighbours.get(&peer).copied())
        {
            self.packets.egress.deliver(frame::address(frame, to));
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn foreign_bytes_do_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..100), options in 5u8..16) {
            let _ = Segment::parse(&bytes);
            if let Some(first) = bytes.first_mut() {
                *first = 0x40 | options;
            }
            let _ = Segment::parse(&bytes);
        }
    }
}
