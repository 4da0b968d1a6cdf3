//! Scenarios: what a run does with a board and what must come of it. One TOML file each, read and checked before anything starts.

mod chaos;
mod definition;
mod draft;
mod expect;
mod fault;
mod journal;
mod registry;
mod services;
mod step;
mod tls;
mod trigger;

pub(crate) use definition::ScenarioFile;
pub use definition::{Boot, Scenario, Tier, Transport};
pub use draft::draft;
pub use expect::{End, Expect};
pub use fault::{CardAct, CardDamage, PlannedFault};
pub use journal::Assertion;
pub use registry::{Auth, LayerFormat, Mirror, RateLimit, Registry};
pub use services::{Forward, ServiceMode, Services};
pub use step::{PowerStep, Step};
pub use tls::{ClientCertificate, Refusal, ServerCertificate, ServerChain, ServerKey, Tls};
pub use trigger::{FrameTrigger, RequestTrigger, Trigger, TriggerTable, TriggerWatch, fired};
