//! Following a run from power-on to its verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::time::sleep;

use super::bounds::Bounds;
use super::on_board::{Guest, OnBoard};
use crate::console::Expectations;
use crate::judge::{Deadline, Due, JudgePlan, JudgedStage, Progress, Verdict};
use crate::report::CpuSeconds;
use crate::timeline::{BoardId, BudgetClock, Cursor, Event, Record, StoppedBy, Timeline};

/// How often the clocks are looked at.
const TICK: Duration = Duration::from_secs(1);

/// A stage of a boot of a board.
pub(crate) type StageKey = (Option<BoardId>, u32, String);

/// The script of one run.
pub(crate) struct Script {
    timeline: Timeline,
    progress: Progress,
    boards: Vec<OnBoard>,
    tick: Duration,
    /// The CPU time of each stage that has been announced; `None` of one that another run went through.
    cpu: BTreeMap<StageKey, Option<CpuSeconds>>,
    /// How many stages have been announced.
    announced: usize,
    used: CpuSeconds,
    cursor: Cursor,
    /// Records up to the one that decided.
    taken: usize,
    /// The number of the step that is done next.
    next: usize,
    /// When something that only a clock can notice was put onto the timeline last.
    noticed: Option<Duration>,
    is_stopped: bool,
    /// The cards are being read back.
    reads_cards: bool,
    /// What the emulators of earlier boots have cost.
    cpu_before: f64,
    /// How many times slower than the reference host this one is.
    scale: f64,
}

/// What must be done for the run to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing: it is decided.
    Decided,
    /// What a step does.
    Do(Due),
    /// This board has reset itself, as a step expected: its next boot begins.
    Reset(Option<BoardId>),
    /// All boards are switched off, and their cards read back.
    ReadCards,
}

/// A run that has been followed to its end.
#[derive(Debug)]
pub(crate) struct Followed {
    /// What came of it.
    pub(crate) verdict: Verdict,
    /// The CPU time of each reached stage; `None` of one that another run went through.
    pub(crate) cpu: BTreeMap<StageKey, Option<CpuSeconds>>,
    /// The CPU seconds that the emulator had used when last looked at, which is kept when it has died.
    pub(crate) cpu_seconds: f64,
    /// The records up to the one that decided.
    pub(crate) records: Vec<Record>,
}

impl Script {
    /// The script of a run whose boards are off.
    pub(crate) fn new(plan: &JudgePlan, timeline: Timeline) -> Self {
        Self {
            timeline,
            progress: Progress::new(plan),
            boards: Vec::new(),
            tick: TICK,
            cpu: BTreeMap::new(),
            announced: 0,
            used: CpuSeconds::default(),
            cursor: Cursor::default(),
            taken: 0,
            next: 0,
            noticed: None,
            is_stopped: false,
            reads_cards: false,
            cpu_before: 0.0,
            scale: 1.0,
        }
    }

    /// The same that looks at the clocks this often.
    #[cfg(test)]
    pub(crate) fn with_tick(self, tick: Duration) -> Self {
        Self { tick, ..self }
    }

    /// A board is on: these are its part of the timeline, its serial ports, its bounds and its signs of life.
    pub(crate) fn switched_on(
        &mut self,
        timeline: Timeline,
        expectations: Expectations,
        bounds: Bounds,
        guest: Guest,
    ) {
        self.switched_off(timeline.board().as_ref());
        self.scale = bounds.scale();
        let board = OnBoard::new(timeline, expectations, bounds, guest);
        if self.boards.is_empty() && self.cpu.is_empty() {
            self.used = board.meter();
        }
        self.boards.push(board);
    }

    /// A board is off.
    pub(crate) fn switched_off(&mut self, board: Option<&BoardId>) {
        let gone = |on: &mut OnBoard| on.board.as_ref() == board;
        for mut on in self.boards.extract_if(.., gone) {
            on.look_at_clocks();
            self.cpu_before += on.cpu_seconds;
        }
    }

    /// A board that is on has been started again.
    pub(crate) fn started_again(&mut self, board: Option<&BoardId>) {
        let mut boards = self.boards.iter_mut();
        if let Some(on) = boards.find(|on| on.board.as_ref() == board) {
            on.begin_boot();
        }
    }

    /// What the first step does, which is being done from now on.
    pub(crate) fn begin_first_step(&mut self) -> Option<Due> {
        self.next = 1;
        self.progress.due()
    }

