//! Serial logs that somebody else's tool wrote: what the board said, and when, as far as the log knows.
//!
//! [`Transcript::read`] decodes the bytes, finds out how the lines are stamped, takes the stamps off, and makes one clock of them. A
//! prefix that is not known is taken off too, and named. A kernel's own stamps are part of what it says. Recordings in JSON and YAML are
//! lists of such lines. What begins with its last line is read from its end. [`Transcript::read_log`] refuses what is no log.

mod clock;
mod decode;
mod escape;
mod foreign;
mod lava;
mod log;
mod order;
mod prefix;
mod read;
mod recording;
mod stamp;

pub use read::{Clock, Stamps, Transcript};

#[cfg(test)]
mod tests;
