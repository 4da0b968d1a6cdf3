//! A segment beside the LAN: what is on it reaches the others on it, and nobody else.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use shakedown_base::wire::WireEnd;
use shakedown_net::lan::{Direction, Lan};
use smoltcp::wire::{ArpOperation, EthernetAddress, EthernetProtocol};
use tokio::time::timeout;

use crate::craft::{ADDRESS, BOARD, SERVER, arp, ethernet, ping, reply, start, tcp, udp};
use crate::guest::GATEWAY;

/// Nothing comes any more: the clock is paused, so it goes on only when every task waits.
async fn is_silent(cable: &mut WireEnd) -> bool {
    timeout(Duration::from_secs(100), cable.recv())
        .await
        .is_err()
}

/// What the gateway would answer, or would hand to other ports: requests to all, to the gateway's hardware address, to nobody's.
fn asked() -> Vec<Bytes> {
    vec![
        arp(ArpOperation::Request, ADDRESS, GATEWAY),
        arp(ArpOperation::Request, ADDRESS, SERVER),
        ping(GATEWAY),
        udp(Ipv4Addr::BROADCAST, 67, &[1; 300]),
        udp(GATEWAY, 53, b"a name"),
        tcp(smoltcp::wire::TcpControl::Syn, 1000, None, b""),
        ethernet(
            EthernetAddress([2, 0, 0, 0, 0, 9]),
            EthernetProtocol::Unknown(0x88b5),
            b"to nobody that is known",
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_segment_reaches_the_gateway_or_the_lan() {
    let (lan, mut on_lan, _listener) = start();
    let mut seen = lan.observe();
    let segment = lan.segment("behind gateway");
    let (mut first, mut second) = (segment.attach_as(""), segment.attach_as(""));
    for frame in asked() {
        first.send(frame.clone());
        assert_eq!(reply(&mut second).await, frame);
    }
    assert!(is_silent(&mut first).await, "nobody answers");
    assert!(is_silent(&mut on_lan).await, "nothing is handed on");
    assert_eq!(lan.statistics().frames_in, 0, "the LAN has had no frame");
    while let Ok(observed) = seen.try_recv() {
        assert_eq!(&*observed.segment, "behind gateway");
        let of = match observed.direction {
            Direction::FromGuest => 1,
            Direction::ToGuest => 2,
        };
        assert_eq!(observed.port, of, "no number is given twice");
    }
    // The same is answered on the LAN.
    on_lan.send(arp(ArpOperation::Request, ADDRESS, GATEWAY));
    assert_eq!(&reply(&mut on_lan).await[..6], BOARD.as_bytes());
    assert_eq!(&*seen.recv().await.unwrap().segment, Lan::SEGMENT);
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_lan_reaches_a_segment() {
    let (lan, on_lan, _listener) = start();
    let mut other = lan.attach();
    let (one, two) = (lan.segment("one"), lan.segment("two"));
    let (mut behind, mut elsewhere) = (one.attach_as(""), two.attach_as(""));
    // The board's hardware address is known on the segment, and the frames to all go everywhere.
    behind.send(arp(ArpOperation::Request, ADDRESS, ADDRESS));
    let to_all = arp(ArpOperation::Request, ADDRESS, SERVER);
    on_lan.send(to_all.clone());
    assert_eq!(reply(&mut other).await, to_all);
    other.send(ethernet(
        BOARD,
        EthernetProtocol::Unknown(0x88b5),
        b"for the board",
    ));
    assert!(is_silent(&mut behind).await);
    assert!(is_silent(&mut elsewhere).await);
}

#[tokio::test(start_paused = true)]
async fn a_segment_learns_who_is_where_and_forgets_a_cable_that_is_pulled() {
    let (lan, _on_lan, _listener) = start();
    let segment = lan.segment("behind gateway");
    let (mut first, mut second) = (segment.attach_as(""), segment.attach_as(""));
    let mut third = segment.attach_as("");
    // `craft` makes every frame of the board's address: here it is the first one's.
    first.send(arp(ArpOperation::Request, ADDRESS, GATEWAY));
    assert_eq!(reply(&mut second).await, reply(&mut third).await);
    let mut for_board = ethernet(BOARD, EthernetProtocol::Unknown(0x88b5), b"x").to_vec();
    for_board[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
    let for_board = Bytes::from(for_board);
    second.send(for_board.clone());
    assert_eq!(reply(&mut first).await, for_board);
    assert!(
        is_silent(&mut third).await,
        "it is known where the board is"
    );
    drop(first);
    // The port goes with the cable: the address is nobody's again.
    assert!(is_silent(&mut third).await);
    second.send(for_board.clone());
    assert_eq!(reply(&mut third).await, for_board);
}

#[tokio::test(start_paused = true)]
async fn a_segment_ends_with_its_lan() {
    let (lan, _on_lan, _listener) = start();
    let segment = lan.segment("behind gateway");
    let mut cable = segment.attach_as("");
    drop((lan, segment));
    let end = timeout(Duration::from_secs(1), cable.recv()).await;
    assert_eq!(end, Ok(None));
}
