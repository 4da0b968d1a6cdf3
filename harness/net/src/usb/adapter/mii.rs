//! What the built-in PHYs have in common: the registers of IEEE 802.3, clause 22, the cable, and the interrupt that tells of both.
//!
//! Autonegotiation ends at once. A PHY's own registers, and what it answers for its partner, are its own.

/// The address of the built-in PHY on the management bus.
pub(in crate::usb) const ADDRESS: u8 = 1;
/// What an address without a PHY reads as: an open bus.
pub(in crate::usb) const OPEN_BUS: u16 = 0xffff;

pub(in crate::usb) const BMCR: u8 = 0;
pub(in crate::usb) const BMSR: u8 = 1;
pub(in crate::usb) const PHY_ID1: u8 = 2;
pub(in crate::usb) const PHY_ID2: u8 = 3;
pub(in crate::usb) const ANAR: u8 = 4;
pub(in crate::usb) const ANLPAR: u8 = 5;
pub(in crate::usb) const ANER: u8 = 6;

pub(in crate::usb) const BMCR_RESET: u16 = 1 << 15;
const BMCR_LOOPBACK: u16 = 1 << 14;
const BMCR_POWER_DOWN: u16 = 1 << 11;
const BMCR_RESTART: u16 = 1 << 9;

const BMSR_AUTONEGOTIATED: u16 = 1 << 5;
const BMSR_LINK: u16 = 1 << 2;

/// How a PHY tells of events: registers and bits by its data sheet.
#[derive(Debug, Clone, Copy)]
pub(in crate::usb) struct Interrupts {
    /// The register of events, which is cleared by reading it.
    pub(in crate::usb) status: u8,
    /// The register of the events that interrupt.
    pub(in crate::usb) mask: u8,
    /// A bit of the status register that is set beside every event and is none itself; 0 without one.
    pub(in crate::usb) active: u16,
    /// Events when the link has come up.
    pub(in crate::usb) link_up: u16,
    /// The event when it has gone down.
    pub(in crate::usb) link_down: u16,
    /// The event when autonegotiation has ended.
    pub(in crate::usb) autonegotiated: u16,
}

/// The registers of a PHY with the state of its cable.
#[derive(Debug)]
pub(in crate::usb) struct Mii {
    interrupts: Interrupts,
    registers: [u16; 32],
    cable: bool,
    /// The link was down since BMSR was read last: 802.3 wants to hear of it once.
    was_down: bool,
    /// An unmasked event has happened that the interrupt endpoint has not reported.
    unreported: bool,
}

impl Mii {
    /// A PHY after power-on, with or without a cable; registers that are not in `values` are 0.
    pub(in crate::usb) fn new(interrupts: Interrupts, cable: bool, values: &[(u8, u16)]) -> Self {
        let mut mii = Self {
            interrupts,
            registers: [0; 32],
            cable,
            was_down: false,
            unreported: false,
        };
        for &(register, value) in values {
            mii.set(register, value);
        }
        mii
    }

    /// A cable is plugged in.
    pub(in crate::usb) fn cable(&self) -> bool {
        self.cable
    }

    /// True when frames can pass, be it only back to the MAC.
    pub(in crate::usb) fn link(&self) -> bool {
        (self.cable || self.loopback()) && self.stored(BMCR) & BMCR_POWER_DOWN == 0
    }

    /// True while what the MAC sends comes back to it.
    pub(in crate::usb) fn loopback(&self) -> bool {
        self.stored(BMCR) & BMCR_LOOPBACK != 0
    }

    /// Plugs the network cable in or out.
    pub(in crate::usb) fn set_cable(&mut self, cable: bool) {
        if self.cable != cable {
            let before = self.link();
            self.cable = cable;
            self.link_changed(before);
        }
    }

    /// True while an unmasked event waits in the status register.
    pub(in crate::usb) fn interrupt(&self) -> bool {
        let Interrupts {
            status,
            mask,
            active,
            ..
        } = self.interrupts;
        self.stored(status) & self.stored(mask) & !active != 0
    }

    /// True once for each new unmasked event.
    pub(in crate::usb) fn take_unreported(&mut self) -> bool {
        std::mem::take(&mut self.unreported)
    }

    /// Reads BMSR; `abilities` are the bits that never change.
    pub(in crate::usb) fn read_bmsr(&mut self, abilities: u16) -> u16 {
        let was_down = std::mem::take(&mut self.was_down);
        if self.link() && !was_down {
            abilities | BMSR_LINK | BMSR_AUTONEGOTIATED
        } else {
            abilities
        }
    }

    /// Reads the events, which clears them.
    pub(in crate::usb) fn read_events(&mut self) -> u16 {
        let events = self.stored(self.interrupts.status);
        self.set(self.interrupts.status, 0);
        self.unreported = false;
        events
    }

    /// Writes BMCR. A reset ([`BMCR_RESET`]) is the PHY's own affair.
    pub(in crate::usb) fn write_bmcr(&mut self, value: u16) {
        let before = self.link();
        self.set(BMCR, value & !BMCR_RESTART);
        self.link_changed(before);
        if value & BMCR_RESTART != 0 && self.link() {
            self.raise(self.interrupts.autonegotiated);
        }
    }

    /// Writes the mask of events that interrupt.
    pub(in crate::usb) fn write_mask(&mut self, value: u16) {
        self.set(self.interrupts.mask, value);
        self.unreported = self.interrupt();
    }

    /// The stored value of a register; 0 outside the 32.
    pub(in crate::usb) fn stored(&self, register: u8) -> u16 {
        self.registers
            .get(usize::from(register))
            .copied()
            .unwrap_or(0)
    }

    /// Stores a value; nothing happens outside the 32.
    pub(in crate::usb) fn set(&mut self, register: u8, value: u16) {
        if let Some(place) = self.registers.get_mut(usize::from(register)) {
            *place = value;
        }
    }

    fn link_changed(&mut self, before: bool) {
        match (before, self.link()) {
            (true, false) => {
                self.was_down = true;
                self.raise(self.interrupts.link_down);
            }
            (false, true) => self.raise(self.interrupts.link_up),
            _ => {}
        }
    }

    fn raise(&mut self, event: u16) {
        let Interrupts {
            status,
            mask,
            active,
            ..
        } = self.interrupts;
        self.set(status, self.stored(status) | event | active);
        self.unreported |= event & self.stored(mask) != 0;
    }
}
