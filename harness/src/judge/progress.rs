//! The judgement of a run while its records come, and at once.

use std::time::Duration;

use super::boot::{BootProgress, Decision};
use super::card::CardProgress;
use super::plan::{JudgePlan, Source};
use super::steps::{Due, StepsProgress};
use super::verdict::{Finding, JudgedStage, Outcome, Verdict};
use crate::board::Stage;
use crate::report::Class;
use crate::scenario::Assertion;
use crate::timeline::{BoardId, Bound, Event, Record};

/// Judges a record that is complete.
#[must_use]
pub fn judge(plan: &JudgePlan, records: &[Record]) -> Verdict {
    let mut progress = Progress::new(plan);
    for record in records {
        progress.take(record);
    }
    progress.finish(records.last().map_or(Duration::ZERO, |r| r.at))
}

/// The judgement so far. Each record costs the same, however many there were before.
#[derive(Debug, Clone)]
pub struct Progress {
    source: Source,
    boots: Vec<BootProgress>,
    steps: StepsProgress,
    journal: Vec<Assertion>,
    /// Requests of this run, which the journal's assertions are about.
    requests: Vec<Record>,
    card: Option<CardProgress>,
    /// Everything but the card is as it must be.
    awaits_card: bool,
    decided: Option<Decided>,
}

/// It is decided, by a boot or by the journal.
#[derive(Debug, Clone)]
enum Decided {
    /// Each boot has done what it should.
    Passed,
    Failed(Finding),
}

impl Progress {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(plan: &JudgePlan) -> Self {
        Self {
            source: plan.source,
            boots: plan
                .boots
                .iter()
                .map(|boot| BootProgress::new(boot.clone(), plan.source))
                .collect(),
            steps: StepsProgress::new(&plan.steps),
            journal: plan.journal.clone(),
            requests: Vec::new(),
            card: plan.card.as_ref().map(|rules| {
                let boards = plan.boots.iter().map(|boot| boot.board.clone());
                CardProgress::new(rules, boards.collect())
            }),
            awaits_card: false,
            decided: None,
        }
    }

    /// Takes the next record. What comes after the decision changes nothing.
    pub fn take(&mut self, record: &Record) {
        if self.is_decided() {
            return;
        }
        match &record.event {
            // What the run saw that made a checkpoint is not of this one.
            Event::Restored { .. } => self.requests.clear(),
            Event::Request(_) if !self.journal.is_empty() => self.requests.push(record.clone()),
            _ => {}
        }
        let of_all = is_of_all(&record.event);
        let talked_to = self.steps.conversation();
        let talked_to = talked_to.map(|(board, boot)| (board.cloned(), boot));
        for boot in &mut self.boots {
            if of_all || boot.is_of(record) {
                boot.set_talked_to(
                    talked_to
                        .as_ref()
                        .is_some_and(|(b, n)| boot.is(b.as_ref(), *n)),
                );
                boot.take(record);
            } else if boot.comes_after(record) {
                boot.take_of_earlier_boot(record);
            } else if boot.is_behind_that_of(record) {
                boot.take_fetched(&record.event);
            }
        }
        self.steps.take(record, &mut self.boots);
        if let Some(card) = &mut self.card {
            card.take(record);
        }
        self.decide(record.at);
    }

    /// There is nothing more to come: whatever is still awaited will not come.
    #[must_use]
    pub fn finish(mut self, end: Duration) -> Verdict {
        if !self.is_decided() {
            for boot in &mut self.boots {
                boot.finish(end);
            }
            self.decide(end);
        }
        if !self.is_decided() {
            let why = match self.steps.under_way() {
                Some(number) => Some(format!("the record ends before step {number} is done")),
                None if self.awaits_card => {
                    Some("the record ends before the card was read back".into())
                }
                None => None,
            };
            self.decided = why.map(|why| self.failed(Class::Host, why, end));
        }
        self.verdict()
    }

