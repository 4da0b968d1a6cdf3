//! The one-time programmable memory and its controller.
//!
//! Source: Microchip LAN7800 data sheet, chapter "OTP". A Raspberry Pi 3B+'s is blank. It cannot be programmed here.

use shakedown_base::mac::Mac;

/// Byte 0 of a memory whose contents begin at address 0.
const SIGNATURE: u8 = 0xf3;

/// The memory: an address behind its signature, or nothing.
#[derive(Debug)]
pub(super) struct Otp(Option<Mac>);

impl Otp {
    pub(super) const fn new(mac: Option<Mac>) -> Self {
        Self(mac)
    }

    /// The byte at `address`; blank memory reads 0.
    pub(super) fn read(&self, address: u32) -> u8 {
        let byte = |Mac(mac): Mac| match address {
            0 => Some(SIGNATURE),
            at => mac.get(at as usize - 1).copied(),
        };
        self.0.and_then(byte).unwrap_or(0)
    }
}
