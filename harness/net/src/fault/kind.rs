//! Which kind of frame one is.

use shakedown_base::timeline::FrameKind;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket, UdpPacket,
};

const DHCP: [u16; 2] = [67, 68];
const DNS: u16 = 53;
const NTP: u16 = 123;
const TFTP: u16 = 69;

/// The frame is of this kind. Frames that make no sense are of [`FrameKind::Any`] alone.
pub(super) fn is_of(kind: FrameKind, frame: &[u8]) -> bool {
    kind == FrameKind::Any || layers(frame).is_some_and(|layers| layers.is_of(kind))
}

/// What a frame carries.
enum Layers {
    Arp,
    Icmp,
    Udp([u16; 2]),
    Tcp([u16; 2]),
}

impl Layers {
    fn is_of(&self, kind: FrameKind) -> bool {
        let (Self::Udp(ports) | Self::Tcp(ports)) = self else {
            return match kind {
                FrameKind::Arp => matches!(self, Self::Arp),
                FrameKind::Icmp => matches!(self, Self::Icmp),
                _ => false,
            };
        };
        let is_udp = matches!(self, Self::Udp(_));
        match kind {
            FrameKind::Any => true,
            FrameKind::Arp | FrameKind::Icmp => false,
            FrameKind::Udp => is_udp,
            FrameKind::Tcp => !is_udp,
            FrameKind::Dns => ports.contains(&DNS),
            FrameKind::Dhcp => is_udp && ports.iter().any(|port| DHCP.contains(port)),
            FrameKind::Ntp => is_udp && ports.contains(&NTP),
            FrameKind::Tftp => is_udp && ports.contains(&TFTP),
        }
    }
}

fn layers(frame: &[u8]) -> Option<Layers> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    match ethernet.ethertype() {
        EthernetProtocol::Arp => return Some(Layers::Arp),
        EthernetProtocol::Ipv4 => {}
        _ => return None,
    }
    let packet = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    match packet.next_header() {
        IpProtocol::Icmp => Some(Layers::Icmp),
        IpProtocol::Udp => {
            let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
            Some(Layers::Udp([datagram.src_port(), datagram.dst_port()]))
        }
        IpProtocol::Tcp => {
            let segment = TcpPacket::new_checked(packet.payload()).ok()?;
            Some(Layers::Tcp([segment.src_port(), segment.dst_port()]))
        }
        _ => None,
    }
}
