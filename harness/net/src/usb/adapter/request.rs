//! The vendor requests of the control endpoint.
//!
//! Source: data sheets of LAN9514 and LAN7800, chapter "Vendor Specific Requests": the register's offset is `wIndex`, its value the
//! data, little endian.

use crate::usb::device::Setup;

const WRITE_REGISTER: u8 = 0xa0;
const READ_REGISTER: u8 = 0xa1;
const GET_STATISTICS: u8 = 0xa2;
const VENDOR_OUT: u8 = 0x40;
const VENDOR_IN: u8 = 0xc0;

/// A vendor request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::usb) enum Request {
    /// Read the register at this offset.
    Read(u16),
    /// Write the register at this offset.
    Write(u16, u32),
    /// Read all counters. The LAN9514 has none.
    Statistics,
    /// Something else.
    Unknown,
}

impl Request {
    /// Parses the set-up stage, and the data that came with an OUT request.
    pub(in crate::usb) fn parse(setup: &Setup, data: &[u8]) -> Self {
        match (setup.request_type, setup.request, data.first_chunk()) {
            (VENDOR_IN, READ_REGISTER, _) => Self::Read(setup.index),
            (VENDOR_OUT, WRITE_REGISTER, Some(&value)) => {
                Self::Write(setup.index, u32::from_le_bytes(value))
            }
            (VENDOR_IN, GET_STATISTICS, _) => Self::Statistics,
            _ => Self::Unknown,
        }
    }
}

/// The diagnostic on a request that a model does not know.
pub(in crate::usb) fn unknown(chip: &str, setup: &Setup) -> String {
    format!(
        "the {chip} model does not know request {:#04x} of type {:#04x} for register {:#x}",
        setup.request, setup.request_type, setup.index
    )
}
