//! Scenarios: what a run does with a board and what must come of it. One TOML file each, read and checked before anything starts.

mod definition;

pub(crate) use definition::ScenarioFile;
pub use definition::{Boot, Scenario, Tier, Transport};
