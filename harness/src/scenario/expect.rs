//! `[expect]`: how a run must end when it is not by going through the whole chain.
//!
//! A board that is rightly refused has done well: such a run passes if the chain stops before the stage that the scenario names,
//! and if every proof of the reason is there. It fails if that stage is reached all the same, or for want of a proof.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::stages::no_stage;
use crate::board::{Evidence, Stage};
use crate::input::{Document, InputError, Span, duration};

/// How long a refusal must hold by default: three tries of the usual boot script.
const HOLDS: Duration = Duration::from_secs(20);

/// How a run must end.
#[derive(Debug, Clone)]
pub struct Expect {
    /// Where.
    pub end: End,
    /// What must be seen besides, anywhere in the run and in any order.
    pub proofs: Vec<Evidence>,
    /// The longest wait for the proofs after the last stage, on the reference host.
    pub within: Duration,
    /// How long a refusal must hold once every proof is there: clients try again. Zero where nothing is forbidden.
    pub holds: Duration,
}

/// Where a run must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Before this stage, which must not be reached: the board is refused.
    Before(String),
    /// At this stage: what follows is of no interest.
    At(String),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectFile {
    /// The stage that must not be reached.
    #[schemars(with = "Option<String>")]
    stops_before: Option<Span<String>>,
    /// The stage that ends the run.
    #[schemars(with = "Option<String>")]
    until: Option<Span<String>>,
    /// What must be seen besides, anywhere in the run and in any order.
    #[serde(default)]
    proofs: Vec<Evidence>,
    /// The longest wait for the proofs after the last stage.
    #[serde(
        default = "ExpectFile::default_within",
        deserialize_with = "duration::deserialize"
    )]
    #[schemars(with = "duration::Text")]
    within: Duration,
    /// With `stops_before`: how long the board must stay refused once every proof is there, since clients try again; 20 s by default.
    /// A board that has powered itself off tries no more.
    #[serde(default, deserialize_with = "ExpectFile::optional")]
    #[schemars(with = "Option<duration::Text>")]
    holds: Option<Duration>,
}

impl ExpectFile {
    fn default_within() -> Duration {
        Duration::from_secs(60)
    }

    fn optional<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        duration::deserialize(deserializer).map(Some)
    }

    /// Checks against the stages of every board that the scenario is run on.
    pub(super) fn check(
        this: Span<Self>,
        stages_of_boards: &[Vec<Stage>],
        document: &Document,
    ) -> Result<Expect, InputError> {
        let place = this.span();
        let Self {
            stops_before,
            until,
            proofs,
            within,
            holds,
        } = this.into_inner();
        let is_refusal = stops_before.is_some();
        let stage = match (stops_before, until) {
            (Some(stage), None) | (None, Some(stage)) => stage,
            _ => {
                let message = "say where the run ends: either stops_before or until";
                return Err(document.error_at(place, message));
            }
        };
        let name = stage.get_ref().clone();
        let end = if is_refusal {
            End::Before(name.clone())
        } else {
            End::At(name.clone())
        };
        if let Some(message) = no_stage(&name, stages_of_boards) {
            return Err(document.error_at(stage.span(), &message));
        }
        let is_first = |stages: &Vec<Stage>| stages.first().is_some_and(|s| s.name == name);
        if is_refusal && stages_of_boards.iter().any(is_first) {
            let message = "no run can stop before its first stage";
            return Err(document.error_at(stage.span(), message));
        }
        if is_refusal && proofs.is_empty() {
            let message = "say in proofs what shows why the board stops there";
            return Err(document.error_at(place, message));
        }
        if !is_refusal && holds.is_some() {
            let message = "`holds` is for a refusal: say stops_before or leave it out";
            return Err(document.error_at(place, message));
        }
        let default = if is_refusal { HOLDS } else { Duration::ZERO };
        Ok(Expect {
            end,
            proofs,
            within,
            holds: holds.unwrap_or(default),
        })
    }
}

impl Expect {
    /// The stages that must be reached, and the one that must not.
    pub(super) fn split(&self, mut stages: Vec<Stage>) -> (Vec<Stage>, Option<Stage>) {
        let (End::Before(name) | End::At(name)) = &self.end;
        let place = stages.iter().position(|s| s.name == *name);
        let after = match (&self.end, place) {
            (End::Before(_), Some(place)) => place,
            (End::At(_), Some(place)) => place + 1,
            (_, None) => stages.len(),
        };
        let rest = stages.split_off(after);
        let forbidden = matches!(self.end, End::Before(_)).then(|| rest.into_iter().next());
        (stages, forbidden.flatten())
    }
}
