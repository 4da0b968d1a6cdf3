//! Single frames, made and read by hand.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use shakedown_base::timeline::Timeline;
use shakedown_base::wire::WireEnd;
use shakedown_net::lan::{Config, Lan, TcpListener};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl,
    TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr,
};
use tokio::time::timeout;

pub(crate) const BOARD: EthernetAddress = EthernetAddress([0xb8, 0x27, 0xeb, 1, 2, 3]);
pub(crate) const ROUTER: EthernetAddress = EthernetAddress([0x02, 0x53, 0x48, 0, 0, 1]);
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 50);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);

pub(crate) fn start() -> (Lan, WireEnd, TcpListener) {
    let lan = Lan::start(Config::default(), Timeline::start()).unwrap();
    let listener = lan.listen(SERVER, 80).unwrap();
    let cable = lan.attach();
    (lan, cable, listener)
}

/// A DNS message that asks for the IPv4 address of a name.
pub(crate) fn dns_query(name: &str) -> Vec<u8> {
    let mut bytes = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    bytes
}

pub(crate) fn ethernet(to: EthernetAddress, ethertype: EthernetProtocol, payload: &[u8]) -> Bytes {
    let mut bytes = vec![0; 14 + payload.len()];
    let header = EthernetRepr {
        src_addr: BOARD,
        dst_addr: to,
        ethertype,
    };
    header.emit(&mut EthernetFrame::new_unchecked(&mut bytes));
    bytes[14..].copy_from_slice(payload);
    bytes.into()
}

pub(crate) fn ipv4(to: Ipv4Addr, protocol: IpProtocol, payload: &[u8]) -> Bytes {
    let header = Ipv4Repr {
        src_addr: ADDRESS,
        dst_addr: to,
        next_header: protocol,
        payload_len: payload.len(),
        hop_limit: 64,
    };
    let mut bytes = vec![0; 20 + payload.len()];
    header.emit(
        &mut Ipv4Packet::new_unchecked(&mut bytes),
        &ChecksumCapabilities::default(),
    );
    bytes[20..].copy_from_slice(payload);
    ethernet(ROUTER, EthernetProtocol::Ipv4, &bytes)
}

pub(crate) fn arp(operation: ArpOperation, asker: Ipv4Addr, wanted: Ipv4Addr) -> Bytes {
    let request = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: BOARD,
        source_protocol_addr: asker,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: wanted,
    };
    let mut bytes = vec![0; request.buffer_len()];
    request.emit(&mut ArpPacket::new_unchecked(&mut bytes));
    ethernet(EthernetAddress::BROADCAST, EthernetProtocol::Arp, &bytes)
}

pub(crate) fn ping(to: Ipv4Addr) -> Bytes {
    let request = Icmpv4Repr::EchoRequest {
        ident: 1,
        seq_no: 2,
        data: b"are you there",
    };
    let mut bytes = vec![0; request.buffer_len()];
    request.emit(
        &mut Icmpv4Packet::new_unchecked(&mut bytes[..]),
        &ChecksumCapabilities::default(),
    );
    ipv4(to, IpProtocol::Icmp, &bytes)
}

pub(crate) fn udp(to: Ipv4Addr, port: u16, payload: &[u8]) -> Bytes {
    let ports = UdpRepr {
        src_port: 4000,
        dst_port: port,
    };
    let mut bytes = vec![0; 8 + payload.len()];
    let fill = |body: &mut [u8]| body.copy_from_slice(payload);
    let checksums = ChecksumCapabilities::default();
    ports.emit(
        &mut UdpPacket::new_unchecked(&mut bytes[..]),
        &ADDRESS.into(),
        &to.into(),
        payload.len(),
        fill,
        &checksums,
    );
    ipv4(to, IpProtocol::Udp, &bytes)
}

pub(crate) fn tcp(
    control: TcpControl,
    sequence: i32,
    acknowledged: Option<TcpSeqNumber>,
    payload: &[u8],
) -> Bytes {
    segment_from((4000, 8192), control, sequence, acknowledged, payload)
}

/// A segment from the given port, with the given window.
pub(crate) fn segment_from(
    (port, window): (u16, u16),
    control: TcpControl,
    sequence: i32,
    acknowledged: Option<TcpSeqNumber>,
    payload: &[u8],
) -> Bytes {
    let segment = TcpRepr {
        src_port: port,
        dst_port: 80,
        control,
        seq_number: TcpSeqNumber(sequence),
        ack_number: acknowledged,
        window_len: window,
        window_scale: None,
        max_seg_size: (control == TcpControl::Syn).then_some(536),
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload,
    };
    let mut bytes = vec![0; segment.buffer_len()];
    segment.emit(
        &mut TcpPacket::new_unchecked(&mut bytes[..]),
        &ADDRESS.into(),
        &SERVER.into(),
        &ChecksumCapabilities::default(),
    );
    ipv4(SERVER, IpProtocol::Tcp, &bytes)
}

pub(crate) async fn reply(cable: &mut WireEnd) -> Bytes {
    timeout(Duration::from_secs(10), cable.recv())
        .await
        .expect("a reply")
        .expect("a LAN")
}

/// The next segment, as sequence number, flags and payload.
pub(crate) async fn segment(cable: &mut WireEnd) -> (TcpSeqNumber, TcpControl, Vec<u8>) {
    let frame = reply(cable).await;
    let packet = Ipv4Packet::new_checked(&frame[14..]).unwrap();
    let (source, destination) = (packet.src_addr().into(), packet.dst_addr().into());
    let segment = TcpPacket::new_checked(packet.payload()).unwrap();
    let segment = TcpRepr::parse(
        &segment,
        &source,
        &destination,
        &ChecksumCapabilities::default(),
    )
    .unwrap();
    (
        segment.seq_number,
        segment.control,
        segment.payload.to_vec(),
    )
}
