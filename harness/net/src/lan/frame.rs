//! Bytes of the frames that the gateway sends: Ethernet II, ARP, IPv4, UDP, ICMP. Pure functions.
//!
//! Sources: IEEE 802.3 (frame sizes), RFC 826, 791, 768, 792. The layouts themselves are `smoltcp::wire`'s.

use std::net::{Ipv4Addr, SocketAddrV4};

use bytes::{Bytes, BytesMut};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    IPV4_HEADER_LEN, Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, Icmpv4TimeExceeded,
    IpProtocol, Ipv4Packet, Ipv4Repr, UDP_HEADER_LEN, UdpPacket, UdpRepr,
};

use super::fragments;

/// A hardware address.
pub(super) type Mac = EthernetAddress;

/// The gateway's hardware address: locally administered, so that it is nobody's.
pub(super) const GATEWAY_MAC: Mac = EthernetAddress([0x02, 0x53, 0x48, 0x00, 0x00, 0x01]);

/// Bytes of an Ethernet header.
pub(super) const ETHERNET_HEADER: usize = 14;
/// Largest IPv4 packet on the segment in bytes.
pub(super) const MTU: usize = 1500;
/// Shortest frame without FCS in bytes: no real NIC ever receives a shorter one.
const SHORTEST: usize = 60;
/// Time to live of everything the gateway sends.
const TTL: u8 = 64;
/// Most bytes of the offending packet's payload in an ICMP error (RFC 1812, section 4.3.2.3, keeps the whole below 576).
const QUOTED: usize = 576 - 2 * IPV4_HEADER_LEN - 8;

/// A hardware address as people write it, `b8:27:eb:…`.
pub(super) fn mac_text(mac: Mac) -> String {
    mac.0.map(|byte| format!("{byte:02x}")).join(":")
}

/// A frame from the gateway to nobody yet, with a payload of `length` bytes that `fill` writes; padded to the shortest frame.
pub(super) fn unaddressed<R>(
    ethertype: EthernetProtocol,
    length: usize,
    fill: impl FnOnce(&mut [u8]) -> R,
) -> (BytesMut, R) {
    let mut buffer = BytesMut::zeroed((ETHERNET_HEADER + length).max(SHORTEST));
    let mut frame = EthernetFrame::new_unchecked(&mut buffer[..]);
    frame.set_src_addr(GATEWAY_MAC);
    frame.set_ethertype(ethertype);
    let result = fill(&mut frame.payload_mut()[..length]);
    (buffer, result)
}

/// Writes the destination into a frame that has none yet.
pub(super) fn address(mut frame: BytesMut, to: Mac) -> Bytes {
    EthernetFrame::new_unchecked(&mut frame[..]).set_dst_addr(to);
    frame.freeze()
}

/// "`host` is at the gateway", as the answer to an ARP request.
pub(super) fn arp_reply(host: Ipv4Addr, asker: Mac, asker_address: Ipv4Addr) -> Bytes {
    let reply = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: GATEWAY_MAC,
        source_protocol_addr: host,
        target_hardware_addr: asker,
        target_protocol_addr: asker_address,
    };
    let fill = |buffer: &mut [u8]| reply.emit(&mut ArpPacket::new_unchecked(buffer));
    address(
        unaddressed(EthernetProtocol::Arp, reply.buffer_len(), fill).0,
        asker,
    )
}

/// A UDP datagram. `None` when the payload does not fit into one packet.
pub(super) fn udp(
    to: Mac,
    source: SocketAddrV4,
    destination: SocketAddrV4,
    payload: &[u8],
) -> Option<Bytes> {
    let length = UDP_HEADER_LEN + payload.len();
    if IPV4_HEADER_LEN + length > MTU {
        return None;
    }
    let datagram = UdpRepr {
        src_port: source.port(),
        dst_port: destination.port(),
    };
    let (from, towards) = (*source.ip(), *destination.ip());
    Some(ipv4(to, from, towards, IpProtocol::Udp, length, |buffer| {
        datagram.emit(
            &mut UdpPacket::new_unchecked(buffer),
            &from.into(),
            &towards.into(),
            payload.len(),
            |body| body.copy_from_slice(payload),
            &ChecksumCapabilities::default(),
        );
    }))
}

