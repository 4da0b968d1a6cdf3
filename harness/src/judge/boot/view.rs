//! What can be seen of a boot.

use std::time::Duration;

use super::super::evidence::Context;
use super::super::plan::EndPlan;
use super::super::verdict::{JudgedStage, StageOutcome};
use super::{BootProgress, Decision, GoneBy};
use crate::report::Ending;
use crate::timeline::{BoardId, Event};

impl BootProgress {
    /// The board, and which boot of it this is.
    pub(in crate::judge) fn identity(&self) -> (Option<&BoardId>, u32) {
        (self.plan.board.as_ref(), self.plan.boot)
    }

    /// The stage of this name has been reached.
    pub(in crate::judge) fn has_reached(&self, name: &str) -> bool {
        let mut stages = self.plan.stages.iter().zip(&self.gone_by);
        stages.any(|(s, g)| s.name == name && matches!(g, GoneBy::Reached { .. }))
    }

    /// The console has raised the alarm of this name.
    pub(in crate::judge) fn has_heard(&self, alarm: &str) -> bool {
        self.heard.contains(alarm)
    }

    /// What evidence depends on besides the event, which this boot has taken.
    pub(in crate::judge) fn context_of(&self, event: &Event) -> Context<'_> {
        let in_container = match event {
            Event::Serial { uart, .. } => self.section.is_open(*uart),
            _ => false,
        };
        self.context(in_container)
    }

    /// Whether somebody types at the board now, whose prompts are nothing strange then.
    pub(in crate::judge) fn set_talked_to(&mut self, is_talked_to: bool) {
        self.is_talked_to = is_talked_to;
    }

    /// How many stages have been reached.
    pub(in crate::judge) fn count(&self) -> usize {
        let reached = |g: &&GoneBy| matches!(g, GoneBy::Reached { .. });
        self.gone_by.iter().filter(reached).count()
    }

    /// The stages that have been reached, in order.
    pub(in crate::judge) fn reached(&self) -> Vec<JudgedStage> {
        let mut stages = self.stages();
        stages.retain(|s| matches!(s.outcome, StageOutcome::Reached { .. }));
        stages
    }

    /// Every stage, in order.
    pub(in crate::judge) fn stages(&self) -> Vec<JudgedStage> {
        let power_on = self.power_on.unwrap_or_default();
        let mut last = Duration::ZERO;
        let mut outcome = |index: usize| match self.gone_by.get(index) {
            Some(GoneBy::Reached { at, restored }) => {
                let at = at.saturating_sub(power_on).max(last);
                let took = at - last;
                last = at;
                StageOutcome::Reached {
                    at,
                    took,
                    restored: *restored,
                }
            }
            Some(GoneBy::NotJudged) => StageOutcome::NotJudged,
            None => match self.plan.stages.get(index) {
                Some(stage) if !self.source.knows(&stage.evidence) => StageOutcome::NotJudged,
                _ => StageOutcome::NotReached,
            },
        };
        let stages = self.plan.stages.iter().enumerate();
        stages
            .map(|(index, stage)| JudgedStage {
                board: self.plan.board.clone(),
                boot: self.plan.boot,
                name: stage.name.clone(),
                outcome: outcome(index),
            })
            .collect()
    }

    /// What the records cannot say of this boot, for people.
    pub(in crate::judge) fn not_judged(&self) -> Vec<String> {
        let stages = self.stages().into_iter();
        let mut out: Vec<_> = stages
            .filter(|s| s.outcome == StageOutcome::NotJudged)
            .map(|s| format!("stage \"{}\"", s.name))
            .collect();
        if let EndPlan::Expected { expect, .. } = &self.plan.end {
            let unknown = expect.proofs.iter().filter(|p| !self.source.knows(p));
            out.extend(unknown.map(|proof| format!("whether {proof}")));
            if self.is_log() && expect.holds > Duration::ZERO {
                out.push("whether the refusal held".into());
            }
        }
        out
    }

    /// How the boot ended, where it was expected to end before its chain, and did.
    pub(in crate::judge) fn ending(&self) -> Option<Ending> {
        let EndPlan::Expected { forbidden, .. } = &self.plan.end else {
            return None;
        };
        matches!(self.decision, Some(Decision::Passed)).then(|| Ending {
            refused_before: forbidden.as_ref().map(|stage| stage.name.clone()),
            proofs: self.proofs.iter().flatten().cloned().collect(),
        })
    }
}
