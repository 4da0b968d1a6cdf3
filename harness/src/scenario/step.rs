//! `[[step]]`: what is done with the board's power, in order. Without steps the board is switched on once.
//!
//! Each step is a boot: the card, the servers, the leases and the hardware address stay as the boot before has left them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::board::Stage;
use crate::input::{Document, InputError, Span};

/// A boot of the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done with the board's power before.
    pub power: PowerStep,
    /// The stage that ends the step; `None` for the whole chain, or as far as `[expect]` says.
    pub until: Option<String>,
}

/// What is done with a board's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PowerStep {
    /// It is switched on.
    On,
    /// It is switched off, whatever it does at the moment, and on again after the power distribution unit's least off time.
    Cycle,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepTable {
    /// What is done with the board's power.
    #[schemars(with = "PowerStep")]
    power: Span<PowerStep>,
    /// The stage that ends the step. The last step has none: it goes through the whole chain, or as far as `[expect]` says.
    #[schemars(with = "Option<String>")]
    r#await: Option<Span<String>>,
}

impl Step {
    /// Checks the steps against the stages of every board that the scenario is run on.
    pub(super) fn read_all(
        tables: Vec<StepTable>,
        stages_of_boards: &[Vec<Stage>],
        document: &Document,
    ) -> Result<Vec<Self>, InputError> {
        let last = tables.len().saturating_sub(1);
        let check = |(number, table): (usize, StepTable)| {
            let power = *table.power.get_ref();
            let wrong = match (number, power) {
                (0, PowerStep::Cycle) => {
                    Some("the board is off before the first step: say power = \"on\"")
                }
                (1.., PowerStep::On) => {
                    Some("the board is on since the first step: say power = \"cycle\"")
                }
                _ => None,
            };
            if let Some(message) = wrong {
                return Err(document.error_at(table.power.span(), message));
            }
            if let Some(stage) = &table.r#await {
                let name = stage.get_ref();
                let has = |stages: &Vec<Stage>| stages.iter().any(|s| &s.name == name);
                let message = if number == last {
                    "the last step goes through the whole chain, or as far as [expect] says: leave await out".to_owned()
                } else if stages_of_boards.iter().all(has) {
                    return Ok(Self {
                        power,
                        until: Some(name.clone()),
                    });
                } else {
                    format!("this scenario goes through no stage \"{name}\"")
                };
                return Err(document.error_at(stage.span(), &message));
            }
            Ok(Self { power, until: None })
        };
        tables.into_iter().enumerate().map(check).collect()
    }
}