/// An ICMP message, in fragments when it is longer than a packet.
pub(super) fn icmp(
    to: Mac,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    message: &Icmpv4Repr<'_>,
    identification: u16,
) -> Vec<Bytes> {
    let length = message.buffer_len();
    let whole = ipv4(
        to,
        source,
        destination,
        IpProtocol::Icmp,
        length,
        |buffer| {
            message.emit(
                &mut Icmpv4Packet::new_unchecked(buffer),
                &ChecksumCapabilities::default(),
            );
        },
    );
    if IPV4_HEADER_LEN + length <= MTU {
        return vec![whole];
    }
    let packet = whole.get(ETHERNET_HEADER..).unwrap_or_default();
    let pieces = fragments::cut(packet, MTU, identification).into_iter();
    let framed = pieces.map(|piece| {
        let fill = |buffer: &mut [u8]| buffer.copy_from_slice(&piece);
        address(unaddressed(EthernetProtocol::Ipv4, piece.len(), fill).0, to)
    });
    framed.collect()
}

/// Why a packet came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undeliverable {
    /// Nobody listens on that UDP port.
    Port,
    /// There is no way to that network.
    Network,
    /// Its time to live has run out.
    TimeToLive,
}

/// The ICMP error about a packet, quoting it, from `source`.
pub(super) fn undeliverable(
    to: Mac,
    source: Ipv4Addr,
    header: Ipv4Repr,
    payload: &[u8],
    why: Undeliverable,
) -> Vec<Bytes> {
    let data = payload.get(..QUOTED).unwrap_or(payload);
    let unreachable = |reason| Icmpv4Repr::DstUnreachable {
        reason,
        header,
        data,
    };
    let message = match why {
        Undeliverable::Port => unreachable(Icmpv4DstUnreachable::PortUnreachable),
        Undeliverable::Network => unreachable(Icmpv4DstUnreachable::NetUnreachable),
        Undeliverable::TimeToLive => Icmpv4Repr::TimeExceeded {
            reason: Icmpv4TimeExceeded::TtlExpired,
            header,
            data,
        },
    };
    icmp(to, source, header.src_addr, &message, 0)
}

fn ipv4(
    to: Mac,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: IpProtocol,
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Bytes {
    let header = Ipv4Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: protocol,
        payload_len: length,
        hop_limit: TTL,
    };
    let fill = |buffer: &mut [u8]| {
        let mut packet = Ipv4Packet::new_unchecked(buffer);
        header.emit(&mut packet, &ChecksumCapabilities::default());
        fill(packet.payload_mut());
    };
    address(
        unaddressed(EthernetProtocol::Ipv4, IPV4_HEADER_LEN + length, fill).0,
        to,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: Mac = EthernetAddress([0xb8, 0x27, 0xeb, 1, 2, 3]);

    #[test]
    fn frames_have_their_documented_bytes() {
        let guest = Ipv4Addr::new(10, 0, 2, 100);
        let arp = arp_reply(Ipv4Addr::new(10, 0, 2, 1), GUEST, guest);
        insta::assert_snapshot!(hex::encode(&arp), @"b827eb010203025348000001080600010800060400020253480000010a000201b827eb0102030a000264000000000000000000000000000000000000");
        let dns = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 1), 53);
        let frame = udp(GUEST, dns, SocketAddrV4::new(guest, 4000), b"odd").unwrap();
        insta::assert_snapshot!(hex::encode(&frame), @"b827eb01020302534800000108004500001f000040004011226a0a0002010a00026400350fa0000b043a6f6464000000000000000000000000000000");
        assert_eq!(mac_text(GUEST), "b8:27:eb:01:02:03");
    }

    #[test]
    fn nothing_longer_than_the_mtu_is_made() {
        let at = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 1), 53);
        assert_eq!(
            udp(GUEST, at, at, &[0; 1472]).unwrap().len(),
            ETHERNET_HEADER + MTU
        );
        assert_eq!(udp(GUEST, at, at, &[0; 1473]), None);
    }
}
