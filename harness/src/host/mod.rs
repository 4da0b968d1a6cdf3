//! What this machine has to give, and what it takes away: cores, memory, how fast they are, and who else uses them.

mod calibration;
mod capacity;
mod claim;
mod claimed_core;
mod own_core;
mod room;
mod starvation;
mod usage;

pub use calibration::host_scale;
pub use capacity::runs_at_a_time;
pub use own_core::{on_own_core, own_core, when_there_is_room};
pub use room::Lack;
pub(crate) use starvation::Starvation;
pub use usage::{cpu_seconds, peak_memory};
