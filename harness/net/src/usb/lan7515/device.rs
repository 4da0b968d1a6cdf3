//! The chip as a USB device and as an Ethernet adapter.

use bytes::{Bytes, BytesMut};

use super::chip::Lan7800;
use super::descriptors::DESCRIPTORS;
use super::registers::{
    FCT_CTL_EN, FCT_RX_CTL, FCT_TX_CTL, INT_EP_CTL, INT_STS, INT_STS_PHY, INT_STS_TXE, MAC_EN,
    MAC_RX, MAC_TX, Registers, USB_CFG0, USB_CFG0_BIR,
};
use crate::usb::adapter::endpoints::{BULK_IN, BULK_OUT, INTERRUPT_IN};
use crate::usb::adapter::frame::HEADER;
use crate::usb::adapter::request::{Request, unknown};
use crate::usb::adapter::selected::Selected;
use crate::usb::descriptor::Descriptors;
use crate::usb::device::{BulkIn, Diagnostic, Endpoint, Nic, NicCounters, Setup, Stall, UsbDevice};

impl UsbDevice for Lan7800 {
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
            }
            Request::Write(offset, value) if Registers::contains(offset) => {
                self.write(offset, value);
            }
            Request::Statistics => reply.extend(self.statistics.bytes()),
            _ => {
                self.diagnostics.say("request", unknown("LAN7800", setup));
                return Err(Stall);
            }
        }
        Ok(())
    }

    fn bulk_out(&mut self, endpoint: Endpoint, data: &[u8]) -> Result<(), Stall> {
        self.configuration.expect(BULK_OUT, endpoint)?;
        match self.tx.push(data) {
            Ok(checksums) => self.counters.checksums_inserted += checksums,
            Err(error) => {
                self.counters.dropped_from_guest += 1;
                let status = self.registers.get(INT_STS) | INT_STS_TXE;
                self.registers.set(INT_STS, status);
                let text = format!("the LAN7800 model dropped a frame: {error}");
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
            let naks = self.registers.has(USB_CFG0, USB_CFG0_BIR);
            return Ok(if naks {
                BulkIn::Pending
            } else {
                BulkIn::Answered
            });
        };
        self.counters.to_guest.frames += sent.frames;
        self.counters.to_guest.bytes += sent.bytes;
        if framing.checksum {
            self.counters.checksums_reported += sent.frames;
        }
        Ok(BulkIn::Answered)
    }

    fn naks(&self, endpoint: Endpoint) -> bool {
        self.configuration.expect(BULK_IN, endpoint).is_ok()
            && self.registers.has(USB_CFG0, USB_CFG0_BIR)
            && self.rx.is_idle()
    }

    fn interrupt_in(&mut self, endpoint: Endpoint) -> Option<Bytes> {
        self.configuration.expect(INTERRUPT_IN, endpoint).ok()?;
        // Each cause is reported once, as by the LAN9514 model.
        let enabled = self.registers.get(INT_EP_CTL);
        if enabled & INT_STS_PHY == 0 || !self.phy.mii.take_unreported() {
            return None;
        }
        let status = self.read(INT_STS) & enabled;
        Some(Bytes::copy_from_slice(&status.to_le_bytes()))
    }

    fn diagnostic(&mut self) -> Option<Diagnostic> {
        self.diagnostics.take()
    }
}

impl Nic for Lan7800 {
    fn set_link(&mut self, up: bool) {
        self.phy.mii.set_cable(up);
    }

    fn is_started(&self) -> bool {
        let on =
            |mac, fifo| self.registers.has(mac, MAC_EN) && self.registers.has(fifo, FCT_CTL_EN);
        on(MAC_RX, FCT_RX_CTL) && on(MAC_TX, FCT_TX_CTL)
    }

    fn has_room(&self) -> bool {
        !self.receiving() || self.loopback() || self.fifo_has_room()
    }

    fn receive(&mut self, frame: Bytes) {
        if frame.len() < HEADER || self.loopback() {
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
            self.statistics.sent(&frame);
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
