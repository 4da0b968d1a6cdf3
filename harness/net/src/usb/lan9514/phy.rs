//! The built-in 10/100 PHY.
//!
//! Source: SMSC LAN9514 data sheet, chapter "PHY Registers"; registers 0 to 6 are those of IEEE 802.3, clause 22.
//! Autonegotiation ends at once, with 100 Mbit/s full duplex.

const BMCR: u8 = 0;
const BMSR: u8 = 1;
const PHY_ID1: u8 = 2;
const PHY_ID2: u8 = 3;
const ANAR: u8 = 4;
const ANLPAR: u8 = 5;
const ANER: u8 = 6;
const MODE_CTRL_STS: u8 = 17;
const SPECIAL_MODES: u8 = 18;
const INT_SRC: u8 = 29;
const INT_MASK: u8 = 30;
const PHY_SPECIAL: u8 = 31;

const BMCR_RESET: u16 = 1 << 15;
const BMCR_LOOPBACK: u16 = 1 << 14;
const BMCR_POWER_DOWN: u16 = 1 << 11;
const BMCR_RESTART: u16 = 1 << 9;
/// 100 Mbit/s, autonegotiation, full duplex.
const BMCR_DEFAULT: u16 = 0x3100;

/// 10 and 100 Mbit/s, half and full duplex; can autonegotiate; has extended registers.
const BMSR_ABILITIES: u16 = 0x7809;
const BMSR_AUTONEGOTIATED: u16 = 1 << 5;
const BMSR_LINK: u16 = 1 << 2;

/// The partner acknowledges and has all four modes and pause.
const PARTNER: u16 = 0x45e1;
const ENERGY_ON: u16 = 1 << 1;
/// Autonegotiation done; 100 Mbit/s, full duplex.
const SPECIAL_100_FULL: u16 = 0x1018;

const INT_ENERGY_ON: u16 = 1 << 7;
const INT_AUTONEGOTIATED: u16 = 1 << 6;
const INT_LINK_DOWN: u16 = 1 << 4;

#[derive(Debug)]
pub(super) struct Phy {
    registers: [u16; 32],
    cable: bool,
    /// The link was down since BMSR was read last: 802.3 wants to hear of it once.
    was_down: bool,
    /// An unmasked event has happened that the interrupt endpoint has not reported.
    unreported: bool,
}

impl Phy {
    /// The MII address of the built-in PHY.
    pub(super) const ADDRESS: u8 = 1;

    /// A PHY after power-on, with or without a cable.
    pub(super) fn new(cable: bool) -> Self {
        let mut phy = Self {
            registers: [0; 32],
            cable,
            was_down: false,
            unreported: false,
        };
        for (register, value) in [
            (BMCR, BMCR_DEFAULT),
            (PHY_ID1, 0x0007),
            (PHY_ID2, 0xc0f1),
            (ANAR, 0x01e1),
            // Address 1, all modes.
            (SPECIAL_MODES, 0x00e1),
        ] {
            phy.set(register, value);
        }
        phy
    }

    /// Back to the state after power-on; the cable stays as it is.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.cable);
    }

    /// True when frames can pass, be it only back to the MAC.
    pub(super) fn link(&self) -> bool {
        (self.cable || self.loopback()) && self.stored(BMCR) & BMCR_POWER_DOWN == 0
    }

    /// True while what the MAC sends comes back to it.
    pub(super) fn loopback(&self) -> bool {
        self.stored(BMCR) & BMCR_LOOPBACK != 0
    }

    /// Plugs the network cable in or out.
    pub(super) fn set_cable(&mut self, cable: bool) {
        if self.cable != cable {
            let before = self.link();
            self.cable = cable;
            self.link_changed(before);
        }
    }

    /// True while an unmasked event waits in `INT_SRC`.
    pub(super) fn interrupt(&self) -> bool {
        self.stored(INT_SRC) & self.stored(INT_MASK) != 0
    }

    /// True once for each new unmasked event.
    pub(super) fn take_unreported(&mut self) -> bool {
        std::mem::take(&mut self.unreported)
    }

    /// Reads a register; those of other PHYs read as all ones, as an open bus does.
    pub(super) fn read(&mut self, address: u8, register: u8) -> u16 {
        if address != Self::ADDRESS {
            return 0xffff;
        }
        let up = self.link();
        let when_up = |value| if up { value } else { 0 };
        match register {
            BMSR => {
                let was_down = std::mem::take(&mut self.was_down);
                let up = up && !was_down;
                BMSR_ABILITIES
                    | if up {
                        BMSR_LINK | BMSR_AUTONEGOTIATED
                    } else {
                        0
                    }
            }
            ANLPAR => when_up(PARTNER),
            ANER => when_up(1),
            MODE_CTRL_STS => self.stored(MODE_CTRL_STS) & !ENERGY_ON | when_up(ENERGY_ON),
            INT_SRC => {
                let source = self.stored(INT_SRC);
                self.set(INT_SRC, 0);
                self.unreported = false;
                source
            }
            PHY_SPECIAL => when_up(SPECIAL_100_FULL),
            _ => self.stored(register),
        }
    }

    /// Writes a register; identifiers and status ignore it.
    pub(super) fn write(&mut self, address: u8, register: u8, value: u16) {
        if address != Self::ADDRESS {
            return;
        }
        match register {
            BMCR if value & BMCR_RESET != 0 => self.reset(),
            BMCR => {
                let before = self.link();
                self.set(BMCR, value & !BMCR_RESTART);
                self.link_changed(before);
                if value & BMCR_RESTART != 0 && self.link() {
                    self.raise(INT_AUTONEGOTIATED);
                }
            }
            INT_MASK => {
                self.set(INT_MASK, value);
                self.unreported = self.interrupt();
            }
            BMSR | PHY_ID1 | PHY_ID2 | ANLPAR | ANER | INT_SRC | PHY_SPECIAL => {}
            _ => self.set(register, value),
        }
    }

    fn link_changed(&mut self, before: bool) {
        match (before, self.link()) {
            (true, false) => {
                self.was_down = true;
                self.raise(INT_LINK_DOWN);
            }
            (false, true) => self.raise(INT_AUTONEGOTIATED | INT_ENERGY_ON),
            _ => {}
        }
    }

    fn raise(&mut self, event: u16) {
        self.set(INT_SRC, self.stored(INT_SRC) | event);
        self.unreported |= event & self.stored(INT_MASK) != 0;
    }

    fn stored(&self, register: u8) -> u16 {
        self.registers
            .get(usize::from(register))
            .copied()
            .unwrap_or(0)
    }

    fn set(&mut self, register: u8, value: u16) {
        if let Some(place) = self.registers.get_mut(usize::from(register)) {
            *place = value;
        }
    }
}
