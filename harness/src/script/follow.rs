//! Following a run from power-on to its verdict.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::bounds::Bounds;
use super::serial::SerialWait;
use super::watch::{Activity, Now, Watch};
use crate::console::Expectations;
use crate::judge::{JudgePlan, JudgedStage, Progress, Verdict};
use crate::report::CpuSeconds;
use crate::timeline::{Cursor, Event, Record, StoppedBy, Timeline};

/// How often the clocks are looked at.
const TICK: Duration = Duration::from_secs(1);

/// Reads the CPU time that has been used so far.
pub(crate) type Meter = Arc<dyn Fn() -> CpuSeconds + Send + Sync>;

/// What is to be known of the guest while it runs.
pub(crate) struct Guest {
    /// Its signs of life.
    pub(crate) activity: Box<dyn FnMut() -> Activity + Send>,
    /// For how long others have kept it from running so far.
    pub(crate) starved: Box<dyn FnMut() -> Duration + Send>,
    /// The CPU time that it has cost so far.
    pub(crate) meter: Meter,
}

/// The script of one run.
pub(crate) struct Script {
    timeline: Timeline,
    progress: Progress,
    serial: SerialWait,
    bounds: Bounds,
    guest: Guest,
    tick: Duration,
    /// How many stages have been announced.
    announced: usize,
    /// The CPU time of each stage.
    cpu: Vec<Option<CpuSeconds>>,
    used: CpuSeconds,
    served: u64,
    lines: u64,
    cursor: Cursor,
    /// Records up to the one that decided.
    taken: usize,
    /// Boots that have come to their ends.
    boots_done: usize,
    /// What the emulators of earlier boots have cost, and the present one when last looked at.
    cpu_before: f64,
    cpu_seconds: f64,
}

/// A run that has been followed to its end.
#[derive(Debug)]
pub(crate) struct Followed {
    /// What came of it.
    pub(crate) verdict: Verdict,
    /// The CPU time of each reached stage; `None` of one that another run went through.
    pub(crate) cpu: Vec<Option<CpuSeconds>>,
    /// The CPU seconds that the emulator had used when last looked at, which is kept when it has died.
    pub(crate) cpu_seconds: f64,
    /// The records up to the one that decided.
    pub(crate) records: Vec<Record>,
}

impl Script {
    pub(crate) fn new(
        plan: &JudgePlan,
        timeline: Timeline,
        expectations: Expectations,
        bounds: Bounds,
        guest: Guest,
    ) -> Self {
        Self {
            timeline,
            progress: Progress::new(plan),
            serial: SerialWait::new(expectations),
            bounds,
            used: (guest.meter)(),
            guest,
            tick: TICK,
            announced: 0,
            cpu: Vec::new(),
            served: 0,
            lines: 0,
            cursor: Cursor::default(),
            taken: 0,
            boots_done: 0,
            cpu_before: 0.0,
            cpu_seconds: 0.0,
        }
    }

    /// The same that looks at the clocks this often.
    #[cfg(test)]
    pub(crate) fn with_tick(self, tick: Duration) -> Self {
        Self { tick, ..self }
    }

    /// Follows the run until it is decided, or until a boot has come to its end and another one must follow: `true`. `ended` completes
    /// with the emulator's last words when it has ended by itself, `stop` when the run must end.
    pub(crate) async fn follow(
        &mut self,
        ended: impl Future<Output = String>,
        stop: impl Future<Output = StoppedBy>,
    ) -> bool {
        tokio::pin!(ended, stop);
        let (mut has_ended, mut is_stopped) = (false, false);
        let mut watch = None;
        let (mut looked, mut starved) = (None, Duration::ZERO);
        loop {
            let mut cursor = self.cursor;
            for record in self.timeline.read(&mut cursor) {
                if !self.progress.is_decided() {
                    self.taken += 1;
                    self.take(&record);
                }
            }
            self.cursor = cursor;
            // Not before: what a checkpoint's run went through comes in one piece with the record that says so.
            self.announce();
            if self.progress.is_decided() {
                return false;
            }
            if self.progress.boots_done() > self.boots_done {
                self.boots_done = self.progress.boots_done();
                return true;
            }
            let wall = self.timeline.elapsed();
            if looked.is_none_or(|looked| wall >= looked + self.tick) {
                looked = Some(wall);
                starved = (self.guest.starved)();
                self.cpu_seconds = (self.guest.meter)().qemu.max(self.cpu_seconds);
            }
            let now = Now { wall, starved };
            let activity = Activity {
                served: self.served,
                lines: self.lines,
                ..(self.guest.activity)()
            };
            let watch = watch.get_or_insert_with(|| Watch::new(self.bounds.clone(), now, activity));
            if let Some(event) = watch.look(now, activity, &self.progress) {
                self.timeline.emit(event);
                continue;
            }
            let pattern = self.progress.awaited();
            let pattern = pattern
                .and_then(|stage| SerialWait::pattern_of(&stage.evidence, self.progress.nonce()));
            let mut next = self.cursor;
            tokio::select! {
                biased;
                by = &mut stop, if !is_stopped => {
                    is_stopped = true;
                    self.timeline.emit(Event::Stopped { by });
                }
                _ = self.timeline.wait_for(&mut next, |_| true) => {}
                () = self.serial.wait(pattern.as_ref()) => {}
                words = &mut ended, if !has_ended => {
                    has_ended = true;
                    self.timeline.emit(Event::EmulatorEnded { words });
                }
                () = sleep(self.tick) => {}
            }
        }
    }

    /// The board begins its next boot: these are its serial ports and its signs of life.
    pub(crate) fn next_boot(&mut self, expectations: Expectations, guest: Guest) {
        self.cpu_before += (self.guest.meter)().qemu.max(self.cpu_seconds);
        self.cpu_seconds = 0.0;
        self.serial = SerialWait::new(expectations);
        self.used = (guest.meter)();
        self.guest = guest;
    }

    /// What came of the run.
    pub(crate) fn finish(self) -> Followed {
        let mut records = self.timeline.snapshot();
        records.truncate(self.taken);
        let end = self.timeline.elapsed();
        let cpu_seconds = (self.guest.meter)().qemu.max(self.cpu_seconds);
        Followed {
            verdict: self.progress.finish(end),
            cpu: self.cpu,
            cpu_seconds: self.cpu_before + cpu_seconds,
            records,
        }
    }

    fn take(&mut self, record: &Record) {
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
        self.progress.take(record);
        for alarm in self.progress.take_alarms() {
            self.timeline.emit(alarm);
        }
    }

    /// Says which stages have been reached since the last time.
    fn announce(&mut self) {
        if self.progress.count() == self.announced {
            return;
        }
        let reached = self.progress.reached();
        let now = (self.guest.meter)();
        for JudgedStage { name, outcome, .. } in reached.into_iter().skip(self.announced) {
            let Some((at, restored)) = outcome.reached() else {
                continue;
            };
            self.announced += 1;
            if restored {
                self.cpu.push(None);
                continue;
            }
            self.timeline.emit(Event::Stage { name, reached: at });
            self.cpu.push(Some(now - self.used));
            self.used = now;
        }
    }
}
