//! What the gateway makes of single frames.

use std::net::Ipv4Addr;

use shakedown_base::timeline::{Event, Timeline};
use shakedown_net::lan::{Config, Direction, Lan};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetProtocol, Icmpv4DstUnreachable,
    Icmpv4Packet, Icmpv4Repr, Ipv4Packet,
};

use crate::craft::{ADDRESS, BOARD, ROUTER, SERVER, arp, ethernet, ping, reply, start, udp};
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
        (Icmpv4DstUnreachable::PortUnreachable, SERVER)
    );
    assert!(data.ends_with(b"discard me"));
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
