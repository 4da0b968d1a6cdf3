//! The Ethernet function of a Microchip LAN7515, as on a Raspberry Pi 3B+: a LAN7800, USB to 10/100/1000 Mbit/s Ethernet.
//!
//! Driven unmodified by U-Boot's and by Linux' `lan78xx`. Source: Microchip LAN7800 data sheet; registers carry its names. The LAN7515's
//! hub is left out: the device sits on the root port, since QEMU's own hub is a full-speed one.
//!
//! Whatever takes the chip time (resets, autonegotiation, EEPROM, OTP and PHY access) is done at once. The receive FIFO exerts
//! back-pressure: the network waits while it is full, as a link partner does that honours PAUSE frames.

mod chip;
mod descriptors;
mod device;
mod filter;
mod memory;
mod offload;
mod otp;
mod phy;
mod registers;
mod rx;
mod statistics;
mod tx;

#[cfg(test)]
mod tests;

pub use chip::{Lan7800, StoredAddress};
