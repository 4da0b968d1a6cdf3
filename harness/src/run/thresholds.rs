//! Counts that triggers wait for and that nobody else puts onto the timeline: frames that a board has sent, and bytes that it has written
//! to its card.
//!
//! QEMU does not count what its SD card writes: `query-blockstats` says 0 of it, whatever the guest does. What can be seen is the card's overlay,
//! a qcow2 file that grows by a cluster of 64 KiB whenever the guest writes where it had not written before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::task::AbortOnDropHandle;

use crate::lan::{Direction, Lan, Observed, kinds_of};
use crate::mac::Mac;
use crate::scenario::{FrameTrigger, Step, Trigger};
use crate::timeline::{Event, FrameKind, Timeline};

/// How often the overlay's size is read.
const EVERY: Duration = Duration::from_millis(50);

/// The tasks that count for one boot of one board, until they are dropped.
#[derive(Debug)]
pub(super) struct Thresholds {
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Thresholds {
    /// Counts what the triggers of these steps wait for in the boot that is under way. Needs a tokio runtime.
    pub(super) fn watch(
        steps: &[Step],
        lan: &Lan,
        mac: Mac,
        overlay: &Path,
        timeline: &Timeline,
    ) -> Self {
        let (board, boot) = (timeline.board(), timeline.boot());
        let its = steps
            .iter()
            .filter(|step| step.board == board && step.begins_in == boot);
        let (mut frames, mut written) = (Vec::new(), Vec::new());
        for trigger in its.filter_map(|step| step.after.as_ref()) {
            match trigger {
                Trigger::Frames(trigger) => frames.push(*trigger),
                Trigger::Written(bytes) => written.push(bytes.0),
                _ => {}
            }
        }
        let mut tasks = Vec::new();
        if !frames.is_empty() {
            let task = count_frames(lan.observe(), mac, frames, timeline.clone());
            tasks.push(AbortOnDropHandle::new(tokio::spawn(task)));
        }
        if !written.is_empty() {
            let task = count_bytes(overlay.into(), size(overlay), written, timeline.clone());
            tasks.push(AbortOnDropHandle::new(tokio::spawn(task)));
        }
        Self { _tasks: tasks }
    }
}

async fn count_frames(
    mut frames: Receiver<Observed>,
    mac: Mac,
    wanted: Vec<FrameTrigger>,
    timeline: Timeline,
) {
    let mut counts: BTreeMap<FrameKind, u64> = BTreeMap::new();
    loop {
        match frames.recv().await {
            Ok(Observed {
                direction: Direction::FromGuest,
                frame,
                ..
            }) if frame.get(6..12) == Some(&mac.0[..]) => {
                for of in kinds_of(&frame) {
                    let count = counts.entry(of).or_default();
                    *count += 1;
                    if wanted.iter().any(|w| w.of == of && w.nth == *count) {
                        let count = *count;
                        timeline.emit(Event::Frames { of, count });
                    }
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(lost)) => {
                let text = format!("{lost} frames were not counted: this host is too slow");
                timeline.note("script", text);
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Emits how far the overlay has grown since it had the size `before`, at each of the sizes that are awaited.
async fn count_bytes(overlay: PathBuf, before: u64, mut wanted: Vec<u64>, timeline: Timeline) {
    let mut every = tokio::time::interval(EVERY);
    while !wanted.is_empty() {
        every.tick().await;
        let bytes = size(&overlay).saturating_sub(before);
        if wanted.iter().any(|wanted| bytes >= *wanted) {
            wanted.retain(|wanted| bytes < *wanted);
            timeline.emit(Event::Written { bytes });
        }
    }
}

/// The size of a file in bytes; 0 if it cannot be read, which the emulator that has it open reports by itself.
fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |found| found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_are_counted_from_the_size_at_power_on() {
        let folder = tempfile::tempdir().unwrap();
        let overlay = folder.path().join("card.qcow2");
        std::fs::write(&overlay, [0; 1000]).unwrap();
        let timeline = Timeline::start();
        let wanted = vec![1, 3000];
        let counting = tokio::spawn(count_bytes(overlay.clone(), 1000, wanted, timeline.clone()));
        tokio::time::sleep(2 * EVERY).await;
        assert!(timeline.is_empty());
        for size in [3000, 4000] {
            let seen = timeline.len();
            std::fs::write(&overlay, vec![0; size]).unwrap();
            while timeline.len() == seen {
                tokio::time::sleep(EVERY).await;
            }
        }
        counting.await.unwrap();
        let events: Vec<_> = timeline.snapshot().into_iter().map(|r| r.event).collect();
        let written = |bytes| Event::Written { bytes };
        assert_eq!(events, [written(2000), written(3000)]);
    }

    #[tokio::test]
    async fn frames_are_counted_up_to_what_is_awaited() {
        let timeline = Timeline::start();
        let (sender, frames) = tokio::sync::broadcast::channel(16);
        let mac: Mac = "b8:27:eb:00:00:01".parse().unwrap();
        let arp = |from: [u8; 6], direction| {
            let mut frame = vec![0xff; 6];
            frame.extend(from);
            frame.extend([0x08, 0x06]);
            Observed {
                at: Duration::ZERO,
                segment: "lan".into(),
                port: 0,
                direction,
                frame: frame.into(),
            }
        };
        let wanted = vec![FrameTrigger {
            nth: 2,
            of: FrameKind::Arp,
        }];
        let counting = tokio::spawn(count_frames(frames, mac, wanted, timeline.clone()));
        for observed in [
            arp(mac.0, Direction::FromGuest),
            arp([2; 6], Direction::FromGuest),
            arp(mac.0, Direction::ToGuest),
        ] {
            sender.send(observed).unwrap();
        }
        tokio::task::yield_now().await;
        assert!(timeline.is_empty());
        for _ in 0..2 {
            sender.send(arp(mac.0, Direction::FromGuest)).unwrap();
        }
        drop(sender);
        counting.await.unwrap();
        let events: Vec<_> = timeline.snapshot().into_iter().map(|r| r.event).collect();
        let of = FrameKind::Arp;
        assert_eq!(events, [Event::Frames { of, count: 2 }]);
    }
}
