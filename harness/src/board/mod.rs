//! Boards: what the harness must know of a machine to put its image through its chain.
//!
//! A board is `boards/NAME.toml`; it names a chain, `boards/CHAIN.chain.toml`, whose stages it may override. Both are read and
//! checked in full before anything starts.

mod chain;
mod container;
mod definition;
mod script;

pub(crate) use chain::ChainFile;
pub use chain::{Evidence, LeaseEvidence, RequestEvidence, Stage};
pub use container::ContainerMarks;
pub(crate) use definition::BoardFile;
pub use definition::{
    Board, Firmware, Limitation, Limits, Loader, Machine, Nic, NicAddress, NicModel, Uart,
};
