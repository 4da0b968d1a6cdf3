//! The built-in 10/100/1000 PHY, an LAN88xx.
//!
//! Source: Microchip LAN7800 data sheet, chapter "Ethernet PHY"; registers 0 to 15 are those of IEEE 802.3, clauses 22 and 40.
//! Autonegotiation ends at once, with 1000 Mbit/s full duplex and PAUSE both ways.

use std::collections::BTreeMap;

use crate::usb::adapter::mii::{
    ADDRESS, ANAR, ANER, ANLPAR, BMCR, BMCR_RESET, BMSR, Interrupts, Mii, OPEN_BUS, PHY_ID1,
    PHY_ID2,
};

const CTRL1000: u8 = 9;
const STAT1000: u8 = 10;
const MMD_CTRL: u8 = 13;
const MMD_DATA: u8 = 14;
const ESTATUS: u8 = 15;
/// First of the registers that the page selects.
const PAGED: u8 = 16;
const INT_MASK: u8 = 25;
const INT_STS: u8 = 26;
const PAGE_SELECT: u8 = 31;

/// Microchip's extended pages, and the one through which the signal processor is reached.
const PAGES: [u16; 4] = [1, 2, 3, PAGE_TR];
const PAGE_TR: u16 = 0x52b5;
/// In that page: bit 15 of the command register says that the last command is done.
const TR_COMMAND: u8 = 16;
const TR_DONE: u16 = 1 << 15;

/// Autonegotiation, full duplex, 1000 Mbit/s.
const BMCR_DEFAULT: u16 = 0x1140;

/// 10 and 100 Mbit/s, half and full duplex; extended status; can autonegotiate; has extended registers.
const BMSR_ABILITIES: u16 = 0x7949;

/// The partner acknowledges and has 10 and 100 Mbit/s and PAUSE; likewise for 1000 Mbit/s, with both receivers right.
const PARTNER: u16 = 0xcde1;
const PARTNER_1000: u16 = 0x7c00;

const INT_ACTIVE: u16 = 1 << 15;
const INT_LINK: u16 = 1 << 13;
const INT_AUTONEGOTIATED: u16 = 1 << 10;

/// MMD registers that are remembered; drivers use five.
const MOST_MMD: usize = 64;

const INTERRUPTS: Interrupts = Interrupts {
    status: INT_STS,
    mask: INT_MASK,
    active: INT_ACTIVE,
    link_up: INT_LINK | INT_AUTONEGOTIATED,
    link_down: INT_LINK,
    autonegotiated: INT_AUTONEGOTIATED,
};

#[derive(Debug)]
pub(super) struct Phy {
    /// What every PHY has.
    pub(super) mii: Mii,
    page: u16,
    /// Registers 16 to 30 of each of [`PAGES`].
    paged: [[u16; 16]; PAGES.len()],
    mmd: BTreeMap<(u16, u16), u16>,
    mmd_address: u16,
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
                (PHY_ID2, 0xc132),
                (ANAR, 0x01e1),
                (CTRL1000, 0x0300),
                (ESTATUS, 0x3000),
            ],
        );
        Self {
            mii,
            page: 0,
            paged: [[0; 16]; PAGES.len()],
            mmd: BTreeMap::new(),
            mmd_address: 0,
        }
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
            PAGE_SELECT => self.page,
            PAGED.. if self.page != 0 => self.paged(register),
            BMSR => self.mii.read_bmsr(BMSR_ABILITIES),
            ANLPAR => when_up(PARTNER),
            ANER => when_up(0x000b) | 0x0004,
            STAT1000 => when_up(PARTNER_1000),
            MMD_DATA => self.mmd(),
            INT_STS => self.mii.read_events(),
            _ => self.mii.stored(register),
        }
    }

    /// Writes a register; identifiers and status ignore it.
    pub(super) fn write(&mut self, address: u8, register: u8, value: u16) {
        if address != ADDRESS {
            return;
        }
        match register {
            PAGE_SELECT => self.page = value,
            PAGED.. if self.page != 0 => self.set_paged(register, value),
            BMCR if value & BMCR_RESET != 0 => self.reset(),
            BMCR => self.mii.write_bmcr(value),
            INT_MASK => self.mii.write_mask(value),
            MMD_DATA => self.set_mmd(value),
            BMSR | PHY_ID1 | PHY_ID2 | ANLPAR | ANER | STAT1000 | ESTATUS | INT_STS => {}
            _ => self.mii.set(register, value),
        }
    }

    /// A register of the selected page; pages that the PHY does not have read 0.
    fn paged(&self, register: u8) -> u16 {
        let stored = self
            .page_index()
            .and_then(|page| self.paged.get(page))
            .and_then(|page| page.get(usize::from(register - PAGED)))
            .copied()
            .unwrap_or(0);
        if self.page == PAGE_TR && register == TR_COMMAND {
            stored | TR_DONE
        } else {
            stored
        }
    }

    fn set_paged(&mut self, register: u8, value: u16) {
        let place = self
            .page_index()
            .and_then(|page| self.paged.get_mut(page))
            .and_then(|page| page.get_mut(usize::from(register - PAGED)));
        if let Some(place) = place {
            *place = value;
        }
    }

    fn page_index(&self) -> Option<usize> {
        PAGES.iter().position(|page| *page == self.page)
    }

    /// The device that `MMD_CTRL` selects, and whether `MMD_DATA` is its data or its address (802.3, 22.2.4.3.11).
    fn mmd_selected(&self) -> (u16, bool) {
        let control = self.mii.stored(MMD_CTRL);
        (control & 0x1f, control >> 14 != 0)
    }

    fn mmd(&self) -> u16 {
        let (device, is_data) = self.mmd_selected();
        if !is_data {
            return self.mmd_address;
        }
        let key = (device, self.mmd_address);
        self.mmd.get(&key).copied().unwrap_or(0)
    }

    fn set_mmd(&mut self, value: u16) {
        let (device, is_data) = self.mmd_selected();
        if !is_data {
            self.mmd_address = value;
            return;
        }
        let key = (device, self.mmd_address);
        if self.mmd.len() < MOST_MMD || self.mmd.contains_key(&key) {
            self.mmd.insert(key, value);
        }
    }
}
