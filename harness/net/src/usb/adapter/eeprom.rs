//! The serial EEPROM and its controller.
//!
//! Source: data sheets of LAN9514 and LAN7800, chapter "EEPROM Controller". It is write-protected. A Raspberry Pi has no EEPROM; the
//! controller then reads all ones and does not time out, as Linux' messages on real boards show.

use shakedown_base::mac::Mac;

/// Byte 0 of a valid EEPROM.
const SIGNATURE: u8 = 0xa5;
/// Bytes in the largest part.
const SIZE: usize = 512;

const E2P_CMD_BUSY: u32 = 1 << 31;
const E2P_CMD_COMMAND: u32 = 7 << 28;
const E2P_CMD_READ: u32 = 0;
/// A valid EEPROM was found after reset; Linux' `smsc95xx` reads none without it.
const E2P_CMD_LOADED: u32 = 1 << 9;
const E2P_CMD_ADDRESS: u32 = 0x1ff;

#[derive(Debug)]
pub(in crate::usb) struct Eeprom {
    bytes: [u8; SIZE],
    loaded: bool,
}

impl Eeprom {
    /// An EEPROM that holds the station address and is otherwise erased; without an address, none at all.
    pub(in crate::usb) fn new(mac: Option<Mac>) -> Self {
        let mut bytes = [0xff; SIZE];
        if let Some(Mac(mac)) = mac {
            for (place, byte) in bytes.iter_mut().zip([SIGNATURE].into_iter().chain(mac)) {
                *place = byte;
            }
        }
        Self {
            bytes,
            loaded: mac.is_some(),
        }
    }

    /// Carries out what is written to `E2P_CMD`: what that register reads afterwards, and what `E2P_DATA` does if the command
    /// reads. Commands end at once, so BUSY is never seen; those that would change the contents do nothing.
    pub(in crate::usb) fn command(&self, value: u32) -> (u32, Option<u32>) {
        let read = value & E2P_CMD_BUSY != 0 && value & E2P_CMD_COMMAND == E2P_CMD_READ;
        let data = read.then(|| {
            self.bytes
                .get((value & E2P_CMD_ADDRESS) as usize)
                .copied()
                .map_or(0, u32::from)
        });
        (self.status(value), data)
    }

    /// `E2P_CMD` as it reads while the controller is idle.
    pub(in crate::usb) const fn status(&self, value: u32) -> u32 {
        let loaded = if self.loaded { E2P_CMD_LOADED } else { 0 };
        value & (E2P_CMD_COMMAND | E2P_CMD_ADDRESS) | loaded
    }
}
