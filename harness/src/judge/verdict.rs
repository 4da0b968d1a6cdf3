//! What came of a run.

use std::time::Duration;

use crate::report::{Class, Ending};
use crate::timeline::BoardId;

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// In a word.
    pub outcome: Outcome,
    /// Every stage of every boot, in order.
    pub stages: Vec<JudgedStage>,
    /// Why it did not pass.
    pub finding: Option<Finding>,
    /// How it ended, where it was expected to end before its chain, and did.
    pub ending: Option<Ending>,
    /// What the records could not say, for people.
    pub not_judged: Vec<String>,
}

/// What came of a run, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should, and the proofs are there.
    Passed,
    /// It did not.
    Failed,
    /// It could not take place; it says nothing of the image.
    CouldNotRun,
    /// Nothing speaks against it, and the records cannot prove it.
    NotJudged,
}

/// A stage and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedStage {
    /// The board; `None` where a run has one.
    pub board: Option<BoardId>,
    /// Which boot of it.
    pub boot: u32,
    /// The stage's name.
    pub name: String,
    /// What is known of it.
    pub outcome: StageOutcome,
}

/// What is known of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageOutcome {
    /// It was reached.
    Reached {
        /// From power-on to the evidence.
        at: Duration,
        /// Since the stage before it.
        took: Duration,
        /// Another run went through it, and this one goes on from a checkpoint behind it.
        restored: bool,
    },
    /// It was not.
    NotReached,
    /// The records cannot say.
    NotJudged,
}

impl StageOutcome {
    /// When the stage was reached since power-on, and whether by another run; `None` if it was not.
    #[must_use]
    pub fn reached(self) -> Option<(Duration, bool)> {
        match self {
            Self::Reached { at, restored, .. } => Some((at, restored)),
            Self::NotReached | Self::NotJudged => None,
        }
    }
}

/// Why a run did not pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Whose fault it most likely is.
    pub class: Class,
    /// What happened, in a sentence.
    pub cause: String,
    /// When it came up, on the timeline's clock.
    pub at: Duration,
    /// The last stage that was reached.
    pub stage_reached: Option<String>,
    /// The stage that was awaited, and its evidence.
    pub awaited: Option<String>,
    /// How long it was awaited.
    pub waited: Duration,
    /// What the alarm that explains it means, and what to do.
    pub advice: Option<String>,
}
