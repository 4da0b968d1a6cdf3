//! The gateway as a host: what it does with a frame that is for it.
//!
//! It answers ARP for itself and for servers on the segment, echo requests for every address that has a service, and hands
//! UDP to the services. TCP it only recognises. Everything else (IPv6, LLDP, VLANs, multicast) is ignored quietly.
//!
//! Towards addresses off the segment it is a router: those with a service are one hop away, and all others are unreachable, since there
//! is no Internet here. TCP is the exception: connections to nobody are reset, which ends the wait as well.
//!
//! Sources: RFC 826, 792, 1122 sections 3.2.2 (when not to send ICMP errors) and 3.3.2 (fragments), RFC 1812 section 5.2.7.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetFrame, EthernetProtocol, Icmpv4Packet, Icmpv4Repr,
    IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

use super::Config;
use super::fragments::Reassembly;
use super::frame::{self, ETHERNET_HEADER, Mac, Undeliverable};
use super::lock::lock;
use super::observe::{Counters, count};
use super::sockets::{Delivery, Sockets};
use super::tcp::Registry;
use super::udp::{Answer, Datagram, Service, To};
use shakedown_base::mac;
use shakedown_base::timeline::{Event, Timeline};

/// The ICMP message that is no error and has an answer.
const ECHO_REQUEST: u8 = 8;

/// What becomes of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// These frames go back over the same cable.
    Reply(Vec<Bytes>),
    /// An IPv4 packet for the TCP engine.
    Tcp(Bytes),
    /// Nothing.
    Done,
}

/// A UDP port that somebody serves.
pub(super) struct Binding {
    pub(super) port: u16,
    pub(super) addresses: Vec<Ipv4Addr>,
    /// Datagrams to everybody are for the service too.
    pub(super) takes_broadcast: bool,
    pub(super) service: Mutex<Box<dyn Service>>,
}

/// The gateway.
pub(super) struct Host {
    pub(super) config: Config,
    pub(super) bindings: Vec<Binding>,
    pub(super) registry: Arc<Registry>,
    pub(super) reassembly: Mutex<Reassembly>,
    pub(super) sockets: Sockets,
    pub(super) counters: Arc<Counters>,
    pub(super) timeline: Timeline,
}

/// A frame's payload makes no sense.
struct Malformed;

impl From<smoltcp::wire::Error> for Malformed {
    fn from(_: smoltcp::wire::Error) -> Self {
        Self
    }
}

impl Host {
    /// Takes a frame that is addressed to the gateway or to everybody.
    pub(super) fn receive(&self, frame: &Bytes, now: Duration) -> Verdict {
        self.try_receive(frame, now).unwrap_or_else(|Malformed| {
            count(&self.counters.malformed, 1);
            Verdict::Done
        })
    }

    fn try_receive(&self, frame: &Bytes, now: Duration) -> Result<Verdict, Malformed> {
        let ethernet = EthernetFrame::new_checked(&frame[..])?;
        match ethernet.ethertype() {
            EthernetProtocol::Arp => self.arp(ethernet.payload()),
            EthernetProtocol::Ipv4 => self.ipv4(frame, ethernet.src_addr(), now),
            _ => Ok(Verdict::Done),
        }
    }

