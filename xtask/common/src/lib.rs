//! What the commands share: the options that name parts, and what the terminal shows while runs go on.

// They panic when standard output is closed: see `shakedown_common::outln`.
#![warn(clippy::print_stderr, clippy::print_stdout)]

#[doc(hidden)]
pub mod output;
mod parts;
pub mod view;

pub use output::say;
pub use parts::PartsArgs;

/// Exit status of a command that could not do its work at all.
pub const COULD_NOT_RUN: u8 = 2;
