//! The MAC's address filter.
//!
//! Source: SMSC LAN9514 data sheet, table "Address Filtering Modes", and the register `MAC_CR`.

use super::registers::{
    MAC_CR, MAC_CR_BCAST, MAC_CR_HO, MAC_CR_HPFILT, MAC_CR_INVFILT, MAC_CR_MCPAS, MAC_CR_PRMS,
    MAC_CR_RXALL, Registers,
};
use crate::usb::adapter::frame::address_crc;
use shakedown_base::mac::Mac;

/// True when a frame for `destination` passes.
pub(super) fn accepts(registers: &Registers, destination: Mac) -> bool {
    let mode = |bit| registers.has(MAC_CR, bit);
    if mode(MAC_CR_RXALL) || mode(MAC_CR_PRMS) {
        return true;
    }
    if destination == Mac::BROADCAST {
        return !mode(MAC_CR_BCAST);
    }
    let perfect = || (destination.0 == registers.station()) != mode(MAC_CR_INVFILT);
    let hashed = || registers.hash_table() >> hash(destination) & 1 == 1;
    if destination.is_multicast() {
        mode(MAC_CR_MCPAS)
            || if mode(MAC_CR_HPFILT) {
                hashed()
            } else {
                perfect()
            }
    } else if mode(MAC_CR_HO) {
        hashed()
    } else {
        perfect()
    }
}

/// The bit in the 64-bit hash table: the upper six bits of the address's CRC.
fn hash(address: Mac) -> u32 {
    address_crc(address) >> 26
}

#[cfg(test)]
mod tests {
    use super::super::registers::HASHL;
    use super::*;

    const STATION: [u8; 6] = [0xb8, 0x27, 0xeb, 1, 2, 3];
    const OTHER: [u8; 6] = [0xb8, 0x27, 0xeb, 9, 9, 9];
    const ALL_HOSTS: [u8; 6] = [0x01, 0x00, 0x5e, 0, 0, 1];
    const MDNS: [u8; 6] = [0x01, 0x00, 0x5e, 0, 0, 0xfb];

    /// Which of station, other, broadcast, 224.0.0.1 and 224.0.0.251 pass.
    fn passing(mac_cr: u32) -> [bool; 5] {
        let mut registers = Registers::new(STATION);
        registers.set(MAC_CR, mac_cr);
        registers.set(HASHL, 1 << 31);
        [STATION, OTHER, [0xff; 6], ALL_HOSTS, MDNS]
            .map(|address| accepts(&registers, Mac(address)))
    }

    #[test]
    fn modes() {
        // The group address whose bit is known from driver documentation.
        assert_eq!(hash(Mac(ALL_HOSTS)), 31);
        assert_eq!(passing(0), [true, false, true, false, false]);
        assert_eq!(passing(MAC_CR_PRMS), [true; 5]);
        assert_eq!(passing(MAC_CR_RXALL), [true; 5]);
        assert_eq!(passing(MAC_CR_MCPAS), [true, false, true, true, true]);
        assert_eq!(passing(MAC_CR_HPFILT), [true, false, true, true, false]);
        assert_eq!(
            passing(MAC_CR_HPFILT | MAC_CR_HO),
            [false, false, true, true, false]
        );
        assert_eq!(passing(MAC_CR_BCAST), [true, false, false, false, false]);
        assert_eq!(passing(MAC_CR_INVFILT), [false, true, true, true, true]);
    }
}
