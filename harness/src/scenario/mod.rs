//! Scenarios: what a run does with a board and what must come of it. One TOML file each, read and checked before anything starts.

mod awaited;
mod boards;
mod boot;
mod boot_end;
mod card;
mod card_fault;
mod chaos;
mod definition;
mod deployment;
mod dhcp;
mod draft;
mod expect;
mod fault;
mod ipxe_words;
mod journal;
mod named;
mod registry;
mod services;
mod step;
mod steps;
#[cfg(test)]
pub(crate) mod testing;
mod tls;
mod trigger;
mod typing;

pub use awaited::Await;
pub use boards::Lacking;
pub use boot::{Boot, Initrd, Transport};
pub use boot_end::{BootEnd, end_of};
pub use card::{CardFile, CardRules, PartitionName};
pub use card_fault::{CardAct, CardDamage, Damage};
pub(crate) use definition::ScenarioFile;
pub use definition::{Scenario, Tier};
pub use deployment::{BrokenFiles, DEFAULT_DEPLOYMENT, Deployment, Deployments};
pub use dhcp::DhcpFiles;
pub use draft::draft;
pub use expect::{End, Expect};
pub use fault::PlannedFault;
pub use journal::Assertion;
pub use named::NamedBoard;
pub use registry::{Auth, LayerFormat, Mirror, RateLimit, Registry, RegistryCertificate};
pub use services::{Forward, ServiceMode, Services};
pub use step::{BROWN, LEAST_OFF, PowerStep, Step, WITHIN};
pub use tls::{ClientCertificate, Refusal, ServerCertificate, ServerChain, ServerKey, Tls};
pub use trigger::{FrameTrigger, RequestTrigger, Trigger, TriggerTable, TriggerWatch, fired};
pub use typing::{Bracketed, Typing, bracketed};
