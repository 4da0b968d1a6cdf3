//! The chip: what its registers do.

use super::memory::FilterMemory;
use super::otp::Otp;
use super::phy::Phy;
use super::registers::*;
use super::rx;
use super::statistics::Statistics;
use super::tx::Tx;
use crate::usb::adapter::diagnostics::Diagnostics;
use crate::usb::adapter::eeprom::Eeprom;
use crate::usb::adapter::endpoints::BULK_PACKET;
use crate::usb::adapter::rx::{Burst, RxFifo};
use crate::usb::adapter::selected::Selected;
use crate::usb::device::NicCounters;
use shakedown_base::mac::Mac;

/// Longest frame, with VLAN tag and FCS, while the driver has not set a limit.
const LONGEST: usize = 1522;

/// Where the chip has its station address from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredAddress {
    /// EEPROM and OTP are blank, as on a Raspberry Pi 3B+: the firmware writes the address into the device tree.
    None,
    /// A serial EEPROM holds it.
    Eeprom(Mac),
    /// The one-time programmable memory holds it.
    Otp(Mac),
}

/// The adapter. Starts as after power-on, with a cable plugged in.
#[derive(Debug)]
pub struct Lan7800 {
    stored: Option<Mac>,
    pub(super) configuration: Selected,
    pub(super) registers: Registers,
    eeprom: Eeprom,
    otp: Otp,
    pub(super) memory: FilterMemory,
    pub(super) phy: Phy,
    pub(super) rx: RxFifo,
    pub(super) tx: Tx,
    pub(super) statistics: Statistics,
    pub(super) counters: NicCounters,
    pub(super) diagnostics: Diagnostics,
}

impl Lan7800 {
    /// An adapter with this address, or without one.
    #[must_use]
    pub fn new(address: StoredAddress) -> Self {
        let (eeprom, otp) = match address {
            StoredAddress::None => (None, None),
            StoredAddress::Eeprom(mac) => (Some(mac), None),
            StoredAddress::Otp(mac) => (None, Some(mac)),
        };
        let stored = eeprom.or(otp);
        Self {
            stored,
            configuration: Selected::default(),
            registers: Registers::new(stored),
            eeprom: Eeprom::new(eeprom),
            otp: Otp::new(otp),
            memory: FilterMemory::default(),
            phy: Phy::new(true),
            rx: RxFifo::new(rx::FIFO, rx::WORDS),
            tx: Tx::default(),
            statistics: Statistics::default(),
            counters: NicCounters::default(),
            diagnostics: Diagnostics::default(),
        }
    }

    pub(super) fn read(&self, offset: u16) -> u32 {
        let stored = self.registers.get(offset);
        match offset {
            INT_STS if self.phy.mii.interrupt() => stored | INT_STS_PHY,
            E2P_CMD => self.eeprom.status(stored),
            FCT_RX_CTL => stored | u32::try_from(self.rx.used()).unwrap_or(u32::MAX),
            _ => stored,
        }
    }

    pub(super) fn write(&mut self, offset: u16, value: u32) {
        let stored = match offset {
            ID_REV | OTP_STATUS | OTP_RD_DATA => return,
            INT_STS => self.registers.get(INT_STS) & !value,
            HW_CFG if value & (HW_CFG_LRST | HW_CFG_SRST) != 0 => return self.reset_registers(),
            PMT_CTL => {
                if value & PMT_CTL_PHY_RST != 0 {
                    self.phy.reset();
                }
                value & !PMT_CTL_PHY_RST | PMT_CTL_READY
            }
            DP_SEL => value | DP_SEL_READY,
            DP_CMD => {
                self.access_memory(value);
                value
            }
            RFE_CTL => value & !RFE_CTL_RST,
            FCT_RX_CTL => {
                if value & FCT_CTL_RST != 0 {
                    self.rx.flush();
                }
                self.registers.fifo_control(offset, value)
            }
            FCT_TX_CTL => {
                if value & FCT_CTL_RST != 0 {
                    self.tx.flush();
                }
                self.registers.fifo_control(offset, value)
            }
            MAC_CR => value & !MAC_CR_RST,
            MAC_RX | MAC_TX => self.registers.mac_control(offset, value),
            E2P_CMD => {
                let (command, data) = self.eeprom.command(value);
                if let Some(data) = data {
                    self.registers.set(E2P_DATA, data);
                }
                command
            }
            OTP_CMD_GO => {
                self.read_otp(value);
                value & !OTP_CMD_GO_GO
            }
            MII_ACC => {
                self.access_phy(value);
                value & !MII_ACC_BUSY
            }
            _ => value,
        };
        self.registers.set(offset, stored);
    }

