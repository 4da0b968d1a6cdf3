//! Boards: what the harness must know of a machine to put its image through its chain.
//!
//! A board is `boards/NAME.toml`; it names a chain, `boards/CHAIN.chain.toml`, whose stages it may override. Both are read and
//! checked in full before anything starts.

mod capability;
mod chain;
mod container;
mod definition;
mod firmware;
mod image;
mod machine;
mod nic;
mod script;

pub use capability::Capability;
pub(crate) use chain::ChainFile;
pub use chain::{Evidence, LeaseEvidence, RequestEvidence, Stage};
pub use container::ContainerMarks;
pub(crate) use definition::BoardFile;
pub use definition::{Board, Limitation, Limits};
pub use firmware::{Firmware, PartFile};
pub use image::{Image, RawFile};
pub use machine::{Disk, Machine, Uart};
pub use nic::{Nic, NicAddress, NicModel};
