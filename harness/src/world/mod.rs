//! What is around the board: the LAN, its servers, the certificates that they and the board have, and the defects that a scenario asks for.
//!
//! It lasts for the whole run. The board is switched on and off in it.

mod by_boot;
mod card;
mod deployments;
mod fault_plan;
mod faults;
mod faulty_card;
mod foreign_program;
mod host_ports;
mod last_write;
mod network;
mod read_card;
pub(crate) mod registries;
mod segments;
mod servers;
mod tftp;
mod trust;

/// The folder of the scratch space among a run's working files.
pub(crate) const SCRATCH: &str = "scratch";

pub(crate) use card::damage_card;
pub(crate) use faults::faults;
pub(crate) use faulty_card::{FaultPlaces, FaultyCard};
pub(crate) use host_ports::{HostPorts, Target as HostTarget};
pub(crate) use network::Network;
pub(crate) use read_card::read_card;
pub use registries::Account;
pub(crate) use segments::Wires;
pub use servers::{ServedBoard, ServerConfig, Servers};
pub use trust::Trust;
