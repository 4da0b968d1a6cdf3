//! The judgement of a run while its records come, and at once.

use std::time::Duration;

use super::boot::{BootProgress, Decision};
use super::plan::{JudgePlan, Source};
use super::verdict::{Finding, JudgedStage, Outcome, Verdict};
use crate::board::Stage;
use crate::report::Class;
use crate::scenario::Assertion;
use crate::timeline::{Bound, Event, Record};

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
    journal: Vec<Assertion>,
    /// Requests of this run, which the journal's assertions are about.
    requests: Vec<Record>,
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
            journal: plan.journal.clone(),
            requests: Vec::new(),
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
        for boot in &mut self.boots {
            if of_all || boot.is_of(record) {
                boot.take(record);
            }
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
        self.verdict()
    }

    /// The verdict stands.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.decided.is_some()
    }

    /// The alarms that records have raised since the last time, as events for the timeline. They tell people; no verdict depends on them.
    pub fn take_alarms(&mut self) -> Vec<Event> {
        let boots = self.boots.iter_mut();
        boots.flat_map(BootProgress::take_alarms).collect()
    }

    /// How many boots have been judged so far.
    #[must_use]
    pub fn boots_done(&self) -> usize {
        let is_done = |boot: &&BootProgress| boot.decision().is_some();
        self.boots.iter().filter(is_done).count()
    }

    /// The boot that is under way: the first that has not done what it should.
    fn current(&self) -> Option<&BootProgress> {
        self.boots.iter().find(|boot| boot.decision().is_none())
    }

    /// The stage that is awaited.
    #[must_use]
    pub fn awaited(&self) -> Option<&Stage> {
        self.current()?.awaited()
    }

    /// The nonce of the boot that is under way; empty where nobody knows it.
    #[must_use]
    pub fn nonce(&self) -> &str {
        self.current().map_or("", BootProgress::nonce)
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

    /// When something last came on, on the timeline's clock: power, a stage, a lease or an answer of a server.
    #[must_use]
    pub fn last_progress(&self) -> Duration {
        self.current()
            .map_or(Duration::ZERO, BootProgress::last_progress)
    }

    /// What is bounded now besides the awaited stage, and when it ends on the timeline's clock. Whoever follows a live run puts an
    /// [`Event::Budget`] of that bound on the timeline then. `scale` multiplies bounds of the board's own doing.
    #[must_use]
    pub fn deadlines(&self, scale: f64) -> Vec<(Bound, Duration)> {
        self.current()
            .map_or_else(Vec::new, |boot| boot.deadlines(scale))
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
        if !all {
            return;
        }
        self.decided = Some(match self.violations() {
            Some(cause) => Decided::Failed(Finding {
                class: Class::Board,
                cause,
                at,
                stage_reached: self.reached().pop().map(|stage| stage.name),
                awaited: None,
                waited: Duration::ZERO,
                advice: None,
            }),
            None => Decided::Passed,
        });
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
