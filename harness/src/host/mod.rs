//! What this machine has to give, and what it takes away: how fast its cores are, and who else uses them.

mod calibration;
mod starvation;

pub use calibration::host_scale;
pub(crate) use starvation::Starvation;
