//! Bytes that mean no good.

use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;
use smoltcp::wire::{ArpOperation, IpProtocol, Ipv4Packet, TcpControl, TcpSeqNumber};

use crate::craft::{ADDRESS, SERVER, arp, ping, reply, segment, segment_from, start, tcp, udp};
use crate::guest::GATEWAY;

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)
}

/// Lets a changed packet pass for a good one, if it still is IPv4 at all.
fn repair_checksums(frame: &mut [u8]) {
    if Ipv4Packet::new_checked(&frame[14..]).is_err() {
        return;
    }
    let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
    packet.fill_checksum();
    if packet.next_header() == IpProtocol::Udp
        && let Some(checksum) = packet.payload_mut().get_mut(6..8)
    {
        checksum.fill(0);
    }
}

/// A segment in the middle of a connection: flags, distance of both numbers from the right ones, window, payload.
type Foreign = (TcpControl, i32, Option<i32>, u16, usize);

fn foreign() -> impl Strategy<Value = Foreign> {
    let control = prop::sample::select(vec![
        TcpControl::None,
        TcpControl::Psh,
        TcpControl::Fin,
        TcpControl::Syn,
        TcpControl::Rst,
    ]);
    let distance = || prop_oneof![Just(0), -3000..3000i32, -300_000..300_000i32, any::<i32>()];
    let acknowledged = prop::option::weighted(0.9, distance());
    (
        control,
        distance(),
        acknowledged,
        any::<u16>(),
        0..1000usize,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_sequence_of_segments_stops_the_gateway(segments in prop::collection::vec(foreign(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (_lan, mut cable, mut listener) = start();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (mut reader, mut writer) = tokio::io::split(stream);
                    tokio::spawn(async move { tokio::io::copy(&mut reader, &mut writer).await });
                }
            });
            cable.send(tcp(TcpControl::Syn, 1000, None, b""));
            let (theirs, ..) = segment(&mut cable).await;
            cable.send(tcp(TcpControl::None, 1001, Some(theirs + 1), b"a"));
            for (control, distance, acknowledged, window, length) in segments {
                let number = |base: i32, distance: i32| base.wrapping_add(distance);
                let acknowledged = acknowledged.map(|distance| TcpSeqNumber(number((theirs + 1).0, distance)));
                let payload = vec![7; length];
                let number = number(1002, distance);
                cable.send(segment_from((4000, window), control, number, acknowledged, &payload));
                tokio::time::sleep(Duration::from_millis(3)).await;
                while cable.try_recv().is_some() {}
            }
            tokio::time::sleep(Duration::from_secs(600)).await;
            while cable.try_recv().is_some() {}
            cable.send(arp(ArpOperation::Request, ADDRESS, GATEWAY));
            assert_eq!(reply(&mut cable).await[12..14], [0x08, 0x06], "the gateway lives");
        });
    }

    #[test]
    fn no_frame_stops_the_gateway(
        frames in prop::collection::vec((0usize..6, any::<bool>(), changes()), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (_lan, mut cable, _listener) = start();
            for (kind, repair, changes) in frames {
                let frame = match kind {
                    0 => arp(ArpOperation::Request, ADDRESS, GATEWAY),
                    1 => ping(GATEWAY),
                    2 => udp(SERVER, 9, b"discard"),
                    3 => udp(GATEWAY, 53, b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01"),
                    4 => tcp(TcpControl::Syn, 1000, None, b""),
                    _ => udp(Ipv4Addr::BROADCAST, 67, &[1; 300]),
                };
                let mut frame = frame.to_vec();
                for (at, byte) in changes {
                    let at = at.index(frame.len());
                    frame[at] = byte;
                }
                if repair {
                    repair_checksums(&mut frame);
                }
                cable.send(frame.into());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            while cable.try_recv().is_some() {}
            cable.send(arp(ArpOperation::Request, ADDRESS, GATEWAY));
            assert_eq!(reply(&mut cable).await[12..14], [0x08, 0x06], "the gateway lives");
        });
    }
}
