//! A board that is on, as the script follows it: its serial ports, its signs of life, its emulator.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::bounds::Bounds;
use super::serial::SerialWait;
use super::watch::{Activity, Now, Watch};
use crate::console::Expectations;
use crate::judge::OfBoard;
use crate::report::CpuSeconds;
use crate::timeline::{BoardId, Event, Record, Timeline};

/// Reads the CPU time that has been used so far.
pub(crate) type Meter = Arc<dyn Fn() -> CpuSeconds + Send + Sync>;

/// What must be known of the guest while it runs.
pub(crate) struct Guest {
    /// Its signs of life.
    pub(crate) activity: Box<dyn FnMut() -> Activity + Send>,
    /// For how long others have kept it from running so far.
    pub(crate) starved: Box<dyn FnMut() -> Duration + Send>,
    /// The CPU time that it has cost so far.
    pub(crate) meter: Meter,
    /// Completes with the emulator's last output when it has ended by itself.
    pub(crate) ended: BoxFuture<'static, String>,
}

/// A board that is on.
pub(super) struct OnBoard {
    pub(super) board: Option<BoardId>,
    pub(super) timeline: Timeline,
    serial: SerialWait,
    guest: Guest,
    bounds: Bounds,
    watch: Option<Watch>,
    starved: Duration,
    has_ended: bool,
    served: u64,
    lines: u64,
    /// What its emulator had cost when last looked at, which is kept when it has died.
    pub(super) cpu_seconds: f64,
}

impl OnBoard {
    pub(super) fn new(
        timeline: Timeline,
        expectations: Expectations,
        bounds: Bounds,
        guest: Guest,
    ) -> Self {
        Self {
            board: timeline.board(),
            timeline,
            serial: SerialWait::new(expectations),
            guest,
            bounds,
            watch: None,
            starved: Duration::ZERO,
            has_ended: false,
            served: 0,
            lines: 0,
            cpu_seconds: 0.0,
        }
    }

    /// Takes a record of the run.
    pub(super) fn take(&mut self, record: &Record) {
        if record.board != self.board {
            return;
        }
        let is_served = matches!(
            record.event,
            Event::Request(_)
                | Event::Tls(_)
                | Event::Answer(_)
                | Event::Lease { .. }
                | Event::Dns { .. }
                | Event::Ntp { .. }
        );
        self.served += u64::from(is_served);
        self.lines += u64::from(matches!(record.event, Event::Serial { .. }));
    }

    /// The CPU time that it has cost so far.
    pub(super) fn meter(&self) -> CpuSeconds {
        (self.guest.meter)()
    }

    /// Looks at the clocks that cost something to read.
    pub(super) fn look_at_clocks(&mut self) {
        self.starved = (self.guest.starved)();
        self.cpu_seconds = self.meter().qemu.max(self.cpu_seconds);
    }

    /// What must be put onto the timeline now, if anything.
    pub(super) fn look(&mut self, wall: Duration, progress: OfBoard<'_>) -> Option<Event> {
        let now = Now {
            wall,
            starved: self.starved,
        };
        let activity = Activity {
            served: self.served,
            lines: self.lines,
            ..(self.guest.activity)()
        };
        let watch = self
            .watch
            .get_or_insert_with(|| Watch::new(self.bounds.clone(), now, activity));
        // A boot that has done what it should owes no sign of life until a step ends it.
        let owes = progress.boot() == Some(self.timeline.boot());
        watch.look(now, activity, progress, owes)
    }

    /// Its watch begins anew: the board has been started again.
    pub(super) fn begin_boot(&mut self) {
        self.watch = None;
    }

    /// Waits until something has come for this board: text that is awaited, or the end of its emulator, which is put onto the timeline.
    /// May be dropped and called again.
    pub(super) async fn wait(&mut self, progress: OfBoard<'_>) {
        let pattern = progress.awaited_text().or_else(|| {
            let stage = progress.awaited()?;
            SerialWait::pattern_of(&stage.evidence, progress.nonces())
        });
        tokio::select! {
            biased;
            () = self.serial.wait(pattern.as_ref()) => {}
            words = &mut self.guest.ended, if !self.has_ended => {
                self.has_ended = true;
                self.timeline.emit(Event::EmulatorEnded { words });
            }
            // Both are over.
            else => std::future::pending().await,
        }
    }
}
