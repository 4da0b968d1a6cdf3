//! The SMSC LAN9514's Ethernet function, as on a Raspberry Pi 3B: USB 2.0 to 10/100 Mbit/s Ethernet.
//!
//! Driven unmodified by U-Boot's and by Linux's `smsc95xx`. Source: SMSC LAN9514 data sheet; registers carry its names. The chip's
//! built-in hub is left out: the device sits on the root port, since QEMU's own hub is a full-speed one.
//!
//! Two things differ from the board on purpose. There is an EEPROM, because the address that the firmware writes into the device
//! tree does not reach U-Boot's driver for a device on the root port. And whatever takes the chip time (resets,
//! autonegotiation, EEPROM and PHY access) is done at once.

mod descriptors;
mod filter;
mod phy;
mod registers;
mod rx;
mod tx;

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

use self::descriptors::DESCRIPTORS;
use self::phy::Phy;
use self::registers::{
    BURST_CAP, COE_CR, COE_CR_RX, COE_CR_TX, E2P_CMD, E2P_DATA, HW_CFG, HW_CFG_BCE, HW_CFG_BIR,
    HW_CFG_LRST, HW_CFG_MEF, HW_CFG_SRST, ID_REV, INT_EP_CTL, INT_STS, INT_STS_PHY_INT,
    INT_STS_TXE, MAC_CR, MAC_CR_LOOPBK, MAC_CR_RXEN, MAC_CR_TXEN, MII_ACCESS, MII_ACCESS_BUSY,
    MII_ACCESS_WRITE, MII_DATA, PMT_CTRL, PMT_CTRL_PHY_RST, PMT_CTRL_READY, RX_CFG,
    RX_CFG_FIFO_FLUSH, RX_FIFO_INF, Registers, TX_CFG, TX_CFG_FIFO_FLUSH, TX_CFG_ON, TX_CFG_STOP,
    TX_FIFO_INF,
};
use self::rx::Framing;
use self::tx::Tx;
use super::adapter::diagnostics::Diagnostics;
use super::adapter::eeprom::Eeprom;
use super::adapter::endpoints::{BULK_IN, BULK_OUT, BULK_PACKET, INTERRUPT_IN};
use super::adapter::frame::destination;
use super::adapter::request::{Request, unknown};
use super::adapter::rx::{Burst, RxFifo};
use super::adapter::selected::Selected;
use super::descriptor::Descriptors;
use super::device::{BulkIn, Diagnostic, Endpoint, Nic, NicCounters, Setup, Stall, UsbDevice};
use shakedown_base::mac::Mac;

/// The adapter. Starts as after power-on, with a cable plugged in.
#[derive(Debug)]
pub struct Lan9514 {
    mac: Mac,
    configuration: Selected,
    registers: Registers,
    eeprom: Eeprom,
    phy: Phy,
    rx: RxFifo,
    tx: Tx,
    counters: NicCounters,
    diagnostics: Diagnostics,
}

impl Lan9514 {
    /// An adapter whose EEPROM holds `mac`. Use an address that boot loaders accept: an individual one, best with the vendor
    /// prefix `b8:27:eb`.
    #[must_use]
    pub fn new(mac: Mac) -> Self {
        Self {
            mac,
            configuration: Selected::default(),
            registers: Registers::new(mac.0),
            eeprom: Eeprom::new(Some(mac)),
            phy: Phy::new(true),
            rx: RxFifo::new(rx::FIFO, rx::STATUS_WORD),
            tx: Tx::default(),
            counters: NicCounters::default(),
            diagnostics: Diagnostics::default(),
        }
    }

    fn read(&self, offset: u16) -> u32 {
        let stored = self.registers.get(offset);
        match offset {
            INT_STS if self.phy.mii.interrupt() => stored | INT_STS_PHY_INT,
            RX_FIFO_INF => u32::try_from(self.rx.used()).unwrap_or(u32::MAX),
            E2P_CMD => self.eeprom.status(stored),
            _ => stored,
        }
    }

