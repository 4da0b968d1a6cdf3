//! The usbredir protocol, version 0.7: the messages between a USB device's owner (in the protocol's words the *usb-host*,
//! which is us) and the machine that uses it (the *usb-guest*, which is QEMU).
//!
//! Source: `docs/usb-redirection-protocol.md` of the usbredir project, version 0.7, and QEMU's side of it in
//! `hw/usb/redirect.c`. All integers are little endian and packed. Neither part does I/O.

mod body;
mod codec;
mod error;
mod message;

#[cfg(test)]
mod tests;

pub(super) use codec::Codec;
pub use error::DecodeError;
pub(super) use message::{
    BulkHeader, Caps, ControlHeader, DeviceConnect, EndpointEntry, InterfaceEntry, InterruptHeader,
    Message, Packet, Speed, Status,
};
