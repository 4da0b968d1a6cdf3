//! Holds a farm's gateway to its contract, check by check, without an emulator: the gateway's image runs in network namespaces of this machine, with
//! one cable to a network of ours and one to a board's stand-in whose plug hangs on the harness's power distribution unit.
//!
//! Life cycle: [`namespace::enter`] starts this program again in a network of its own, [`rootfs::unpack`] makes a folder of the image,
//! [`checks::run`] starts the gateway, makes the checks, and stops it; [`table::table`] is a pure function of the outcomes.
//!
//! What is real: every program in the image, the wire, the plug's protocol, the client that submits jobs. What is a stand-in: the board
//! ([`world::Machine`] speaks DHCP, HTTP and the console as a board would, and runs nothing), and boot2container around the gateway.

// They panic when standard output is closed: see `shakedown_common::outln`.
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod checks;
pub mod namespace;
mod outcome;
pub mod rootfs;
pub mod table;
mod visitor;
mod wire;
mod world;

pub use outcome::{Check, Outcome};
pub use visitor::{Answered, Visitor};
