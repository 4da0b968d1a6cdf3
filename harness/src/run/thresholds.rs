//! Counts that triggers wait for and that nobody else puts onto the timeline: frames that a board has sent, and bytes that it has written
//! to its card.

use std::collections::BTreeMap;

use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::lan::{Direction, Lan, Observed, kinds_of};
use crate::mac::Mac;
use crate::machine::{MachineError, OverlayGrowth};
use crate::scenario::{FrameTrigger, PlannedFault, Scenario, Trigger};
use crate::timeline::{Event, FrameKind, Timeline};

/// What is counted for one board while it has power, for steps and for faults.
#[derive(Debug)]
pub(super) struct Thresholds {
    frames: Vec<(BootOf, FrameTrigger)>,
    written: Vec<(BootOf, u64)>,
    seen: Receiver<Observed>,
    mac: Mac,
    card: Written,
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
        card: Written,
        timeline: &Timeline,
    ) -> Self {
        let board = timeline.board();
        let of_steps = scenario
            .steps
            .iter()
            .filter(|step| step.board == board)
            .filter_map(|step| Some((Some(step.begins_in), step.after.as_ref()?)));
        let of_faults = scenario.faults.iter();
        let of_faults = of_faults.filter(|fault| fault.is_of(board.as_ref()));
        let of_faults = of_faults.flat_map(PlannedFault::triggers);
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
            card,
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
            let (card, timeline) = (self.card.clone(), self.timeline.clone());
            let before = card.so_far();
            let task = async move {
                if let Err(error) = count_bytes(card, before, written, &timeline).await {
                    timeline.note("script", error.to_string());
                }
            };
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

/// Emits how much has been written to a card since it was `before`, at each of the counts that are awaited.
async fn count_bytes(
    mut card: Written,
    before: u64,
    mut wanted: Vec<u64>,
    timeline: &Timeline,
) -> Result<(), MachineError> {
    wanted.sort_unstable();
    let mut bytes = 0;
    for wanted in wanted {
        if bytes < wanted {
            let now = card.reaches(before.saturating_add(wanted)).await?;
            bytes = now.saturating_sub(before);
            timeline.emit(Event::Written { bytes });
        }
    }
    Ok(())
}

/// Who knows what a board has written to its card.
#[derive(Debug, Clone)]
pub(super) enum Written {
    /// The emulator, by the file that it writes to.
    Emulator(OverlayGrowth),
    /// The harness, which answers for the card; in bytes of clusters.
    Harness(watch::Receiver<u64>),
}

impl Written {
    /// How many bytes it is now.
    fn so_far(&self) -> u64 {
        match self {
            Self::Emulator(growth) => growth.size(),
            Self::Harness(written) => *written.borrow(),
        }
    }

    /// Waits until it is at least so many, and returns how many.
    ///
    /// # Errors
    /// The emulator refuses, or has ended; nobody answers for the card any more.
    async fn reaches(&mut self, bytes: u64) -> Result<u64, MachineError> {
        match self {
            Self::Emulator(growth) => growth.reaches(bytes).await,
            Self::Harness(written) => {
                let written = written.wait_for(|now| *now >= bytes).await;
                let gone = |_| MachineError::Monitor("nobody answers for the card".into());
                written.map(|now| *now).map_err(gone)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        let timeline = Timeline::start();
        let lan = Lan::start(crate::lan::Config::default(), timeline.clone()).unwrap();
        let card = Written::Harness(watch::channel(0).1);
        let mut thresholds = Thresholds::watch(&scenario, &lan, Mac([2; 6]), card, &timeline);
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

    #[tokio::test]
    async fn bytes_are_counted_from_what_was_written_before() {
        let (card, written) = watch::channel(1000);
        let timeline = Timeline::start();
        let wanted = vec![3000, 1, 1500];
        let written = Written::Harness(written);
        let log = timeline.clone();
        let counting = tokio::spawn(async move { count_bytes(written, 1000, wanted, &log).await });
        tokio::task::yield_now().await;
        assert!(timeline.is_empty());
        for size in [3000, 4000] {
            let seen = timeline.len();
            card.send(size).unwrap();
            while timeline.len() == seen {
                tokio::task::yield_now().await;
            }
        }
        counting.await.unwrap().unwrap();
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
