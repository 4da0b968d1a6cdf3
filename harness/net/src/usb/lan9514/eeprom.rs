//! The serial EEPROM and its controller.
//!
//! Source: SMSC LAN9514 data sheet, chapter "EEPROM Controller". A Raspberry Pi has no EEPROM; the model has one because
//! without it U-Boot finds no address (see the module documentation of [`super`]). It is write-protected.

/// Byte 0 of a valid EEPROM.
const SIGNATURE: u8 = 0xa5;
/// Bytes in the largest part.
const SIZE: usize = 512;

const E2P_CMD_BUSY: u32 = 1 << 31;
const E2P_CMD_COMMAND: u32 = 7 << 28;
const E2P_CMD_READ: u32 = 0;
/// A valid EEPROM was found after reset; Linux reads none without it.
const E2P_CMD_LOADED: u32 = 1 << 9;
const E2P_CMD_ADDRESS: u32 = 0x1ff;

#[derive(Debug)]
pub(super) struct Eeprom([u8; SIZE]);

impl Eeprom {
    /// An EEPROM that holds the station address and is otherwise erased.
    pub(super) fn new(mac: [u8; 6]) -> Self {
        let mut bytes = [0xff; SIZE];
        for (place, byte) in bytes.iter_mut().zip([SIGNATURE].into_iter().chain(mac)) {
            *place = byte;
        }
        Self(bytes)
    }

    /// Carries out what is written to `E2P_CMD`: what that register reads afterwards, and what `E2P_DATA` does if the command
    /// reads. Commands end at once, so BUSY is never seen; those that would change the contents do nothing.
    pub(super) fn command(&self, value: u32) -> (u32, Option<u32>) {
        let read = value & E2P_CMD_BUSY != 0 && value & E2P_CMD_COMMAND == E2P_CMD_READ;
        let data = read.then(|| {
            self.0
                .get((value & E2P_CMD_ADDRESS) as usize)
                .copied()
                .map_or(0, u32::from)
        });
        (Self::status(value), data)
    }

    /// `E2P_CMD` as it reads while the controller is idle.
    pub(super) const fn status(value: u32) -> u32 {
        value & (E2P_CMD_COMMAND | E2P_CMD_ADDRESS) | E2P_CMD_LOADED
    }
}
