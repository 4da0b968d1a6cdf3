//! The memory behind the data port: the VLAN table and the address hash table.
//!
//! Source: Microchip LAN7800 data sheet, chapter "Receive Filtering Engine": words 0 to 127 hold a bit for each VLAN, words 128 to 143 a
//! bit for each of 512 hash values.

use crate::usb::adapter::frame::address_crc;
use shakedown_base::mac::Mac;

const VLAN_WORDS: usize = 128;
const WORDS: usize = VLAN_WORDS + 16;

#[derive(Debug)]
pub(super) struct FilterMemory([u32; WORDS]);

impl Default for FilterMemory {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl FilterMemory {
    /// The word at `address`; 0 outside the memory.
    pub(super) fn read(&self, address: u32) -> u32 {
        self.0.get(address as usize).copied().unwrap_or(0)
    }

    /// Stores a word; nothing happens outside the memory.
    pub(super) fn write(&mut self, address: u32, value: u32) {
        if let Some(place) = self.0.get_mut(address as usize) {
            *place = value;
        }
    }

    /// True when the VLAN of this tag is in the table.
    pub(super) fn has_vlan(&self, tag: u16) -> bool {
        self.bit(0, u32::from(tag & 0xfff))
    }

    /// True when the address is in the hash table: by the upper nine bits of its CRC.
    pub(super) fn has_hash(&self, address: Mac) -> bool {
        self.bit(VLAN_WORDS, address_crc(address) >> 23)
    }

    fn bit(&self, base: usize, number: u32) -> bool {
        let word = self.0.get(base + (number / 32) as usize);
        word.is_some_and(|word| word >> (number % 32) & 1 == 1)
    }
}
