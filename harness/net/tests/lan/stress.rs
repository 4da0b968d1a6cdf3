//! Many connections, many bytes, and frames of unusual sizes. Figures are printed; the clock is paused, so that no time-out hides behind a slow
//! machine.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use shakedown_base::timeline::Timeline;
use shakedown_net::lan::{Config, Lan};
use smoltcp::socket::tcp::State;
use smoltcp::wire::{
    ArpOperation, EthernetAddress, EthernetProtocol, Icmpv4Packet, Icmpv4Repr, IpProtocol,
    TcpControl, TcpSeqNumber,
};
use tokio::io::AsyncWriteExt;

use crate::craft::{
    ADDRESS, ROUTER, arp, ethernet, ipv4, ping, reply, segment_from, start as start_frames,
};
use crate::guest::{GATEWAY, Guest};

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 5), 80);

/// A LAN whose server sends `greeting` and closes when its client has.
fn start(greeting: Vec<u8>) -> (Lan, Guest) {
    let lan = Lan::start(Config::default(), Timeline::start()).unwrap();
    let mut listener = lan.listen(*SERVER.ip(), SERVER.port()).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let greeting = greeting.clone();
            tokio::spawn(async move {
                stream.write_all(&greeting).await?;
                stream.shutdown().await?;
                tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
            });
        }
    });
    let guest = Guest::at(&lan, 50);
    (lan, guest)
}

#[tokio::test(start_paused = true)]
async fn two_hundred_connections_at_once() {
    const EACH: usize = 50_000;
    let (lan, mut guest) = start(vec![7; EACH]);
    let connections: Vec<_> = (0..200).map(|_| guest.dial(SERVER)).collect();
    let mut received = vec![0; connections.len()];
    let done = guest.until(|guest| {
        for (index, &handle) in connections.iter().enumerate() {
            let socket = guest.tcp(handle);
            while socket.can_recv() {
                received[index] += socket.recv(|bytes| (bytes.len(), bytes.len())).unwrap();
            }
        }
        received.iter().all(|length| *length == EACH).then_some(())
    });
    done.await;
    let statistics = lan.statistics();
    assert_eq!((statistics.connections, statistics.overflowed), (200, 0));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_short_connections() {
    let begun = std::time::Instant::now();
    let (lan, mut guest) = start(b"hello".to_vec());
    for number in 0..10_000 {
        let connection = guest.connect(SERVER).await.unwrap();
        let said = guest.converse(connection, b"", true).await;
        assert_eq!(said, b"hello", "connection {number}");
        let closed = guest.until(|guest| {
            let state = guest.tcp(connection).state();
            matches!(state, State::Closed | State::TimeWait).then_some(())
        });
        closed.await;
        guest.sockets.remove(connection);
    }
    guest.run_for(Duration::from_secs(60)).await;
    let statistics = lan.statistics();
    assert_eq!((statistics.connections, statistics.open), (10_000, 0));
    println!("10,000 connections in {:.1?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn storms_of_resets() {
    let (lan, mut guest) = start(vec![7; 100_000]);
    for _ in 0..5 {
        let connections: Vec<_> = (0..200).map(|_| guest.dial(SERVER)).collect();
        guest.run_for(Duration::from_millis(5)).await;
        for handle in connections {
            guest.tcp(handle).abort();
        }
        guest.run_for(Duration::from_millis(5)).await;
    }
    guest.run_for(Duration::from_secs(200)).await;
    assert_eq!(lan.statistics().open, 0);
    let connection = guest.connect(SERVER).await.unwrap();
    assert_eq!(guest.converse(connection, b"", true).await.len(), 100_000);

    // Resets for connections that never were, of every number.
    let mut cable = lan.attach();
    for number in 0..5000u16 {
        let sequence = i32::from(number) << 16;
        let acknowledged = (number % 2 == 0).then_some(TcpSeqNumber(sequence));
        let control = TcpControl::Rst;
        cable.send(segment_from(
            (number, 0),
            control,
            sequence,
            acknowledged,
            b"",
        ));
        tokio::task::yield_now().await;
    }
    cable.send(arp(ArpOperation::Request, ADDRESS, GATEWAY));
    assert_eq!(reply(&mut cable).await[12..14], [0x08, 0x06]);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_megabytes_each_way() {
    const LENGTH: usize = 100 << 20;
    let begun = std::time::Instant::now();
    let lan = Lan::start(Config::default(), Timeline::start()).unwrap();
    let mut listener = lan.listen(*SERVER.ip(), SERVER.port()).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let (mut reader, mut writer) = tokio::io::split(stream);
        tokio::io::copy(&mut reader, &mut writer).await?;
        writer.shutdown().await
    });
    let mut guest = Guest::at(&lan, 50);
    let connection = guest.connect(SERVER).await.unwrap();
    let sent: Vec<u8> = (0..LENGTH as u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let echoed = guest.converse(connection, &sent, true).await;
    assert!(echoed == sent, "{} bytes came back", echoed.len());
    let statistics = lan.statistics();
    assert_eq!((statistics.overflowed, statistics.malformed), (0, 0));
    let seconds = begun.elapsed().as_secs_f64();
    println!("200 MiB in {seconds:.1} s, {:.0} MiB/s", 200.0 / seconds);
}

/// VLANs, runts and jumbo frames between two ports arrive as they were sent. What is for the gateway harms nobody.
#[tokio::test(start_paused = true)]
async fn unusual_frames() {
    let (lan, mut cable, _listener) = start_frames();
    let mut other = lan.attach();
    let station = EthernetAddress([0xb8, 0x27, 0xeb, 9, 9, 9]);
    // Teaches the switch where the other one is.
    let mut hello = arp(ArpOperation::Request, ADDRESS, ADDRESS).to_vec();
    hello[6..12].copy_from_slice(station.as_bytes());
    other.send(hello.into());
    assert_eq!(cable.recv().await.unwrap()[6..12], *station.as_bytes());
    let vlan = EthernetProtocol::Unknown(0x8100);
    let frames = [
        ethernet(station, vlan, &[0x20, 5, 8, 0, 1, 2, 3, 4]),
        ethernet(station, vlan, &[0x20; 1504]),
        ethernet(station, EthernetProtocol::Ipv4, &[]),
        ethernet(station, EthernetProtocol::Ipv6, &[7; 9000]),
    ];
    for frame in frames {
        cable.send(frame.clone());
        assert_eq!(other.recv().await.unwrap(), frame);
    }
    for length in 0..14 {
        cable.send(ping(GATEWAY).slice(..length));
    }
    cable.send(ethernet(ROUTER, vlan, &ping(GATEWAY)[10..]));
    cable.send(ethernet(ROUTER, EthernetProtocol::Ipv4, &[]));

    // A jumbo echo request is answered, in fragments of the usual size.
    let data = vec![7; 8972];
    let request = Icmpv4Repr::EchoRequest {
        ident: 1,
        seq_no: 2,
        data: &data,
    };
    let mut message = vec![0; request.buffer_len()];
    request.emit(
        &mut Icmpv4Packet::new_unchecked(&mut message[..]),
        &smoltcp::phy::ChecksumCapabilities::default(),
    );
    cable.send(ipv4(GATEWAY, IpProtocol::Icmp, &message));
    let mut received = 0;
    while received < message.len() {
        let frame = reply(&mut cable).await;
        assert!(frame.len() <= 1514);
        received += frame.len() - 34;
    }
    assert_eq!(
        lan.statistics().malformed,
        15,
        "fourteen runts and one without a packet"
    );
}
