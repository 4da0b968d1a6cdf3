//! What the gateway makes of single frames.

use std::net::Ipv4Addr;

use shakedown_base::timeline::Timeline;
use shakedown_net::lan::{Config, Direction, Lan};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetProtocol, Icmpv4DstUnreachable,
    Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet,
};

use crate::craft::{ADDRESS, BOARD, ROUTER, SERVER, arp, ethernet, ipv4, ping, reply, start, udp};
use crate::guest::GATEWAY;

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
    for nobody in [Ipv4Addr::new(10, 0, 2, 9), Ipv4Addr::BROADCAST] {
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
        (Icmpv4DstUnreachable::PortUnreachable, SERVER)
    );
    assert!(data.ends_with(b"discard me"));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_ignored_and_counted() {
    let lan = Lan::start(Config::default(), Timeline::start()).unwrap();
    let mut cable = lan.attach();
    // A fragment that is not the last must end at a multiple of eight bytes.
    let mut fragment = udp(GATEWAY, 53, b"first part").to_vec();
    let mut header = Ipv4Packet::new_unchecked(&mut fragment[14..]);
    header.set_more_frags(true);
    header.fill_checksum();
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
}

/// The ICMP message in a frame, and who sent it.
fn icmp_of(frame: &[u8]) -> (Ipv4Addr, Vec<u8>) {
    let packet = Ipv4Packet::new_checked(&frame[14..]).unwrap();
    (packet.src_addr(), packet.payload().to_vec())
}

/// Puts another time to live into a frame.
fn with_ttl(frame: &[u8], ttl: u8) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
    packet.set_hop_limit(ttl);
    packet.fill_checksum();
    frame
}

#[tokio::test(start_paused = true)]
async fn there_is_no_internet_and_the_gateway_says_so() {
    let (_lan, mut cable, _listener) = start();
    let nobody = Ipv4Addr::new(8, 8, 8, 8);
    for frame in [ping(nobody), udp(nobody, 53, b"a question")] {
        cable.send(frame.clone());
        let (source, message) = icmp_of(&reply(&mut cable).await);
        assert_eq!(
            (source, &message[..2]),
            (GATEWAY, &[3, 0][..]),
            "net unreachable"
        );
        let quoted = Ipv4Packet::new_checked(&message[8..]).unwrap();
        assert_eq!(quoted.dst_addr(), nobody);
    }
    // About an error there is no error: what is answered next is the echo request.
    let mut error = ping(nobody).to_vec();
    error[34] = 3;
    cable.send(error.into());
    cable.send(ping(GATEWAY));
    assert_eq!(icmp_of(&reply(&mut cable).await).1[0], 0);
}

#[tokio::test(start_paused = true)]
async fn the_gateway_is_a_hop() {
    let (_lan, mut cable, _listener) = start();
    cable.send(with_ttl(&ping(SERVER), 1).into());
    let (source, message) = icmp_of(&reply(&mut cable).await);
    assert_eq!(
        (source, &message[..2]),
        (GATEWAY, &[11, 0][..]),
        "time exceeded"
    );
    cable.send(with_ttl(&ping(SERVER), 2).into());
    assert_eq!(icmp_of(&reply(&mut cable).await).0, SERVER);
    cable.send(with_ttl(&ping(GATEWAY), 1).into());
    assert_eq!(
        icmp_of(&reply(&mut cable).await).0,
        GATEWAY,
        "it is no hop to itself"
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_echo_comes_back_in_fragments() {
    let (lan, mut cable, _listener) = start();
    for length in [1473, 8000, 65_507] {
        let data: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        let request = Icmpv4Repr::EchoRequest {
            ident: 1,
            seq_no: 2,
            data: &data,
        };
        let mut message = vec![0; request.buffer_len()];
        request.emit(
            &mut Icmpv4Packet::new_unchecked(&mut message[..]),
            &ChecksumCapabilities::default(),
        );
        let pieces = message.chunks(1480).enumerate();
        for (number, piece) in pieces {
            let mut frame = ipv4(GATEWAY, IpProtocol::Icmp, piece).to_vec();
            let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
            packet.set_ident(9);
            packet.set_dont_frag(false);
            packet.set_more_frags(number * 1480 + piece.len() < message.len());
            packet.set_frag_offset(u16::try_from(number * 1480).unwrap());
            packet.fill_checksum();
            cable.send(frame.into());
        }
        let mut joined = Vec::new();
        while joined.len() < message.len() {
            let frame = reply(&mut cable).await;
            let packet = Ipv4Packet::new_checked(&frame[14..]).unwrap();
            assert!(packet.verify_checksum());
            assert_eq!(usize::from(packet.frag_offset()), joined.len());
            joined.extend_from_slice(packet.payload());
            assert_eq!(packet.more_frags(), joined.len() < message.len());
        }
        let packet = Icmpv4Packet::new_checked(&joined[..]).unwrap();
        assert!(packet.verify_checksum());
        assert_eq!((joined[0], &joined[8..]), (0, &data[..]), "{length}");
    }
    assert_eq!(lan.statistics().malformed, 0);
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
