//! Scenarios: what a run does with a board and what must come of it. One TOML file each, read and checked before anything starts.

mod definition;
mod journal;
mod registry;

pub use definition::{Boot, Scenario, Tier, Transport};
pub use journal::Assertion;
pub use registry::{Auth, LayerFormat, Mirror, RateLimit, Registry};
