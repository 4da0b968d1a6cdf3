//! The network of an emulated board: its network adapters ([`usb`]), the segment that they are plugged into ([`lan`]), and what is
//! recorded of it ([`pcapng`]). Nothing here knows HTTP or the emulator.

pub mod lan;
pub mod pcapng;
pub mod usb;
