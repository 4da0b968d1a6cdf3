//! Plugging, unplugging, and the hand-over from one program in the guest to the next.

use std::time::Duration;

use tokio::time::Instant;

use super::guest::{Guest, Rig};
use crate::usb::QUIET_RESET;
use crate::usb::usbredir::{Message, Packet, Status};
use shakedown_base::timeline::{Event, LinkEvent};

use LinkEvent::{Configured, Plugged, Reset, Started, Unplugged};

/// Long after everything.
const LONG: Duration = Duration::from_secs(50);

async fn expect_replug(guest: &mut Guest) {
    assert_eq!(guest.next().await.message, Message::DeviceDisconnect);
    guest.expect_connect().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_left_behind_is_plugged_in_again_once() {
    let mut rig = Rig::started(0x22).await;
    rig.guest.send(0, Message::Reset).await;
    let before = Instant::now();
    expect_replug(&mut rig.guest).await;
    let waited = before.elapsed();
    assert!(
        (QUIET_RESET..QUIET_RESET * 2).contains(&waited),
        "{waited:?}"
    );
    assert!(rig.guest.silent_for(LONG).await);

    // The kernel finds it, resets it twice while it enumerates, and keeps it.
    rig.guest.send(0, Message::Reset).await;
    rig.guest.start(0x1022).await;
    assert!(rig.guest.silent_for(LONG).await);
    let first = [Plugged, Reset, Configured, Started];
    let handover = [Reset, Unplugged, Plugged];
    let second = [Reset, Reset, Configured, Started];
    assert_eq!(rig.events(), [&first[..], &handover, &second].concat());
    let notes = rig
        .timeline
        .snapshot()
        .into_iter()
        .filter(|record| matches!(&record.event, Event::Note { room, .. } if room == "usb"));
    assert_eq!(notes.count(), 1);
    assert_eq!(rig.control.statistics().plugged, 2);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_goes_on_from_a_checkpoint_finds_the_device_anew() {
    let mut rig = Rig::going_on();
    expect_replug(&mut rig.guest).await;
    rig.guest.start(0x1022).await;
    assert_eq!(rig.events(), [Plugged, Reset, Configured, Started]);
}

#[tokio::test(start_paused = true)]
async fn enumerating_again_is_no_handover() {
    // As after `usb stop; usb start`, or after a reset of the whole board.
    let mut rig = Rig::started(0x22).await;
    rig.guest.start(0x22).await;
    assert!(rig.guest.silent_for(LONG).await);
    rig.guest.send(0, Message::Reset).await;
    assert!(
        rig.guest
            .silent_for(QUIET_RESET - Duration::from_millis(100))
            .await
    );
    rig.guest.start(0x22).await;
    assert!(rig.guest.silent_for(LONG).await);
}

#[tokio::test(start_paused = true)]
async fn an_enumeration_late_in_the_silence_is_not_disturbed() {
    let mut rig = Rig::started(0x22).await;
    rig.guest.send(0, Message::Reset).await;
    assert!(
        rig.guest
            .silent_for(QUIET_RESET - Duration::from_millis(10))
            .await
    );
    // The reset that begins an enumeration; the first request comes when the old silence would have been over.
    rig.guest.send(0, Message::Reset).await;
    assert!(rig.guest.silent_for(Duration::from_millis(100)).await);
    rig.guest.start(0x22).await;
    assert!(rig.guest.silent_for(LONG).await);
}

#[tokio::test(start_paused = true)]
async fn resets_of_an_unconfigured_device_mean_nothing() {
    let mut rig = Rig::plugged().await;
    rig.guest.send(0, Message::Reset).await;
    rig.guest.send(0, Message::Reset).await;
    assert!(rig.guest.silent_for(LONG).await);
}

#[tokio::test(start_paused = true)]
async fn the_handle_pulls_and_plugs() {
    let mut rig = Rig::started(0x1022).await;
    let asked = rig.guest.ask_frames(18944).await;
    assert!(rig.guest.silent_for(LONG).await);
    rig.control.unplug();
    let Packet { id, message } = rig.guest.next().await;
    assert!(
        matches!(message, Message::Bulk { header, .. } if header.status == Status::Cancelled),
        "{message:?}"
    );
    assert_eq!(id, asked, "held requests first");
    assert_eq!(rig.guest.next().await.message, Message::DeviceDisconnect);
    rig.control.unplug();
    // What was under way meets nobody.
    rig.guest.ask_frames(18944).await;
    rig.guest.send(0, Message::Reset).await;
    assert!(rig.guest.silent_for(LONG).await);

    rig.control.plug();
    rig.control.plug();
    rig.guest.expect_connect().await;
    rig.guest.start(0x1022).await;
    rig.control.replug();
    expect_replug(&mut rig.guest).await;
    assert!(rig.guest.silent_for(LONG).await);
    let run = [Plugged, Reset, Configured, Started, Unplugged];
    assert_eq!(rig.events(), [&run[..], &run, &[Plugged]].concat());
}

#[tokio::test(start_paused = true)]
async fn commands_before_the_hello_count() {
    let mut rig = Rig::silent();
    rig.control.unplug();
    rig.control.set_link(false);
    rig.guest.hello().await;
    assert!(rig.guest.silent_for(LONG).await);
    rig.control.plug();
    rig.guest.expect_connect().await;
    rig.guest.start(0x22).await;
    rig.guest.put(0x114, 1 << 11 | 1 << 6 | 1).await;
    assert_eq!(rig.guest.get(0x118).await & 4, 0, "the cable is still out");
}