    fn write(&mut self, offset: u16, value: u32) {
        let stored = match offset {
            ID_REV | RX_FIFO_INF | TX_FIFO_INF => return,
            INT_STS => self.registers.get(INT_STS) & !value,
            HW_CFG if value & (HW_CFG_LRST | HW_CFG_SRST) != 0 => return self.reset_registers(),
            PMT_CTRL => {
                if value & PMT_CTRL_PHY_RST != 0 {
                    self.phy.reset();
                }
                value & !PMT_CTRL_PHY_RST | PMT_CTRL_READY
            }
            RX_CFG => {
                if value & RX_CFG_FIFO_FLUSH != 0 {
                    self.rx.flush();
                }
                value & !RX_CFG_FIFO_FLUSH
            }
            TX_CFG => {
                if value & TX_CFG_FIFO_FLUSH != 0 {
                    self.tx.flush();
                }
                match value & TX_CFG_STOP {
                    0 => value & TX_CFG_ON,
                    _ => 0,
                }
            }
            E2P_CMD => {
                let (command, data) = self.eeprom.command(value);
                if let Some(data) = data {
                    self.registers.set(E2P_DATA, data);
                }
                command
            }
            MII_ACCESS => {
                self.access_phy(value);
                value & !MII_ACCESS_BUSY
            }
            _ => value,
        };
        self.registers.set(offset, stored);
    }

    /// `MII_ACCESS`: PHY address in bits 15..11, register in bits 10..6. Some drivers do not set BUSY to begin.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "fields are cut to their width"
    )]
    fn access_phy(&mut self, access: u32) {
        let (address, register) = ((access >> 11 & 0x1f) as u8, (access >> 6 & 0x1f) as u8);
        if access & MII_ACCESS_WRITE != 0 {
            self.phy
                .write(address, register, self.registers.get(MII_DATA) as u16);
        } else {
            let value = self.phy.read(address, register);
            self.registers.set(MII_DATA, value.into());
        }
    }

    /// Everything but the PHY and the USB side.
    fn reset_registers(&mut self) {
        self.registers = Registers::new(self.mac.0);
        self.rx.flush();
        self.tx.flush();
    }

    fn receiving(&self) -> bool {
        self.registers.has(MAC_CR, MAC_CR_RXEN) && self.phy.mii.link()
    }

    fn transmitting(&self) -> bool {
        self.registers.has(MAC_CR, MAC_CR_TXEN)
            && self.registers.has(TX_CFG, TX_CFG_ON)
            && self.phy.mii.link()
    }

    /// What is sent comes back instead of going onto the cable, and nothing comes from there.
    fn loopback(&self) -> bool {
        self.registers.has(MAC_CR, MAC_CR_LOOPBK) || self.phy.mii.loopback()
    }

    /// Stores a frame that came from the network, or back from the transmitter.
    fn store(&mut self, frame: Bytes) {
        let Some(destination) = destination(&frame) else {
            self.counters.dropped_to_guest += 1;
            return;
        };
        if !self.receiving() || !self.rx.has_room(rx::LONGEST) || frame.len() > rx::LONGEST {
            self.counters.dropped_to_guest += 1;
        } else if filter::accepts(&self.registers, destination) {
            self.rx.push(frame);
        } else {
            self.counters.filtered += 1;
        }
    }

    fn framing(&self) -> Framing {
        Framing {
            checksum: self.registers.has(COE_CR, COE_CR_RX),
        }
    }

    fn burst(&self) -> Burst {
        let cap = self.registers.get(BURST_CAP) as usize * BULK_PACKET;
        Burst {
            several: self.registers.has(HW_CFG, HW_CFG_MEF),
            cap: if self.registers.has(HW_CFG, HW_CFG_BCE) {
                cap
            } else {
                usize::MAX
            },
        }
    }
}

impl UsbDevice for Lan9514 {
    fn descriptors(&self) -> &Descriptors {
        &DESCRIPTORS
    }

    fn reset(&mut self) {
        self.configuration = Selected::default();
        self.reset_registers();
        self.phy.reset();
    }

    fn configuration(&self) -> u8 {
        self.configuration.number()
    }

    fn configure(&mut self, configuration: u8) -> Result<(), Stall> {
        self.configuration.select(configuration)
    }