    fn arp(&self, payload: &[u8]) -> Result<Verdict, Malformed> {
        let ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: asker,
            source_protocol_addr: asker_address,
            target_protocol_addr: wanted,
            ..
        } = ArpRepr::parse(&ArpPacket::new_checked(payload)?)?
        else {
            return Ok(Verdict::Done);
        };
        // Who announces its own address asks for it too, and must not learn that somebody has it.
        let is_ours =
            self.config.subnet.contains(wanted) && self.is_host(wanted) && asker_address != wanted;
        if operation != ArpOperation::Request || !asker.is_unicast() || !is_ours {
            return Ok(Verdict::Done);
        }
        let reply = frame::arp_reply(wanted, asker, asker_address);
        Ok(Verdict::Reply(vec![reply]))
    }

    fn ipv4(&self, frame: &Bytes, from: Mac, now: Duration) -> Result<Verdict, Malformed> {
        let mut bytes = frame.slice(ETHERNET_HEADER..);
        let mut packet = Ipv4Packet::new_checked(&bytes[..])?;
        if packet.version() == 4 && (packet.more_frags() || packet.frag_offset() != 0) {
            count(&self.counters.fragments, 1);
            if !packet.verify_checksum() {
                return Err(Malformed);
            }
            let Some(whole) = lock(&self.reassembly).take(&packet, now) else {
                return Ok(Verdict::Done);
            };
            bytes = whole;
            packet = Ipv4Packet::new_checked(&bytes[..])?;
        }
        let header = Ipv4Repr::parse(&packet, &ChecksumCapabilities::default())?;
        let payload = packet.payload();
        if let Some(why) = self.not_routed(header) {
            // RFC 1122, section 3.2.2: never about an ICMP error.
            let is_error = header.next_header == IpProtocol::Icmp
                && payload.first().is_none_or(|kind| *kind != ECHO_REQUEST);
            let gateway = self.config.gateway;
            return Ok(match is_error || !self.is_unicast(header.src_addr) {
                true => Verdict::Done,
                false => reply_with(frame::undeliverable(from, gateway, header, payload, why)),
            });
        }
        let is_unicast = self.is_unicast(header.dst_addr);
        match header.next_header {
            IpProtocol::Tcp if is_unicast => {
                let length = usize::from(packet.total_len());
                Ok(Verdict::Tcp(bytes.slice(..length)))
            }
            IpProtocol::Icmp if is_unicast => self.icmp(header, payload, from),
            IpProtocol::Udp => self.udp(header, payload, from, now),
            _ => Ok(Verdict::Done),
        }
    }

    /// Why a router would not pass this packet on; `None` for what is on the segment or has a service.
    fn not_routed(&self, header: Ipv4Repr) -> Option<Undeliverable> {
        let destination = header.dst_addr;
        if self.config.subnet.contains(destination) || !self.is_unicast(destination) {
            None
        } else if header.hop_limit <= 1 {
            Some(Undeliverable::TimeToLive)
        } else if header.next_header == IpProtocol::Tcp || self.is_host(destination) {
            None
        } else {
            Some(Undeliverable::Network)
        }
    }

    fn icmp(&self, header: Ipv4Repr, payload: &[u8], from: Mac) -> Result<Verdict, Malformed> {
        let packet = Icmpv4Packet::new_checked(payload)?;
        if !packet.verify_checksum() {
            return Err(Malformed);
        }
        match Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default()) {
            Ok(Icmpv4Repr::EchoRequest {
                ident,
                seq_no,
                data,
            }) if self.is_host(header.dst_addr) => {
                let reply = Icmpv4Repr::EchoReply {
                    ident,
                    seq_no,
                    data,
                };
                let (here, there) = (header.dst_addr, header.src_addr);
                Ok(reply_with(frame::icmp(from, here, there, &reply, seq_no)))
            }
            // Messages that smoltcp does not know are none of ours.
            _ => Ok(Verdict::Done),
        }
    }

    fn udp(
        &self,
        header: Ipv4Repr,
        payload: &[u8],
        from: Mac,
        now: Duration,
    ) -> Result<Verdict, Malformed> {
        let packet = UdpPacket::new_checked(payload)?;
        let (source, destination) = (header.src_addr, header.dst_addr);
        let ports = UdpRepr::parse(
            &packet,
            &source.into(),
            &destination.into(),
            &ChecksumCapabilities::default(),
        )?;
        let is_unicast = self.is_unicast(destination);
        let is_bound = |b: &&Binding| {
            b.port == ports.dst_port
                && (b.addresses.contains(&destination)
                    || b.takes_broadcast && self.is_broadcast(destination))
        };
        let Some(binding) = self.bindings.iter().find(is_bound) else {
            let (from_port, to_port) = (ports.src_port, ports.dst_port);
            let (client, server) = (
                SocketAddrV4::new(source, from_port),
                SocketAddrV4::new(destination, to_port),
            );
            match self.sockets.deliver(from, client, server, packet.payload()) {
                Delivery::Taken => return Ok(Verdict::Done),
                Delivery::Overflowed => {
                    count(&self.counters.overflowed, 1);
                    return Ok(Verdict::Done);
                }
                Delivery::Nobody => {}
            }
            if !is_unicast || !self.is_unicast(source) {
                return Ok(Verdict::Done);
            }
            let why = Undeliverable::Port;
            let complaint = frame::undeliverable(from, destination, header, payload, why);
            return Ok(reply_with(complaint));
        };
        let datagram = Datagram {
            source: SocketAddrV4::new(source, ports.src_port),
            destination: SocketAddrV4::new(destination, ports.dst_port),
            payload: packet.payload(),
        };
        let answer = lock(&binding.service)
            .answer(&datagram, now)
            .ok_or(Malformed)?;
        Ok(self.carry_out(answer, &datagram, from))
    }

    fn carry_out(&self, answer: Answer, request: &Datagram<'_>, from: Mac) -> Verdict {
        if let Some(event) = answer.event {
            let machine = mac::Mac(from.0);
            if let Event::Lease { address, .. } = &event {
                self.timeline.lives_at(machine, *address);
            }
            self.timeline.of_machine(machine).emit(event);
        }
        let Some((to, payload)) = answer.reply else {
            return Verdict::Done;
        };
        let here = if self.is_unicast(*request.destination.ip()) {
            *request.destination.ip()
        } else {
            self.config.gateway
        };
        let here = SocketAddrV4::new(here, request.destination.port());
        let (mac, there) = match to {
            To::Sender => (from, request.source),
            To::Machine(mac, address, port) => (mac, SocketAddrV4::new(address, port)),
            To::Everybody(port) => (Mac::BROADCAST, SocketAddrV4::new(Ipv4Addr::BROADCAST, port)),
        };
        reply_with(frame::udp(mac, here, there, &payload))
    }

    /// Whether some service is at this address.
    fn is_host(&self, address: Ipv4Addr) -> bool {
        address == self.config.gateway
            || self
                .bindings
                .iter()
                .any(|binding| binding.addresses.contains(&address))
            || self.registry.has_host(address)
            || self.sockets.has_host(address)
    }

    fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        address.is_broadcast() || address == self.config.subnet.broadcast()
    }

    fn is_unicast(&self, address: Ipv4Addr) -> bool {
        !self.is_broadcast(address) && !address.is_multicast() && !address.is_unspecified()
    }
}

fn reply_with(frames: impl IntoIterator<Item = Bytes>) -> Verdict {
    Verdict::Reply(frames.into_iter().collect())
}
