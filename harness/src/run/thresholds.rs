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
use crate::scenario::{FrameTrigger, PlannedFault, Scenario, Trigger};
use crate::timeline::{Event, FrameKind, Timeline};

/// How often the overlay's size is read.
const EVERY: Duration = Duration::from_millis(50);

/// What is counted for one board while it has power, for steps and for faults.
#[derive(Debug)]
pub(super) struct Thresholds {
    frames: Vec<(BootOf, FrameTrigger)>,
    written: Vec<(BootOf, u64)>,
    seen: Receiver<Observed>,
    mac: Mac,
    overlay: PathBuf,
    timeline: Timeline,
    /// They count for the boot that is under way.
    tasks: Vec<AbortOnDropHandle<()>>,
}

/// The boot in which something is awaited; `None` for each.
type BootOf = Option<u32>;

impl Thresholds {
    /// Counts what the triggers of a scenario wait for, from the boot on that is under way. Needs a tokio runtime.
    pub(super) fn watch(
        scenario: &Scenario,
        lan: &Lan,
        mac: Mac,
        overlay: &Path,
        timeline: &Timeline,
    ) -> Self {
        let board = timeline.board();
        let of_steps = scenario
            .steps
            .iter()
            .filter(|step| step.board == board)
            .filter_map(|step| Some((Some(step.begins_in), step.after.as_ref()?)));
        let of_faults = scenario.faults.iter().flat_map(PlannedFault::triggers);
        let (mut frames, mut written) = (Vec::new(), Vec::new());
        for (boot, trigger) in of_steps.chain(of_faults) {
            match trigger {
                Trigger::Frames(trigger) => frames.push((boot, *trigger)),
                Trigger::Written(bytes) => written.push((boot, bytes.0)),
                _ => {}
            }
        }
        let mut thresholds = Self {
            frames,
            written,
            seen: lan.observe(),
            mac,
            overlay: overlay.into(),
            timeline: timeline.clone(),
            tasks: Vec::new(),
        };
        thresholds.begin_boot();
        thresholds
    }

    /// Counts from 0 again: another boot has begun. Needs a tokio runtime.
    pub(super) fn begin_boot(&mut self) {
        self.tasks.clear();
        let now = self.timeline.boot();
        let frames = awaited(&self.frames, now);
        if !frames.is_empty() {
            let seen = self.seen.resubscribe();
            let task = count_frames(seen, self.mac, frames, self.timeline.clone());
            self.tasks.push(AbortOnDropHandle::new(tokio::spawn(task)));
        }
        let written = awaited(&self.written, now);
        if !written.is_empty() {
            let (overlay, before) = (self.overlay.clone(), size(&self.overlay));
            let task = count_bytes(overlay, before, written, self.timeline.clone());
            self.tasks.push(AbortOnDropHandle::new(tokio::spawn(task)));
        }
    }
}

/// What is awaited in a boot.
fn awaited<T: Copy>(all: &[(BootOf, T)], now: u32) -> Vec<T> {
    let its = all
        .iter()
        .filter(|(boot, _)| boot.is_none_or(|boot| boot == now));
    its.map(|(_, awaited)| *awaited).collect()
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
    async fn each_boot_counts_from_its_beginning_and_faults_wait_in_all() {
        let text = r#"
            fault = [
                { name = "loss", cable = { loss = 1.0 }, after = { frames = 2 }, until = { written = "64KiB" } },
                { name = "refused", boot = 1, dhcp = "nak", after = { frames = 9 } },
            ]
            step = [{ power = "on" }, { after = { frames = 3, of = "dhcp" }, power = "reset" }]
        "#;
        let scenario = crate::scenario::testing::extended("alpine-http", text).unwrap();
        let (timeline, folder) = (Timeline::start(), tempfile::tempdir().unwrap());
        let lan = Lan::start(crate::lan::Config::default(), timeline.clone()).unwrap();
        let mut thresholds =
            Thresholds::watch(&scenario, &lan, Mac([2; 6]), folder.path(), &timeline);
        let in_boot = |thresholds: &Thresholds, boot| {
            let counts = awaited(&thresholds.frames, boot).into_iter();
            counts.map(|frames| frames.nth).collect::<Vec<_>>()
        };
        assert_eq!(in_boot(&thresholds, 0), [3, 2, 9]);
        assert_eq!(in_boot(&thresholds, 1), [2]);
        assert_eq!(thresholds.tasks.len(), 2);
        timeline.begin_next_boot();
        thresholds.begin_boot();
        assert_eq!(thresholds.tasks.len(), 2);
    }

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
                who: "".into(),
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