    /// The verdict stands.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.decided.is_some()
    }

    /// The alarms that records have raised since the last time, as events for the timeline. They tell people; no verdict depends on them.
    pub fn take_alarms(&mut self) -> Vec<(Option<BoardId>, Event)> {
        let of_boot = |boot: &mut BootProgress| {
            let board = boot.identity().0.cloned();
            let alarms = boot.take_alarms().into_iter();
            alarms
                .map(|alarm| (board.clone(), alarm))
                .collect::<Vec<_>>()
        };
        self.boots.iter_mut().flat_map(of_boot).collect()
    }

    /// What a live run must do now, once.
    #[must_use]
    pub fn due(&self) -> Option<Due> {
        (!self.is_decided()).then(|| self.steps.due()).flatten()
    }

    /// The board that has reset itself as a step expected: its next boot begins. Says it once.
    pub fn take_reset(&mut self) -> Option<Option<BoardId>> {
        self.steps.take_reset()
    }

    /// Everything but the card is as it must be: the boards must be switched off, and their cards be read back.
    #[must_use]
    pub fn awaits_card(&self) -> bool {
        self.awaits_card && !self.is_decided()
    }

    /// When the step that is under way begins by the timeline's clock alone, if it does: a record must come then.
    #[must_use]
    pub fn elapses(&self) -> Option<Duration> {
        self.steps.elapses()
    }

    /// The bound of the step that is under way, and its board. `scale` as for [`OfBoard::deadlines`].
    #[must_use]
    pub fn of_step(&self, scale: f64) -> Option<(Option<&BoardId>, Deadline)> {
        let board = self.steps.board()?;
        Some((board, self.steps.deadline(board, scale)?))
    }

    /// The part of one board; `None` where a run has one.
    #[must_use]
    pub fn of<'p>(&'p self, board: Option<&'p BoardId>) -> OfBoard<'p> {
        OfBoard {
            progress: self,
            board,
        }
    }

    /// The stages that have been reached so far, in order.
    #[must_use]
    pub fn reached(&self) -> Vec<JudgedStage> {
        self.boots.iter().flat_map(BootProgress::reached).collect()
    }

    /// How many stages have been reached.
    #[must_use]
    pub fn count(&self) -> usize {
        self.boots.iter().map(BootProgress::count).sum()
    }

    fn decide(&mut self, at: Duration) {
        let failed = self.boots.iter().find_map(|boot| match boot.decision() {
            Some(Decision::Failed(finding)) => Some(finding.clone()),
            _ => None,
        });
        if let Some(finding) = failed {
            self.decided = Some(Decided::Failed(finding));
            return;
        }
        let all = self.boots.iter().all(|boot| boot.decision().is_some());
        if !all || !self.steps.are_done() {
            return;
        }
        if let Some(cause) = self.violations() {
            self.decided = Some(self.failed(Class::Board, cause, at));
            return;
        }
        let card = self.card.as_ref().filter(|_| !self.source.is_log());
        if card.is_some_and(|card| !card.is_complete()) {
            self.awaits_card = true;
            return;
        }
        self.decided = Some(match card.and_then(CardProgress::violation) {
            Some((class, cause)) => self.failed(class, cause, at),
            None => Decided::Passed,
        });
    }

    /// It has failed when every boot had done what it should.
    fn failed(&self, class: Class, cause: String, at: Duration) -> Decided {
        Decided::Failed(Finding {
            class,
            cause,
            at,
            stage_reached: self.reached().pop().map(|stage| stage.name),
            awaited: None,
            waited: Duration::ZERO,
            advice: None,
        })
    }

    fn violations(&self) -> Option<String> {
        if self.source.is_log() {
            return None;
        }
        let violations = self.journal.iter();
        let violations: Vec<_> = violations
            .filter_map(|assertion| assertion.violation(&self.requests))
            .collect();
        (!violations.is_empty()).then(|| violations.join("\n  "))
    }

    fn verdict(self) -> Verdict {
        let mut not_judged: Vec<_> = self
            .boots
            .iter()
            .flat_map(BootProgress::not_judged)
            .collect();
        if self.source.is_log() && !self.journal.is_empty() {
            not_judged.push("what the servers saw".into());
        }
        if self.source.is_log() && self.card.is_some() {
            not_judged.push("what is on the card".into());
        }
        let (outcome, finding) = match self.decided {
            Some(Decided::Failed(finding)) if finding.class == Class::Host => {
                (Outcome::CouldNotRun, Some(finding))
            }
            Some(Decided::Failed(finding)) => (Outcome::Failed, Some(finding)),
            Some(Decided::Passed) if not_judged.is_empty() => (Outcome::Passed, None),
            Some(Decided::Passed) | None => (Outcome::NotJudged, None),
        };
        let ending = match outcome {
            Outcome::Passed => self.boots.last().and_then(BootProgress::ending),
            _ => None,
        };
        Verdict {
            outcome,
            stages: self.boots.iter().flat_map(BootProgress::stages).collect(),
            finding,
            ending,
            not_judged,
        }
    }
}

