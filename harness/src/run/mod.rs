//! One run: a scenario on a board, from the parts to the report. The one place that ties the rooms together.
//!
//! Life cycle: a folder for the run with its identity in it, certificates, a provisioned copy of the image, the LAN and its servers,
//! the firmware stage, the emulator; then power on, stage after stage; then the plug is pulled whatever happened, and the verdict is
//! written last.

mod adapter;
mod around;
mod begin_folder;
mod boot_files;
mod check;
mod console_meter;
mod desk;
mod execution;
mod in_run;
mod live;
mod outcome;
mod plug;
mod powered_board;
mod thresholds;

pub use crate::error::RunError;
pub use desk::run_on_desk;
pub use execution::{run, run_until};
pub use live::Live;
