//! What the USB Ethernet adapters of this family (SMSC, later Microchip) have in common.
//!
//! LAN9514 and LAN7800 differ in registers and in the words before a frame. Alike are the endpoints, the vendor requests, the serial
//! EEPROM's controller, the register file, the first registers of the PHY, the selected configuration, the arithmetic of checksums and address hashes, and how a receive FIFO is handed over in USB transfers.

pub(super) mod checksum;
pub(super) mod diagnostics;
#[cfg(test)]
pub(super) mod driver;
pub(super) mod eeprom;
pub(super) mod endpoints;
pub(super) mod frame;
pub(super) mod mii;
pub(super) mod register_file;
pub(super) mod request;
pub(super) mod rx;
pub(super) mod selected;
