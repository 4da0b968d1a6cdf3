//! How each boot of a board ends, as the steps have it.

use super::awaited::Await;
use super::step::{PowerStep, Step};
use crate::timeline::BoardId;

/// How a boot ends, as the steps of its board have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootEnd {
    /// Through the whole chain, or as far as the scenario expects.
    Whole,
    /// At this stage.
    Until(String),
    /// When its steps have been done, or when one of them takes its power away.
    Open,
}

/// How a boot of a board ends.
#[must_use]
pub fn end_of(steps: &[Step], board: Option<&BoardId>, boot: u32) -> BootEnd {
    let its = || steps.iter().filter(|s| s.board.as_ref() == board);
    let ends_it = |s: &&Step| s.begins_in == boot && s.power.is_some_and(PowerStep::ends_boot);
    let ended_by = its().find(ends_it);
    let mut within = its().filter(|s| s.boot == boot);
    if within.clone().any(Step::awaits_next_boot) {
        return BootEnd::Open;
    }
    match ended_by {
        None => BootEnd::Whole,
        Some(step) if step.after.is_some() => BootEnd::Open,
        Some(_) => match within
            .rfind(|s| s.wait.is_some())
            .and_then(|s| s.wait.as_ref())
        {
            None => BootEnd::Whole,
            Some(Await::Stage(name)) => BootEnd::Until(name.clone()),
            Some(_) => BootEnd::Open,
        },
    }
}
