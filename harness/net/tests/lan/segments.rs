//! Connections segment by segment: what a well-behaved stack on the other end would never do, or does too rarely.

use std::time::Duration;

use smoltcp::wire::{
    ArpOperation, EthernetFrame, EthernetProtocol, Ipv4Packet, TcpControl, TcpPacket,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::craft::{ADDRESS, SERVER, arp, reply, segment, segment_from, start, tcp};
use crate::guest::{GATEWAY, accept};

#[tokio::test(start_paused = true)]
async fn a_repeated_request_opens_one_connection() {
    let (lan, mut cable, mut listener) = start();
    cable.send(tcp(TcpControl::Syn, 1000, None, b""));
    let (theirs, control, _) = segment(&mut cable).await;
    assert_eq!(control, TcpControl::Syn);
    // The guest did not see the answer in time, and then it did.
    cable.send(tcp(TcpControl::Syn, 1000, None, b""));
    cable.send(tcp(TcpControl::None, 1001, Some(theirs + 1), b"hello"));
    let mut stream = accept(&mut listener).await;
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
        streams.push((accept(&mut listener).await, theirs));
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

/// iPXE on U-Boot draws the port and the first sequence number of before, where nothing is random.
#[tokio::test(start_paused = true)]
async fn a_restarted_guest_may_use_its_sequence_number_again() {
    let (lan, mut cable, mut listener) = start();
    let mut streams = Vec::new();
    for _ in 0..2 {
        cable.send(tcp(TcpControl::Syn, 1000, None, b""));
        let (theirs, control, _) = segment(&mut cable).await;
        assert_eq!(control, TcpControl::Syn);
        cable.send(tcp(TcpControl::None, 1001, Some(theirs + 1), b""));
        streams.push(accept(&mut listener).await);
        // A copy that was late is no request.
        cable.send(tcp(TcpControl::Syn, 1000, None, b""));
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert_eq!(lan.statistics().connections, 2);
    let mut old = streams.swap_remove(0);
    assert!(old.read_u8().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_request_taken_back_leaves_nothing_behind() {
    let (lan, mut cable, mut listener) = start();
    cable.send(tcp(TcpControl::Syn, 1000, None, b""));
    let (theirs, ..) = segment(&mut cable).await;
    cable.send(tcp(TcpControl::Rst, 1001, Some(theirs + 1), b""));
    let next = |control, sequence, acknowledged| {
        segment_from((4001, 8192), control, sequence, acknowledged, b"")
    };
    cable.send(next(TcpControl::Syn, 5000, None));
    let (theirs, ..) = segment(&mut cable).await;
    cable.send(next(TcpControl::None, 5001, Some(theirs + 1)));
    let peer = accept(&mut listener).await.peer_addr();
    assert_eq!((peer.port(), lan.statistics().connections), (4001, 1));
}

#[tokio::test(start_paused = true)]
async fn segments_respect_what_the_guest_can_take() {
    let (_lan, mut cable, mut listener) = start();
    cable.send(tcp(TcpControl::Syn, 1000, None, b""));
    let (theirs, ..) = segment(&mut cable).await;
    cable.send(tcp(TcpControl::None, 1001, Some(theirs + 1), b""));
    let mut stream = accept(&mut listener).await;
    stream.write_all(&[7; 3000]).await.unwrap();
    let mut lengths = Vec::new();
    while lengths.iter().sum::<usize>() < 3000 {
        lengths.push(segment(&mut cable).await.2.len());
    }
    assert_eq!(lengths, [536, 536, 536, 536, 536, 320]);
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
    let mut stream = accept(&mut listener).await;
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

/// Makes segments small and their window large: a maximum of 100 bytes, a window scale of 8.
fn rescale(syn: &mut Vec<u8>) {
    syn.extend_from_slice(&[1, 3, 3, 8]);
    syn[14 + 20 + 20..][..4].copy_from_slice(&[2, 4, 0, 100]);
    let mut packet = Ipv4Packet::new_unchecked(&mut syn[14..]);
    packet.set_total_len(48);
    packet.fill_checksum();
    let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
    segment.set_header_len(28);
    segment.fill_checksum(&ADDRESS.into(), &SERVER.into());
}
