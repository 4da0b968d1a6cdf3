//! One run: a scenario on a board, from the parts to the report. The one place that ties the rooms together.
//!
//! Life cycle: a folder for the run with its identity in it, certificates, a provisioned copy of the image, the LAN and its servers,
//! the firmware stage, the emulator; then power on, stage after stage; then the plug is pulled whatever happened, and the verdict is
//! written last.

mod board_on;
mod bundling;
mod by_boot;
mod capacity;
mod capture;
mod check;
mod checkpoint;
mod error;
mod execution;
mod faults;
mod given;
mod hold;
mod job;
mod live;
mod network;
mod outcome;
mod own_core;
mod parts;
mod plug;
mod recording;
mod records;
mod registries;
mod replay;
mod screens;
mod servers;
#[cfg(test)]
mod testing;
mod tftp;
mod traffic;
mod trust;
mod usage;

pub use crate::host::host_scale;
pub use capacity::runs_at_a_time;
pub use capture::{CAPTURE_FILE, Capture};
pub use error::RunError;
pub use execution::{run, run_until};
pub use given::{Given, GivenError};
pub use hold::Attach;
pub use job::{Extras, ImageCheck, Job, Nic, Start};
pub use live::Live;
pub use own_core::{on_own_core, own_core};
pub use parts::{Container, Parts};
pub use registries::Account;
pub use replay::{BadRecord, Origin, Recording, Replay, replay};
pub use servers::{Servers, Setting};
pub use trust::Trust;
pub use usage::{cpu_seconds, peak_memory};
