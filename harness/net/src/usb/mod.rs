//! The USB side of the board's network.
//!
//! QEMU's `usb-redir` device connects to a character device; the other end of that stream **is** the USB
//! device. Here that is a network adapter which unmodified boot loaders and kernels drive:
//!
//! ```text
//! guest driver = QEMU's DWC2 = usb-redir == stream == Session { usbredir codec, Port, Lan9514 } == WireEnd = switch
//! ```
//!
//! - [`device`]: what a USB device and an Ethernet adapter are, whatever carries their transfers;
//! - [`lan9514`]: the adapter of a Raspberry Pi 3B, [`lan7515`]: of a 3B+, `adapter`: what both have in common;
//! - `usbredir`: the protocol's messages and their bytes;
//! - `port`: one attachment of a device to a usbredir guest, without I/O; `handover`: when to plug it in again;
//! - [`Session`]: the task that joins a byte stream, a device and a network cable; [`Control`]: the hand on the plug.
//!
//! Life cycle: one session per QEMU process. It says hello, plugs the device in, serves until the stream ends. A power
//! cycle makes a new session with a new device and a new cable.

mod adapter;
mod control;
pub mod descriptor;
pub mod device;
mod error;
mod handover;
pub mod lan7515;
pub mod lan9514;
mod notes;
mod port;
mod session;
mod standard;
mod transfer;
mod usbredir;

#[cfg(test)]
mod tests;

pub use control::{Control, Statistics};
pub use error::{Ended, UsbError};
pub use handover::QUIET_RESET;
pub use session::Session;
pub use shakedown_base::mac::Mac;
pub use usbredir::DecodeError;