    fn control(&mut self, setup: &Setup, data: &[u8], reply: &mut Vec<u8>) -> Result<(), Stall> {
        match Request::parse(setup, data) {
            Request::Read(offset) if Registers::contains(offset) => {
                reply.extend(self.read(offset).to_le_bytes());
                Ok(())
            }
            Request::Write(offset, value) if Registers::contains(offset) => {
                self.write(offset, value);
                Ok(())
            }
            _ => {
                self.diagnostics.say("request", unknown("LAN9514", setup));
                Err(Stall)
            }
        }
    }

    fn bulk_out(&mut self, endpoint: Endpoint, data: &[u8]) -> Result<(), Stall> {
        self.configuration.expect(BULK_OUT, endpoint)?;
        match self.tx.push(data, self.registers.has(COE_CR, COE_CR_TX)) {
            Ok(checksums) => self.counters.checksums_inserted += checksums,
            Err(error) => {
                self.counters.dropped_from_guest += 1;
                self.registers
                    .set(INT_STS, self.registers.get(INT_STS) | INT_STS_TXE);
                let text = format!("the LAN9514 model dropped a frame: {error}");
                self.diagnostics.say("tx", text);
            }
        }
        Ok(())
    }

    fn bulk_in(
        &mut self,
        endpoint: Endpoint,
        room: usize,
        out: &mut BytesMut,
    ) -> Result<BulkIn, Stall> {
        self.configuration.expect(BULK_IN, endpoint)?;
        let (burst, framing) = (self.burst(), self.framing());
        let Some(sent) = self.rx.fill(room, burst, &framing, out) else {
            // A driver that leaves BIR clear polls, and does its other work between two answers, so none may come late.
            let naks = self.registers.has(HW_CFG, HW_CFG_BIR);
            return Ok(if naks {
                BulkIn::Pending
            } else {
                BulkIn::Answered
            });
        };
        self.counters.to_guest.frames += sent.frames;
        self.counters.to_guest.bytes += sent.bytes;
        if self.registers.has(COE_CR, COE_CR_RX) {
            self.counters.checksums_reported += sent.frames;
        }
        Ok(BulkIn::Answered)
    }

    fn naks(&self, endpoint: Endpoint) -> bool {
        self.configuration.expect(BULK_IN, endpoint).is_ok()
            && self.registers.has(HW_CFG, HW_CFG_BIR)
            && self.rx.is_idle()
    }

    fn interrupt_in(&mut self, endpoint: Endpoint) -> Option<Bytes> {
        self.configuration.expect(INTERRUPT_IN, endpoint).ok()?;
        // The chip repeats its report at every interval while the cause lasts, and the driver's answer ends that within a few
        // intervals. Here each cause is reported once: what piles up in QEMU would be worked off afterwards.
        let enabled = self.registers.get(INT_EP_CTL);
        if enabled & INT_STS_PHY_INT == 0 || !self.phy.mii.take_unreported() {
            return None;
        }
        Some(Bytes::copy_from_slice(
            &(self.read(INT_STS) & enabled).to_le_bytes(),
        ))
    }

    fn diagnostic(&mut self) -> Option<Diagnostic> {
        self.diagnostics.take()
    }
}

impl Nic for Lan9514 {
    fn set_link(&mut self, up: bool) {
        self.phy.mii.set_cable(up);
    }

    fn is_started(&self) -> bool {
        self.registers.has(MAC_CR, MAC_CR_RXEN | MAC_CR_TXEN)
    }

    fn has_room(&self) -> bool {
        !self.receiving() || self.loopback() || self.rx.has_room(rx::LONGEST)
    }

    fn receive(&mut self, frame: Bytes) {
        if self.loopback() {
            self.counters.dropped_to_guest += 1;
        } else {
            self.store(frame);
        }
    }

    fn transmitted(&mut self) -> Option<Bytes> {
        loop {
            let frame = self.tx.pop()?;
            if !self.transmitting() {
                self.counters.dropped_from_guest += 1;
                continue;
            }
            self.counters.from_guest.count(frame.len());
            if !self.loopback() {
                return Some(frame);
            }
            self.store(frame);
        }
    }

    fn counters(&self) -> NicCounters {
        self.counters
    }
}