    /// Follows the run until it is decided, or until something must be done. `stop` completes when the run must end. May be dropped and
    /// called again.
    pub(crate) async fn follow(&mut self, stop: impl Future<Output = StoppedBy>) -> Next {
        tokio::pin!(stop);
        let mut looked = None;
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
                return Next::Decided;
            }
            if let Some(board) = self.progress.take_reset() {
                return Next::Reset(board);
            }
            if self.progress.awaits_card() && !self.reads_cards {
                self.reads_cards = true;
                return Next::ReadCards;
            }
            if let Some(due) = self.progress.due()
                && due.number >= self.next
            {
                self.next = due.number + 1;
                return Next::Do(due);
            }
            if self.cursor != self.timeline.end() {
                // The announcement of a stage may be what a step waits for.
                continue;
            }
            let wall = self.timeline.elapsed();
            if looked.is_none_or(|looked| wall >= looked + self.tick) {
                looked = Some(wall);
                self.boards.iter_mut().for_each(OnBoard::look_at_clocks);
            }
            if self.look(wall) {
                continue;
            }
            let elapses = self.progress.elapses();
            let tick = elapses.map_or(self.tick, |at| self.tick.min(at.saturating_sub(wall)));
            let mut next = self.cursor;
            let progress = &self.progress;
            let boards = self.boards.iter_mut().map(|on| {
                let board = on.board.clone();
                Box::pin(async move { on.wait(progress.of(board.as_ref())).await })
            });
            let mut boards: Vec<_> = boards.collect();
            let any = async {
                match boards.is_empty() {
                    true => std::future::pending().await,
                    false => select_all(boards.iter_mut()).await.0,
                }
            };
            tokio::select! {
                biased;
                by = &mut stop, if !self.is_stopped => {
                    self.is_stopped = true;
                    self.timeline.emit(Event::Stopped { by });
                }
                _ = self.timeline.wait_for(&mut next, |_| true) => {}
                () = any => {}
                () = sleep(tick) => {}
            }
        }
    }

    /// Puts onto the timeline what only a clock can notice; `false` if there is nothing.
    fn look(&mut self, wall: Duration) -> bool {
        if self.progress.elapses().is_some_and(|at| wall >= at) {
            self.timeline
                .note("script", "the time that a step waits for has passed");
            return true;
        }
        // What changes nothing is not said again and again.
        if self
            .noticed
            .is_some_and(|noticed| wall < noticed + self.tick)
        {
            return false;
        }
        if let Some(event) = self.late(wall) {
            self.timeline.emit(event);
            self.noticed = Some(wall);
            return true;
        }
        for on in &mut self.boards {
            let board = on.board.clone();
            if let Some(event) = on.look(wall, self.progress.of(board.as_ref())) {
                on.timeline.emit(event);
                self.noticed = Some(wall);
                return true;
            }
        }
        false
    }

    /// A step has waited too long for a board that is off. Those that are on look at their own bounds.
    fn late(&self, wall: Duration) -> Option<Event> {
        let (board, Deadline { of, since, until }) = self.progress.of_step(self.scale)?;
        let is_on = self.boards.iter().any(|on| on.board.as_ref() == board);
        (!is_on && wall >= until).then(|| Event::Budget {
            of,
            seconds: until.saturating_sub(since).as_secs_f64(),
            clock: BudgetClock::Wall,
        })
    }

    /// What came of the run.
    pub(crate) fn finish(mut self) -> Followed {
        let mut records = self.timeline.snapshot();
        records.truncate(self.taken);
        let end = self.timeline.elapsed();
        self.boards.iter_mut().for_each(OnBoard::look_at_clocks);
        let now: f64 = self.boards.iter().map(|on| on.cpu_seconds).sum();
        Followed {
            verdict: self.progress.finish(end),
            cpu: self.cpu,
            cpu_seconds: self.cpu_before + now,
            records,
        }
    }

    fn take(&mut self, record: &Record) {
        for on in &mut self.boards {
            on.take(record);
        }
        self.progress.take(record);
        for (board, alarm) in self.progress.take_alarms() {
            self.emit(board.as_ref(), alarm);
        }
    }

    /// Puts an event of a board onto the timeline.
    fn emit(&self, board: Option<&BoardId>, event: Event) {
        let on = self.boards.iter().find(|on| on.board.as_ref() == board);
        on.map_or(&self.timeline, |on| &on.timeline).emit(event);
    }

    /// Says which stages have been reached since the last time.
    fn announce(&mut self) {
        if self.progress.count() == self.announced {
            return;
        }
        self.announced = self.progress.count();
        let now = self.meter();
        for stage in self.progress.reached() {
            let JudgedStage {
                board,
                boot,
                name,
                outcome,
            } = stage;
            let Some((at, restored)) = outcome.reached() else {
                continue;
            };
            let key = (board.clone(), boot, name.clone());
            if self.cpu.contains_key(&key) {
                continue;
            }
            if restored {
                self.cpu.insert(key, None);
                continue;
            }
            self.emit(board.as_ref(), Event::Stage { name, reached: at });
            self.cpu.insert(key, Some(now - self.used));
            self.used = now;
        }
    }

    /// The CPU time that the run has cost so far.
    fn meter(&self) -> CpuSeconds {
        let meters = self.boards.iter().map(OnBoard::meter);
        let mut all = CpuSeconds {
            qemu: self.cpu_before,
            harness: self.used.harness,
        };
        for meter in meters {
            all.qemu += meter.qemu;
            // Each knows the one harness.
            all.harness = meter.harness;
        }
        all
    }
}