    /// `MII_ACC`: PHY address in bits 15..11, register in bits 10..6.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "fields are cut to their width"
    )]
    fn access_phy(&mut self, access: u32) {
        if access & MII_ACC_BUSY == 0 {
            return;
        }
        let (address, register) = ((access >> 11 & 0x1f) as u8, (access >> 6 & 0x1f) as u8);
        if access & MII_ACC_WRITE != 0 {
            let value = self.registers.get(MII_DATA) as u16;
            self.phy.write(address, register, value);
        } else {
            let value = self.phy.read(address, register);
            self.registers.set(MII_DATA, value.into());
        }
    }

    /// `DP_CMD`: moves a word between `DP_DATA` and the memory that `DP_SEL` selects; there is one.
    fn access_memory(&mut self, command: u32) {
        if self.registers.get(DP_SEL) & DP_SEL_MASK != DP_SEL_VHF {
            return;
        }
        let address = self.registers.get(DP_ADDR);
        if command & DP_CMD_WRITE != 0 {
            self.memory.write(address, self.registers.get(DP_DATA));
        } else {
            self.registers.set(DP_DATA, self.memory.read(address));
        }
    }

    fn read_otp(&mut self, go: u32) {
        if go & OTP_CMD_GO_GO != 0 && self.registers.has(OTP_FUNC_CMD, OTP_FUNC_CMD_READ) {
            let high = self.registers.get(OTP_ADDR1) & 0x1f;
            let low = self.registers.get(OTP_ADDR2) & 0xff;
            let byte = self.otp.read(high << 8 | low);
            self.registers.set(OTP_RD_DATA, byte.into());
        }
    }

    /// Everything but the PHY, EEPROM, OTP and the USB side.
    pub(super) fn reset_registers(&mut self) {
        self.registers = Registers::new(self.stored);
        self.memory = FilterMemory::default();
        self.statistics = Statistics::default();
        self.rx.flush();
        self.tx.flush();
    }

    /// The receiver is on.
    pub(super) fn receiving(&self) -> bool {
        self.registers.has(MAC_RX, MAC_EN)
            && self.registers.has(FCT_RX_CTL, FCT_CTL_EN)
            && self.phy.mii.link()
    }

    /// The transmitter is on.
    pub(super) fn transmitting(&self) -> bool {
        self.registers.has(MAC_TX, MAC_EN)
            && self.registers.has(FCT_TX_CTL, FCT_CTL_EN)
            && self.phy.mii.link()
    }

    /// What is sent comes back instead of going onto the cable, and nothing comes from there.
    pub(super) fn loopback(&self) -> bool {
        self.registers.has(MAC_CR, MAC_CR_LOOPBACK) || self.phy.mii.loopback()
    }

    /// The longest frame that the receiver takes, without FCS.
    pub(super) fn longest(&self) -> usize {
        let longest = match self.registers.longest() {
            0 => LONGEST,
            set => set,
        };
        longest.saturating_sub(crate::usb::adapter::frame::FCS)
    }

    /// There is room for the longest frame. With a limit above the FIFO's size: the FIFO is empty.
    pub(super) fn fifo_has_room(&self) -> bool {
        self.rx.used() == 0 || self.rx.has_room(self.longest())
    }

    pub(super) fn framing(&self) -> rx::Framing {
        let mode = |bit| self.registers.has(RFE_CTL, bit);
        rx::Framing {
            strip_fcs: self.registers.has(MAC_RX, MAC_RX_FCS_STRIP),
            strip_tag: mode(RFE_CTL_VS),
            checksum: mode(RFE_CTL_IP_COE) || mode(RFE_CTL_TCPUDP_COE),
        }
    }

    /// With the cap off a transfer holds one frame: U-Boot's driver relies on that.
    pub(super) fn burst(&self) -> Burst {
        let capped = self.registers.has(USB_CFG0, USB_CFG0_BCE);
        Burst {
            several: capped && self.registers.has(HW_CFG, HW_CFG_MEF),
            cap: self.registers.get(BURST_CAP) as usize * BULK_PACKET,
        }
    }

    /// Stores a frame that came from the network, or back from the transmitter.
    pub(super) fn store(&mut self, frame: bytes::Bytes) {
        if !self.receiving() {
            self.counters.dropped_to_guest += 1;
        } else if frame.len() > self.longest() {
            self.counters.dropped_to_guest += 1;
            self.statistics.oversize();
        } else if !super::filter::accepts(&self.registers, &self.memory, &frame) {
            self.counters.filtered += 1;
        } else if !self.fifo_has_room() {
            self.counters.dropped_to_guest += 1;
            self.statistics.dropped();
        } else {
            self.statistics.received(&frame);
            self.rx.push(frame);
        }
    }
}
