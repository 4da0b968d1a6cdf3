//! Single frames, and what the gateway makes of them.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use shakedown_harness::lan::{Config, Direction, Lan, TcpListener};
use shakedown_harness::timeline::{Event, Timeline};
use shakedown_harness::wire::WireEnd;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl,
    TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::guest::GATEWAY;

const BOARD: EthernetAddress = EthernetAddress([0xb8, 0x27, 0xeb, 1, 2, 3]);
const ROUTER: EthernetAddress = EthernetAddress([0x02, 0x53, 0x48, 0, 0, 1]);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 50);
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);

fn start() -> (Lan, WireEnd, TcpListener) {
    let lan = Lan::start(Config::default(), Timeline::start()).unwrap();
    let listener = lan.listen(SERVER, 80).unwrap();
    let cable = lan.attach();
    (lan, cable, listener)
}

fn ethernet(to: EthernetAddress, ethertype: EthernetProtocol, payload: &[u8]) -> Bytes {
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

fn ipv4(to: Ipv4Addr, protocol: IpProtocol, payload: &[u8]) -> Bytes {
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

fn arp(operation: ArpOperation, asker: Ipv4Addr, wanted: Ipv4Addr) -> Bytes {
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

fn ping(to: Ipv4Addr) -> Bytes {
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

fn udp(to: Ipv4Addr, port: u16, payload: &[u8]) -> Bytes {
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

fn tcp(
    control: TcpControl,
    sequence: i32,
    acknowledged: Option<TcpSeqNumber>,
    payload: &[u8],
) -> Bytes {
    let segment = TcpRepr {
        src_port: 4000,
        dst_port: 80,
        control,
        seq_number: TcpSeqNumber(sequence),
        ack_number: acknowledged,
        window_len: 8192,
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

async fn reply(cable: &mut WireEnd) -> Bytes {
    timeout(Duration::from_secs(10), cable.recv())
        .await
        .expect("a reply")
        .expect("a LAN")
}

/// The next segment, as sequence number, flags and payload.
async fn segment(cable: &mut WireEnd) -> (TcpSeqNumber, TcpControl, Vec<u8>) {
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

#[tokio::test(start_paused = true)]
async fn arp_is_answered_for_hosts_of_the_segment_only() {
    let (lan, mut cable, _listener) = start();
    let local = Ipv4Addr::new(10, 0, 2, 9);
    let _local = lan.listen(local, 80).unwrap();
    let silent = [
        arp(ArpOperation::Request, ADDRESS, ADDRESS),
        arp(ArpOperation::Request, Ipv4Addr::UNSPECIFIED, ADDRESS),
        arp(ArpOperation::Request, GATEWAY, GATEWAY),
        arp(ArpOperation::Request, ADDRESS, Ipv4Addr::new(10, 0, 2, 8)),
        arp(ArpOperation::Request, ADDRESS, SERVER),
        arp(ArpOperation::Reply, ADDRESS, GATEWAY),
    ];
    for frame in silent {
        cable.send(frame);
    }
    for host in [GATEWAY, local] {
        cable.send(arp(ArpOperation::Request, ADDRESS, host));
        let frame = reply(&mut cable).await;
        assert_eq!((frame.len(), &frame[..6]), (60, BOARD.as_bytes()));
        let Ok(ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr,
            ..
        }) = ArpRepr::parse(&ArpPacket::new_checked(&frame[14..]).unwrap())
        else {
            panic!("no ARP reply")
        };
        let expected = (ArpOperation::Reply, ROUTER, host);
        assert_eq!(
            (operation, source_hardware_addr, source_protocol_addr),
            expected
        );
    }
}

#[tokio::test(start_paused = true)]
async fn hosts_with_a_service_answer_echo_requests() {
    let (_lan, mut cable, _listener) = start();
    for nobody in [
        Ipv4Addr::new(8, 8, 8, 8),
        Ipv4Addr::new(10, 0, 2, 9),
        Ipv4Addr::BROADCAST,
    ] {
        cable.send(ping(nobody));
    }
    for host in [GATEWAY, SERVER, Config::default().ntp[0]] {
        cable.send(ping(host));
        let frame = reply(&mut cable).await;
        let packet = Ipv4Packet::new_checked(&frame[14..]).unwrap();
        assert_eq!((packet.src_addr(), packet.dst_addr()), (host, ADDRESS));
        let echo = Icmpv4Packet::new_checked(packet.payload()).unwrap();
        let expected = Icmpv4Repr::EchoReply {
            ident: 1,
            seq_no: 2,
            data: b"are you there",
        };
        assert_eq!(
            Icmpv4Repr::parse(&echo, &ChecksumCapabilities::default()),
            Ok(expected)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_udp_port_is_unreachable() {
    let (_lan, mut cable, _listener) = start();
    cable.send(udp(Ipv4Addr::new(10, 0, 2, 255), 5353, b"to everybody"));
    cable.send(udp(Ipv4Addr::new(224, 0, 0, 251), 5353, b"to a group"));
    cable.send(udp(SERVER, 9, b"discard me"));
    let frame = reply(&mut cable).await;
    let packet = Ipv4Packet::new_checked(&frame[14..]).unwrap();
    assert_eq!(packet.src_addr(), SERVER);
    let message = Icmpv4Packet::new_checked(packet.payload()).unwrap();
    let Ok(Icmpv4Repr::DstUnreachable {
        reason,
        header,
        data,
    }) = Icmpv4Repr::parse(&message, &ChecksumCapabilities::default())
    else {
        panic!("no ICMP error")
    };
    assert_eq!(
        (reason, header.dst_addr),
        (smoltcp::wire::Icmpv4DstUnreachable::PortUnreachable, SERVER)
    );
    assert!(data.ends_with(b"discard me"));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_opens_one_connection() {
    let (lan, mut cable, mut listener) = start();
    for _ in 0..3 {
        cable.send(tcp(TcpControl::Syn, 1000, None, b""));
    }
    let (theirs, control, _) = segment(&mut cable).await;
    assert_eq!(control, TcpControl::Syn);
    cable.send(tcp(TcpControl::None, 1001, Some(theirs + 1), b"hello"));
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).await.unwrap();
    assert_eq!((&hello, lan.statistics().connections), (b"hello", 1));
}

#[tokio::test(start_paused = true)]
async fn a_restarted_guest_may_use_its_port_again() {
    let (lan, mut cable, mut listener) = start();
    let mut streams = Vec::new();
    for sequence in [1000, 777_000] {
        cable.send(tcp(TcpControl::Syn, sequence, None, b""));
        let (theirs, control, _) = segment(&mut cable).await;
        assert_eq!(control, TcpControl::Syn);
        cable.send(tcp(TcpControl::None, sequence + 1, Some(theirs + 1), b""));
        streams.push((listener.accept().await.unwrap().0, theirs));
    }
    let (mut new, theirs) = streams.pop().unwrap();
    let (mut old, _) = streams.pop().unwrap();
    assert!(old.read_u8().await.is_err());
    new.write_all(b"to the new one").await.unwrap();
    assert_eq!(
        segment(&mut cable).await,
        (theirs + 1, TcpControl::Psh, b"to the new one".to_vec())
    );
    assert_eq!(lan.statistics().connections, 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_taken_back_leaves_nothing_behind() {
    let (lan, mut cable, _listener) = start();
    cable.send(tcp(TcpControl::Syn, 1000, None, b""));
    let (theirs, ..) = segment(&mut cable).await;
    cable.send(tcp(TcpControl::Rst, 1001, Some(theirs + 1), b""));
    cable.send(tcp(
        TcpControl::None,
        1001,
        Some(theirs + 1),
        b"who are you",
    ));
    assert_eq!(segment(&mut cable).await.1, TcpControl::Rst);
    assert_eq!(lan.statistics().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn segments_respect_what_the_guest_can_take() {
    let (_lan, mut cable, mut listener) = start();
    cable.send(tcp(TcpControl::Syn, 1000, None, b""));
    let (theirs, ..) = segment(&mut cable).await;
    cable.send(tcp(TcpControl::None, 1001, Some(theirs + 1), b""));
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(&[7; 3000]).await.unwrap();
    let mut lengths = Vec::new();
    while lengths.iter().sum::<usize>() < 3000 {
        lengths.push(segment(&mut cable).await.2.len());
    }
    assert_eq!(lengths, [536, 536, 536, 536, 536, 320]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_ignored_and_counted() {
    let timeline = Timeline::start();
    let lan = Lan::start(Config::default(), timeline.clone()).unwrap();
    let mut cable = lan.attach();
    let mut fragment = udp(GATEWAY, 53, b"first part").to_vec();
    fragment[20] = 0x20;
    let mut wrong_checksum = ping(GATEWAY).to_vec();
    wrong_checksum[40] ^= 1;
    for frame in [
        fragment.clone(),
        fragment,
        wrong_checksum,
        b"short".to_vec(),
    ] {
        cable.send(frame.into());
    }
    cable.send(ethernet(ROUTER, EthernetProtocol::Ipv6, &[0x60; 60]));
    cable.send(ethernet(
        EthernetAddress([0x01, 0x80, 0xc2, 0, 0, 0x0e]),
        EthernetProtocol::Unknown(0x88cc),
        &[2; 50],
    ));
    cable.send(ping(GATEWAY));
    assert_eq!(
        reply(&mut cable).await[34],
        0,
        "an echo reply is the first thing that comes back"
    );
    let statistics = lan.statistics();
    assert_eq!((statistics.fragments, statistics.malformed), (2, 2));
    assert_eq!((statistics.frames_in, statistics.frames_out), (7, 1));
    let notes = timeline
        .snapshot()
        .into_iter()
        .filter(|r| matches!(r.event, Event::Note { .. }));
    assert_eq!(notes.count(), 1, "one note for all fragments");
}

#[tokio::test(start_paused = true)]
async fn every_frame_can_be_observed() {
    let (lan, mut cable, _listener) = start();
    let mut observer = lan.observe();
    let question = arp(ArpOperation::Request, ADDRESS, GATEWAY);
    cable.send(question.clone());
    let answer = reply(&mut cable).await;
    let seen = [
        observer.recv().await.unwrap(),
        observer.recv().await.unwrap(),
    ];
    assert_eq!(
        seen.each_ref().map(|s| (s.port, s.direction)),
        [(0, Direction::FromGuest), (0, Direction::ToGuest)]
    );
    assert_eq!(seen.map(|s| s.frame), [question, answer]);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_does_not_look_loses_nothing_of_a_stream() {
    const LENGTH: usize = 200_000;
    let (lan, mut cable, mut listener) = start();
    // Many small segments in a large window, more than the cable holds.
    let mut syn = tcp(TcpControl::Syn, 1000, None, b"").to_vec();
    assert_eq!(syn.len(), 14 + 20 + 24);
    rescale(&mut syn);
    cable.send(syn.into());
    let (theirs, ..) = segment(&mut cable).await;
    cable.send(tcp(TcpControl::None, 1001, Some(theirs + 1), b""));
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(&[7; LENGTH]).await.unwrap();
    // Meanwhile a question that is not TCP is still answered.
    cable.send(arp(ArpOperation::Request, ADDRESS, GATEWAY));
    let (mut received, mut arp_replies) = (0, 0);
    while received < LENGTH {
        let frame = reply(&mut cable).await;
        match EthernetFrame::new_checked(&frame[..]).unwrap().ethertype() {
            EthernetProtocol::Arp => arp_replies += 1,
            _ => {
                received +=
                    usize::from(Ipv4Packet::new_checked(&frame[14..]).unwrap().total_len()) - 40
            }
        }
    }
    assert_eq!(
        (received, arp_replies, lan.statistics().overflowed),
        (LENGTH, 1, 0)
    );
}

/// Adds a window scale of 8 to a request.
fn rescale(syn: &mut Vec<u8>) {
    syn.extend_from_slice(&[1, 3, 3, 8]);
    let mut packet = Ipv4Packet::new_unchecked(&mut syn[14..]);
    packet.set_total_len(48);
    packet.fill_checksum();
    let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
    segment.set_header_len(28);
    segment.fill_checksum(&ADDRESS.into(), &SERVER.into());
}
