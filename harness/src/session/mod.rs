//! What somebody did at a console, written down as a scenario that does the same again.
//!
//! [`text`] is a pure function of the session's records: what was typed is an event ([`Event::Typed`](crate::timeline::Event::Typed)), as is
//! what the board said. Keys become entries ([`entries`]), what the board said between two entries becomes what a step waits for
//! ([`waits`]), and both become `[[step]]`s of a scenario over the one that was started.

mod alarms;
mod entries;
mod heard;
mod patterns;
mod stages;
mod waits;
mod write;

pub use write::{Session, SessionError, text};

#[cfg(test)]
mod tests;
