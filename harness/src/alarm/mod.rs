//! Alarms: what a console must never say, what looks like it and is harmless, and what a line means. They are data, written in the chain
//! file as `[[alarm]]`.
//!
//! [`AlarmWatch`] applies [`Alarms`] to the records of a run, live and replayed alike. It is a pure state machine: the same records with
//! the same progress raise the same alarms.

mod definition;
mod kernel_clock;
mod watch;

pub(crate) use definition::AlarmFile;
pub use definition::{Alarm, AlarmKind, Alarms, AlarmsError, Speaker};
pub use watch::{AlarmWatch, Progress, Raised};

#[cfg(test)]
mod tests;
