//! The virtual LAN as a guest sees it: a whole `smoltcp` stack, or single frames, on the other end of the cable.
//!
//! Time is tokio's paused clock, so that waiting costs nothing and no result depends on the machine.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, but not the helpers of a test crate"
)]

mod behind;
mod craft;
mod dialler;
mod faults;
mod foreign;
mod frames;
mod guest;
mod segments;
mod services;
mod stress;
mod tcp;
mod tftp;
