//! Counts that triggers wait for and that nobody else puts onto the timeline: frames that a board has sent, and bytes that it has written
//! to its card.
//!
//! QEMU has an event for writes behind an offset (`block-set-write-threshold`). An overlay's file does not grow when a cluster is written
//! again, so its offsets are no count of bytes; QEMU's statistics are, and are read 20 times a second.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::task::AbortOnDropHandle;

use crate::lan::{Direction, Lan, Observed, kinds_of};
use crate::mac::Mac;
use crate::machine::Monitor;
use crate::scenario::{FrameTrigger, Step, Trigger};
use crate::timeline::{Event, FrameKind, Timeline};

/// How often QEMU's statistics are read.
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
        monitor: &Monitor,
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
            let task = count_bytes(monitor.clone(), written, timeline.clone());
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

async fn count_bytes(monitor: Monitor, mut wanted: Vec<u64>, timeline: Timeline) {
    let mut every = tokio::time::interval(EVERY);
    while !wanted.is_empty() {
        every.tick().await;
        let Ok(statistics) = monitor.execute("query-blockstats", json!({})).await else {
            return;
        };
        let bytes = written(&statistics);
        if wanted.iter().any(|wanted| bytes >= *wanted) {
            wanted.retain(|wanted| bytes < *wanted);
            timeline.emit(Event::Written { bytes });
        }
    }
}

/// Bytes that the guest has written to all drives, as QMP's `query-blockstats` says.
fn written(statistics: &Value) -> u64 {
    let drives = statistics.as_array().into_iter().flatten();
    drives
        .filter_map(|drive| drive["stats"]["wr_bytes"].as_u64())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guest_has_written_is_the_sum_of_the_drives() {
        let answer = json!([
            { "device": "", "stats": { "wr_bytes": 512, "rd_bytes": 7 }, "parent": { "stats": { "wr_bytes": 9 } } },
            { "device": "sd1", "stats": { "rd_bytes": 1 } },
            { "device": "sd2", "stats": { "wr_bytes": 1024 } },
        ]);
        assert_eq!(written(&answer), 1536);
        assert_eq!(written(&Value::Null), 0);
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
