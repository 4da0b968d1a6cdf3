//! Data in both directions.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::guest::{BULK_IN, Rig, bulk, frame};
use crate::usb::device::Endpoint;
use crate::usb::usbredir::{InterruptHeader, Message, Packet, Status};

const UBOOT: u32 = 0x22;
const LINUX: u32 = 0x1022;
const INTERRUPT: Endpoint = Endpoint(0x83);

/// What a frame of this length takes up on bulk IN.
fn dressed(length: usize) -> usize {
    4 + length + 4
}

fn data_of(packet: &Packet) -> &Bytes {
    match &packet.message {
        Message::Bulk { header, data }
            if header.status == Status::Success && header.length as usize == data.len() =>
        {
            data
        }
        other => panic!("{other:?}"),
    }
}

/// Command words, then the frame.
fn command(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap();
    [
        &(length | 0x3000).to_le_bytes()[..],
        &length.to_le_bytes(),
        frame,
    ]
    .concat()
}

/// QEMU keeps requests of a NAKing endpoint to itself, and the guest may take them back at any time.
#[tokio::test(start_paused = true)]
async fn an_endpoint_without_data_naks() {
    let mut rig = Rig::started(LINUX).await;
    assert!(rig.guest.silent_for(Duration::from_millis(1)).await);
    assert!(rig.guest.naks);
    assert!(rig.network.send(frame(100)));
    assert!(rig.guest.silent_for(Duration::from_millis(1)).await);
    assert!(!rig.guest.naks, "there is something to fetch");
    rig.guest.ask_frames(18944).await;
    data_of(&rig.guest.next().await);
    assert!(rig.guest.naks, "said before the answer");
    assert!(rig.network.send(frame(100)));
    assert!(rig.guest.silent_for(Duration::from_millis(1)).await);
    rig.guest.send(0, Message::Reset).await;
    assert!(rig.guest.silent_for(Duration::from_millis(1)).await);
    assert!(!rig.guest.naks, "the next driver polls, or not");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_polled_never_naks() {
    let mut rig = Rig::started(UBOOT).await;
    for _ in 0..3 {
        rig.guest.ask_frames(18944).await;
        assert!(data_of(&rig.guest.next().await).is_empty());
        assert!(!rig.guest.naks);
    }
}

#[tokio::test(start_paused = true)]
async fn frames_travel_both_ways() {
    let mut rig = Rig::started(LINUX).await;
    for packet in command(&frame(1514)).chunks(512) {
        rig.guest.bulk_out(packet).await;
    }
    assert_eq!(rig.network.recv().await.unwrap(), frame(1514));

    for length in [60, 1514, 100] {
        assert!(rig.network.send(frame(length)));
    }
    let asked = rig.guest.ask_frames(18944).await;
    let answer = rig.guest.next().await;
    assert_eq!(answer.id, asked);
    assert_eq!(
        data_of(&answer).len(),
        dressed(60) + dressed(1514) + 2 + dressed(100),
        "one transfer for all"
    );
    let statistics = rig.control.statistics();
    assert_eq!(
        (statistics.frames_from_guest, statistics.bytes_from_guest),
        (1, 1514)
    );
    assert_eq!(
        (statistics.frames_to_guest, statistics.bytes_to_guest),
        (3, 1674)
    );
    assert_eq!(
        (
            statistics.zero_length,
            statistics.cancelled,
            statistics.plugged
        ),
        (0, 0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_waiting_driver_is_answered_by_the_first_frame() {
    let mut rig = Rig::started(LINUX).await;
    let asked = rig.guest.ask_frames(18944).await;
    assert!(
        rig.guest.silent_for(Duration::from_secs(30)).await,
        "BIR set: for ever"
    );
    let before = Instant::now();
    assert!(rig.network.send(frame(60)));
    let answer = rig.guest.next().await;
    assert_eq!((answer.id, data_of(&answer).len()), (asked, dressed(60)));
    assert_eq!(Instant::now(), before, "no timer was involved");
}

#[tokio::test(start_paused = true)]
async fn a_polling_driver_is_sent_away_at_once() {
    let mut rig = Rig::started(UBOOT).await;
    let before = Instant::now();
    rig.guest.ask_frames(18944).await;
    assert_eq!(data_of(&rig.guest.next().await).len(), 0);
    assert_eq!(Instant::now(), before, "it has more to do than to wait");
    assert_eq!(rig.control.statistics().zero_length, 1);

    assert!(rig.network.send(frame(60)));
    assert!(rig.guest.silent_for(Duration::from_millis(1)).await);
    rig.guest.ask_frames(18944).await;
    assert_eq!(data_of(&rig.guest.next().await).len(), dressed(60));
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_in_order_and_once() {
    let mut rig = Rig::started(0x1000).await;
    let first = rig.guest.ask_frames(2048).await;
    let second = rig.guest.ask_frames(2048).await;
    let third = rig.guest.ask_frames(2048).await;
    rig.guest.send(second, Message::CancelDataPacket).await;
    let Packet { id, message } = rig.guest.next().await;
    let Message::Bulk { header, data } = message else {
        panic!("{message:?}")
    };
    assert_eq!(
        (id, header.status, header.length, data.len()),
        (second, Status::Cancelled, 0, 0)
    );
    assert_eq!(rig.control.statistics().cancelled, 1);
    assert!(rig.network.send(frame(61)));
    assert!(rig.network.send(frame(62)));
    for (expected, length) in [(first, 61), (third, 62)] {
        let answer = rig.guest.next().await;
        assert_eq!(
            (answer.id, data_of(&answer).len()),
            (expected, dressed(length))
        );
    }
    // Too late: the answer above is the only one.
    rig.guest.send(third, Message::CancelDataPacket).await;
    assert!(rig.guest.silent_for(Duration::from_secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn a_reset_cancels_what_is_held() {
    let mut rig = Rig::started(LINUX).await;
    let asked = rig.guest.ask_frames(18944).await;
    rig.guest.send(0, Message::Reset).await;
    let Packet { id, message } = rig.guest.next().await;
    assert!(
        matches!(message, Message::Bulk { header, .. } if header.status == Status::Cancelled),
        "{message:?}"
    );
    assert_eq!(id, asked);
    // Unconfigured, endpoints do not exist.
    let data = Bytes::new();
    rig.guest
        .ask(Message::Bulk {
            header: bulk(BULK_IN, 512),
            data,
        })
        .await;
    let message = rig.guest.next().await.message;
    assert!(
        matches!(message, Message::Bulk { header, .. } if header.status == Status::Stall),
        "{message:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_cable_is_seen_through_the_interrupt_endpoint() {
    let mut rig = Rig::started(LINUX).await;
    rig.guest.put(0x68, 0x8000).await;
    // PHY interrupt mask: link down, autonegotiation done.
    rig.guest.put(0x118, 0x50).await;
    rig.guest.put(0x114, 1 << 11 | 30 << 6 | 3).await;
    let id = rig
        .guest
        .ask(Message::StartInterruptReceiving {
            endpoint: INTERRUPT,
        })
        .await;
    let (status, endpoint) = (Status::Success, INTERRUPT);
    assert_eq!(
        rig.guest.next().await,
        Packet {
            id,
            message: Message::InterruptReceivingStatus { status, endpoint }
        }
    );
    assert!(rig.guest.silent_for(Duration::from_secs(1)).await);
    for (up, bmsr) in [(false, 0x7809), (true, 0x782d)] {
        rig.control.set_link(up);
        let message = rig.guest.next().await.message;
        let header = InterruptHeader {
            endpoint,
            status,
            length: 4,
        };
        let data = Bytes::from_static(&[0, 0x80, 0, 0]);
        assert_eq!(message, Message::Interrupt { header, data });
        assert_eq!(
            mdio(&mut rig, 29).await & 0x50,
            if up { 0x40 } else { 0x10 }
        );
        assert_eq!(mdio(&mut rig, 1).await, bmsr);
    }
    let id = rig
        .guest
        .ask(Message::StopInterruptReceiving { endpoint })
        .await;
    assert_eq!(rig.guest.next().await.id, id);
    rig.control.set_link(false);
    assert!(rig.guest.silent_for(Duration::from_secs(1)).await);
}

async fn mdio(rig: &mut Rig, register: u32) -> u32 {
    rig.guest.put(0x114, 1 << 11 | register << 6 | 1).await;
    rig.guest.get(0x118).await
}

#[tokio::test(start_paused = true)]
async fn a_network_that_does_not_listen_loses_frames() {
    let mut rig = Rig::started(LINUX).await;
    for _ in 0..70 {
        rig.guest.bulk_out(&command(&frame(60))).await;
    }
    let statistics = rig.control.statistics();
    assert_eq!(
        (statistics.frames_from_guest, statistics.dropped_from_guest),
        (70, 6),
        "the cable holds 64"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_fifo_leaves_frames_on_the_cable() {
    let mut rig = Rig::started(LINUX).await;
    for _ in 0..30 {
        assert!(rig.network.send(frame(1514)));
    }
    let mut frames = 0;
    while frames < 30 {
        rig.guest.ask_frames(18944).await;
        frames += data_of(&rig.guest.next().await).len().div_ceil(1524);
    }
    let statistics = rig.control.statistics();
    assert_eq!(
        (statistics.frames_to_guest, statistics.dropped_to_guest),
        (30, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_network_does_not_end_the_session() {
    let mut rig = Rig::started(UBOOT).await;
    let (other, _) = shakedown_base::wire::cable(1);
    drop(std::mem::replace(&mut rig.network, other));
    rig.guest.ask_frames(18944).await;
    assert_eq!(data_of(&rig.guest.next().await).len(), 0);
    rig.guest.bulk_out(&command(&frame(60))).await;
    assert_eq!(rig.control.statistics().dropped_from_guest, 1);
}
