//! The built-in 10/100 PHY.
//!
//! Source: SMSC LAN9514 data sheet, chapter "PHY Registers"; registers 0 to 6 are those of IEEE 802.3, clause 22.
//! Autonegotiation ends at once, with 100 Mbit/s full duplex.

use crate::usb::adapter::mii::{
    ADDRESS, ANAR, ANER, ANLPAR, BMCR, BMCR_RESET, BMSR, Interrupts, Mii, OPEN_BUS, PHY_ID1,
    PHY_ID2,
};

const MODE_CTRL_STS: u8 = 17;
const SPECIAL_MODES: u8 = 18;
const INT_SRC: u8 = 29;
const INT_MASK: u8 = 30;
const PHY_SPECIAL: u8 = 31;

/// 100 Mbit/s, autonegotiation, full duplex.
const BMCR_DEFAULT: u16 = 0x3100;

/// 10 and 100 Mbit/s, half and full duplex; can autonegotiate; has extended registers.
const BMSR_ABILITIES: u16 = 0x7809;

/// The partner acknowledges and has all four modes and pause.
const PARTNER: u16 = 0x45e1;
const ENERGY_ON: u16 = 1 << 1;
/// Autonegotiation done; 100 Mbit/s, full duplex.
const SPECIAL_100_FULL: u16 = 0x1018;

const INT_ENERGY_ON: u16 = 1 << 7;
const INT_AUTONEGOTIATED: u16 = 1 << 6;
const INT_LINK_DOWN: u16 = 1 << 4;

const INTERRUPTS: Interrupts = Interrupts {
    status: INT_SRC,
    mask: INT_MASK,
    active: 0,
    link_up: INT_AUTONEGOTIATED | INT_ENERGY_ON,
    link_down: INT_LINK_DOWN,
    autonegotiated: INT_AUTONEGOTIATED,
};

#[derive(Debug)]
pub(super) struct Phy {
    /// What every PHY has.
    pub(super) mii: Mii,
}

impl Phy {
    /// A PHY after power-on, with or without a cable.
    pub(super) fn new(cable: bool) -> Self {
        let mii = Mii::new(
            INTERRUPTS,
            cable,
            &[
                (BMCR, BMCR_DEFAULT),
                (PHY_ID1, 0x0007),
                (PHY_ID2, 0xc0f1),
                (ANAR, 0x01e1),
                // Address 1, all modes.
                (SPECIAL_MODES, 0x00e1),
            ],
        );
        Self { mii }
    }

    /// Back to the state after power-on; the cable stays as it is.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.mii.cable());
    }

    /// Reads a register; those of other PHYs read as all ones, as an open bus does.
    pub(super) fn read(&mut self, address: u8, register: u8) -> u16 {
        if address != ADDRESS {
            return OPEN_BUS;
        }
        let up = self.mii.link();
        let when_up = |value| if up { value } else { 0 };
        match register {
            BMSR => self.mii.read_bmsr(BMSR_ABILITIES),
            ANLPAR => when_up(PARTNER),
            ANER => when_up(1),
            MODE_CTRL_STS => self.mii.stored(MODE_CTRL_STS) & !ENERGY_ON | when_up(ENERGY_ON),
            INT_SRC => self.mii.read_events(),
            PHY_SPECIAL => when_up(SPECIAL_100_FULL),
            _ => self.mii.stored(register),
        }
    }

    /// Writes a register; identifiers and status ignore it.
    pub(super) fn write(&mut self, address: u8, register: u8, value: u16) {
        if address != ADDRESS {
            return;
        }
        match register {
            BMCR if value & BMCR_RESET != 0 => self.reset(),
            BMCR => self.mii.write_bmcr(value),
            INT_MASK => self.mii.write_mask(value),
            BMSR | PHY_ID1 | PHY_ID2 | ANLPAR | ANER | INT_SRC | PHY_SPECIAL => {}
            _ => self.mii.set(register, value),
        }
    }
}