/// What is bounded, on the timeline's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// What.
    pub of: Bound,
    /// Since when.
    pub since: Duration,
    /// Until when.
    pub until: Duration,
}

impl Deadline {
    /// A bound of this length.
    pub(super) fn after(of: Bound, since: Duration, length: Duration) -> Self {
        Self {
            of,
            since,
            until: since + length,
        }
    }
}

/// The judgement so far, as far as it is of one board.
#[derive(Debug, Clone, Copy)]
pub struct OfBoard<'p> {
    progress: &'p Progress,
    board: Option<&'p BoardId>,
}

impl<'p> OfBoard<'p> {
    fn boots(self) -> impl Iterator<Item = &'p BootProgress> {
        let boots = self.progress.boots.iter();
        boots.filter(move |boot| boot.identity().0 == self.board)
    }

    /// The boot that is under way: the first that has not done what it should.
    fn current(self) -> Option<&'p BootProgress> {
        self.boots().find(|boot| boot.decision().is_none())
    }

    /// The number of the boot that must still do something; `None` when every boot has done what it should.
    #[must_use]
    pub fn boot(self) -> Option<u32> {
        self.current().map(|boot| boot.identity().1)
    }

    /// The stage that is awaited.
    #[must_use]
    pub fn awaited(self) -> Option<&'p Stage> {
        self.current()?.awaited()
    }

    /// What the container may say in the boot that is under way if it is the registry's; nothing where nobody knows it.
    #[must_use]
    pub fn nonces(self) -> &'p [String] {
        self.current().map_or(&[], BootProgress::nonces)
    }

    /// How many stages have been reached.
    #[must_use]
    pub fn count(self) -> usize {
        self.boots().map(BootProgress::count).sum()
    }

    /// Somebody types at the board: its stages wait.
    #[must_use]
    pub fn is_talked_to(self) -> bool {
        let talked_to = self.progress.steps.conversation();
        talked_to.is_some_and(|(board, _)| board == self.board)
    }

    /// What a UART must say next for a step.
    #[must_use]
    pub fn awaited_text(self) -> Option<regex::Regex> {
        let (board, pattern) = self.progress.steps.awaited()?;
        (board == self.board).then_some(pattern)
    }

    /// The bounds that hold now, besides that of the awaited stage. The script of a live run puts an [`Event::Budget`] on the timeline when one
    /// of them is over. `scale` multiplies bounds of the board's own doing.
    #[must_use]
    pub fn deadlines(self, scale: f64) -> Vec<Deadline> {
        let boot = self.current();
        let mut all = boot.map_or_else(Vec::new, |boot| boot.deadlines(scale));
        all.extend(self.progress.steps.deadline(self.board, scale));
        all
    }
}

/// It happens to the run, whatever board the record names.
fn is_of_all(event: &Event) -> bool {
    matches!(
        event,
        Event::Stopped { .. }
            | Event::Host { .. }
            | Event::Flood { .. }
            | Event::Restored { .. }
            | Event::Budget { of: Bound::Run, .. }
    )
}
