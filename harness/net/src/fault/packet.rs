//! Frames taken apart and put together again. Pure functions.

use std::net::SocketAddrV4;

use bytes::Bytes;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IPV4_HEADER_LEN, IpProtocol, Ipv4Packet,
    Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UDP_HEADER_LEN, UdpPacket, UdpRepr,
};

pub(super) const ETHERNET_HEADER: usize = 14;
const SHORTEST: usize = 60;
const TTL: u8 = 64;

/// The two ends of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) from_mac: EthernetAddress,
    pub(super) to_mac: EthernetAddress,
    pub(super) from: SocketAddrV4,
    pub(super) to: SocketAddrV4,
}

impl Ends {
    /// The way back.
    pub(super) fn turned(self) -> Self {
        Self {
            from_mac: self.to_mac,
            to_mac: self.from_mac,
            from: self.to,
            to: self.from,
        }
    }
}

/// A TCP segment, as far as faults look at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) opens: bool,
    pub(super) sequence: TcpSeqNumber,
    pub(super) acknowledges: TcpSeqNumber,
    pub(super) length: usize,
}

/// The UDP datagram in a frame, whole and not fragmented.
pub(super) fn datagram(frame: &[u8]) -> Option<(Ends, &[u8])> {
    let (ends, payload) = ipv4(frame, IpProtocol::Udp)?;
    let datagram = UdpPacket::new_checked(payload).ok()?;
    let length = usize::from(datagram.len());
    let (from_port, to_port) = (datagram.src_port(), datagram.dst_port());
    let payload = payload.get(UDP_HEADER_LEN..length)?;
    Some((ends.with_ports(from_port, to_port), payload))
}

/// The TCP segment in a frame.
pub(super) fn segment(frame: &[u8]) -> Option<(Ends, Segment)> {
    let (ends, payload) = ipv4(frame, IpProtocol::Tcp)?;
    let segment = TcpPacket::new_checked(payload).ok()?;
    let ends = ends.with_ports(segment.src_port(), segment.dst_port());
    let segment = Segment {
        opens: segment.syn() && !segment.ack(),
        sequence: segment.seq_number(),
        acknowledges: segment.ack_number(),
        length: segment.payload().len(),
    };
    Some((ends, segment))
}

impl Ends {
    fn with_ports(mut self, from: u16, to: u16) -> Self {
        self.from.set_port(from);
        self.to.set_port(to);
        self
    }
}

fn ipv4(frame: &[u8], protocol: IpProtocol) -> Option<(Ends, &[u8])> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let bytes = frame.get(ETHERNET_HEADER..)?;
    let packet = Ipv4Packet::new_checked(bytes).ok()?;
    let is_whole = !packet.more_frags() && packet.frag_offset() == 0;
    if !is_whole || packet.next_header() != protocol {
        return None;
    }
    let ends = Ends {
        from_mac: ethernet.src_addr(),
        to_mac: ethernet.dst_addr(),
        from: SocketAddrV4::new(packet.src_addr(), 0),
        to: SocketAddrV4::new(packet.dst_addr(), 0),
    };
    let header = usize::from(packet.header_len());
    let payload = bytes.get(header..usize::from(packet.total_len()))?;
    Some((ends, payload))
}

/// A frame with this UDP datagram.
pub(super) fn with_datagram(ends: Ends, payload: &[u8]) -> Bytes {
    let repr = UdpRepr {
        src_port: ends.from.port(),
        dst_port: ends.to.port(),
    };
    let length = UDP_HEADER_LEN + payload.len();
    with_ipv4(ends, IpProtocol::Udp, length, |buffer| {
        repr.emit(
            &mut UdpPacket::new_unchecked(buffer),
            &(*ends.from.ip()).into(),
            &(*ends.to.ip()).into(),
            payload.len(),
            |body| body.copy_from_slice(payload),
            &ChecksumCapabilities::default(),
        );
    })
}

/// A frame that resets a connection. `acknowledges` is for the answer to a request that has no other number to go by (RFC 9293, section 3.10.7.1).
pub(super) fn reset(
    ends: Ends,
    sequence: TcpSeqNumber,
    acknowledges: Option<TcpSeqNumber>,
) -> Bytes {
    let repr = TcpRepr {
        src_port: ends.from.port(),
        dst_port: ends.to.port(),
        control: TcpControl::Rst,
        seq_number: sequence,
        ack_number: acknowledges,
        window_len: 0,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    with_ipv4(ends, IpProtocol::Tcp, repr.buffer_len(), |buffer| {
        repr.emit(
            &mut TcpPacket::new_unchecked(buffer),
            &(*ends.from.ip()).into(),
            &(*ends.to.ip()).into(),
            &ChecksumCapabilities::default(),
        );
    })
}

fn with_ipv4(
    ends: Ends,
    next_header: IpProtocol,
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Bytes {
    let header = Ipv4Repr {
        src_addr: *ends.from.ip(),
        dst_addr: *ends.to.ip(),
        next_header,
        payload_len: length,
        hop_limit: TTL,
    };
    let total = ETHERNET_HEADER + IPV4_HEADER_LEN + length;
    let mut frame = vec![0; total.max(SHORTEST)];
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame[..]);
    ethernet.set_src_addr(ends.from_mac);
    ethernet.set_dst_addr(ends.to_mac);
    ethernet.set_ethertype(EthernetProtocol::Ipv4);
    let payload = &mut ethernet.payload_mut()[..IPV4_HEADER_LEN + length];
    let mut packet = Ipv4Packet::new_unchecked(payload);
    header.emit(&mut packet, &ChecksumCapabilities::default());
    fill(packet.payload_mut());
    frame.into()
}
