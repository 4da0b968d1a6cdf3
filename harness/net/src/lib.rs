//! The network of an emulated board: its network adapters ([`usb`], or QEMU's own over a [`stream`]), the segment that they are plugged
//! into ([`lan`]), and what is recorded of it ([`pcapng`]). Nothing here knows HTTP or the emulator.

pub mod fault;
pub mod lan;
pub mod pcapng;
pub mod stream;
pub mod usb;
