//! The script of a live run: it waits for what the run awaits, says what the steps of the scenario do next, and puts onto the timeline what
//! nobody else would: that nothing happens any more, that a bound is used up, that the emulator has ended, that the user has had enough.
//! The judge decides, from the timeline alone.

mod bounds;
mod follow;
mod on_board;
mod serial;
mod typist;
mod watch;

pub(crate) use bounds::Bounds;
pub(crate) use follow::{Followed, Next, Script, StageKey};
pub(crate) use on_board::Guest;
pub(crate) use typist::type_keys;
pub(crate) use watch::Activity;

#[cfg(test)]
mod tests;
