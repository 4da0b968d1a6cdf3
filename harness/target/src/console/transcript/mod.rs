//! Serial logs that somebody else's tool wrote: what the board said, and when, as far as the log knows.
//!
//! [`Transcript::read`] decodes the bytes, finds out how the lines are stamped, takes the stamps off, and makes one clock of them. A
//! prefix that is not known is taken off too, and named. A kernel's own stamps are part of what it says.

mod clock;
mod decode;
mod prefix;
mod read;
mod stamp;

pub use read::{Clock, Stamps, Transcript};

#[cfg(test)]
mod tests;
