//! The boots of a run, each with what came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;

/// A boot of a run that has several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Boot {
    /// The board, in a run of several boards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// Which boot of the board, from 1.
    pub number: u32,
    /// What came of it. A boot that a step ended where it should has passed.
    pub verdict: Verdict,
    /// How many stages were reached.
    pub reached: usize,
    /// The last stage that was reached.
    pub last_stage: Option<String>,
    /// Seconds from power-on to that stage.
    pub took: f64,
}

impl Boot {
    /// What it is called, for example `boot 2` or `gateway: boot 2`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.board {
            None => format!("boot {}", self.number),
            Some(board) => format!("{board}: boot {}", self.number),
        }
    }

    /// The verdict as a class of the style sheet.
    #[must_use]
    pub fn class(&self) -> String {
        self.verdict.name().replace(' ', "-")
    }

    /// How far it came, for example `to "Linux" in 12.3 s`.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.last_stage {
            None => "no stage".into(),
            Some(stage) => format!("to \"{stage}\" in {:.1} s", self.took),
        }
    }
}
