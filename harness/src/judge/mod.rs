//! The judge: what came of a run, as a pure function of its record.
//!
//! [`judge`] feeds records to [`Progress`], one after the other, and takes its [`Verdict`]. A live run does the same while it lasts, a
//! replay afterwards, so they cannot disagree. Nothing here waits, reads a clock or a file: silence, a used-up budget, an emulator that
//! has ended and a user who has had enough are events of the record ([`Event`](crate::timeline::Event)).
//!
//! The state machine is one for each boot of each board ([`BootPlan`]); the journal's assertions are of the run as a whole.

mod boot;
mod card;
mod class;
mod evidence;
mod identity;
mod plan;
mod progress;
mod section;
mod steps;
mod verdict;

pub use plan::{
    BootPlan, EndPlan, JudgePlan, JudgedBoard, OVERTAKING, PATIENCE, Source, label, nonce_of_boot,
};
pub use progress::{Deadline, OfBoard, Progress, judge};
pub(crate) use section::Section;
pub use steps::{Due, Keys};
pub use verdict::{Finding, JudgedStage, Outcome, StageOutcome, Verdict};

#[cfg(test)]
mod tests;
