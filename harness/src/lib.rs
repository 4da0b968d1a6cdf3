//! Shakedown's harness: boots netboot images in emulation, plays everything around the board, and proves by serial console and
//! server journal that the chain reaches its container.
//!
//! The leaf rooms are crates of their own, which the compiler keeps apart; they are re-exported here under their names.

// They panic when standard output is closed: see `shakedown_common::outln`.
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod alarm;
pub mod board;
mod checkpoint;
pub mod conformance;
pub mod defect;
mod error;
pub mod evidence;
mod firmware;
pub mod host;
pub mod judge;
pub mod plan;
pub mod pool;
pub mod project;
pub mod replay;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schema;
mod script;
pub mod session;
#[cfg(test)]
mod testing;
pub mod world;

pub use shakedown_base::{
    Untrusted, architecture, digest, fault, fingerprint, folder, input, mac, scratch, shell,
    timeline, untrusted, untrusted_json, untrusted_lines, wire,
};
pub use shakedown_image::{self as image, boot, cpio, survey};
pub use shakedown_net::{fault as cable, lan, pcapng, stream, usb};
pub use shakedown_services as services;
pub use shakedown_target::{console, lab, qemu as machine};
