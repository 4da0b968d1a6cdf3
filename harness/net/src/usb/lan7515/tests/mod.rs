//! The model under drivers written for the tests: they use registers and endpoints as U-Boot and Linux do. The register traces of both
//! are replayed too.

mod linux;
mod offload;
mod properties;
mod replay;
mod uboot;

use super::chip::{Lan7800, StoredAddress};
use super::registers::*;
use crate::usb::adapter::driver::frame_to;
use shakedown_base::mac::Mac;

const MAC: Mac = Mac([0xb8, 0x27, 0xeb, 0x12, 0x34, 0x56]);

/// Bytes that Linux asks for at once, and its burst cap.
const URB: usize = 32 * 512;

type Driver = crate::usb::adapter::driver::Driver<Lan7800>;

impl Driver {
    /// A driver that has selected the configuration of a blank chip.
    fn attach() -> Self {
        Self::of(Lan7800::new(StoredAddress::None))
    }

    /// Both resets that every driver begins with, and the wait for their ends.
    fn reset(&mut self) {
        self.put(HW_CFG, HW_CFG_LRST);
        assert_eq!(self.get(HW_CFG) & HW_CFG_LRST, 0);
        self.set_bits(PMT_CTL, PMT_CTL_PHY_RST);
        let control = self.get(PMT_CTL) & (PMT_CTL_PHY_RST | PMT_CTL_READY);
        assert_eq!(control, PMT_CTL_READY);
    }

    fn mdio(&mut self, address: u32, register: u32) -> u16 {
        assert_eq!(self.get(MII_ACC) & MII_ACC_BUSY, 0);
        self.put(MII_ACC, address << 11 | register << 6 | MII_ACC_BUSY);
        assert_eq!(self.get(MII_ACC) & MII_ACC_BUSY, 0);
        u16::try_from(self.get(MII_DATA)).unwrap()
    }

    fn mdio_write(&mut self, register: u32, value: u16) {
        self.put(MII_DATA, value.into());
        self.put(
            MII_ACC,
            1 << 11 | register << 6 | MII_ACC_WRITE | MII_ACC_BUSY,
        );
        assert_eq!(self.get(MII_ACC) & MII_ACC_BUSY, 0);
    }

    fn eeprom(&mut self, address: u32) -> u8 {
        self.put(E2P_CMD, 1 << 31 | address);
        assert_eq!(
            self.get(E2P_CMD) & (1 << 31 | 1 << 10),
            0,
            "busy or timed out"
        );
        u8::try_from(self.get(E2P_DATA)).unwrap()
    }

    fn otp(&mut self, address: u32) -> u8 {
        if self.get(OTP_PWR_DN) & 1 != 0 {
            self.put(OTP_PWR_DN, 0);
            assert_eq!(self.get(OTP_PWR_DN) & 1, 0);
        }
        self.put(OTP_ADDR1, address >> 8);
        self.put(OTP_ADDR2, address & 0xff);
        self.put(OTP_FUNC_CMD, OTP_FUNC_CMD_READ);
        self.put(OTP_CMD_GO, OTP_CMD_GO_GO);
        assert_eq!(self.get(OTP_STATUS) & 1, 0, "busy");
        u8::try_from(self.get(OTP_RD_DATA)).unwrap()
    }

    /// The station address, and the perfect filter `number` for `mac`.
    fn set_station(&mut self, mac: Mac) {
        let [a, b, c, d, e, f] = mac.0;
        self.put(RX_ADDRL, u32::from_le_bytes([a, b, c, d]));
        self.put(RX_ADDRH, u32::from_le_bytes([e, f, 0, 0]));
        self.set_filter(0, mac, MAF_VALID);
    }

    fn set_filter(&mut self, number: u16, mac: Mac, flags: u32) {
        let [a, b, c, d, e, f] = mac.0;
        self.put(0x404 + 8 * number, u32::from_le_bytes([a, b, c, d]));
        self.put(0x400 + 8 * number, u32::from_le_bytes([e, f, 0, 0]) | flags);
    }
}

/// A frame for the station with `length` bytes in all.
fn frame(length: usize) -> Vec<u8> {
    frame_to(MAC.0, length)
}

/// A frame as a driver cuts it out of a transfer.
#[derive(Debug, PartialEq, Eq)]
struct Received {
    frame: Vec<u8>,
    a: u32,
    b: u32,
}

/// The frames of a transfer, whose FCS is checked and taken away when there is one.
fn frames_in(transfer: &[u8], with_fcs: bool) -> Vec<Received> {
    let word = |at: usize| u32::from_le_bytes(transfer[at..at + 4].try_into().unwrap());
    let mut frames = Vec::new();
    let mut at = 0;
    while at < transfer.len() {
        let (a, b) = (word(at), word(at + 4));
        assert_eq!(a & (1 << 22 | 1 << 18), 0, "errors");
        assert_eq!(transfer[at + 8..at + 10], [0, 0], "word C");
        let length = (a & 0x3fff) as usize;
        let contents = &transfer[at + 10..at + 10 + length];
        let frame = if with_fcs {
            let (frame, fcs) = contents.split_at(length - 4);
            assert_eq!(fcs, crc32fast::hash(frame).to_le_bytes(), "FCS");
            frame
        } else {
            contents
        };
        frames.push(Received {
            frame: frame.to_vec(),
            a,
            b,
        });
        at = (at + 10 + length).next_multiple_of(4);
    }
    frames
}

/// Only what the frames hold.
fn contents(received: Vec<Received>) -> Vec<Vec<u8>> {
    received.into_iter().map(|r| r.frame).collect()
}

/// A transfer of one frame.
fn command(frame: &[u8], flags: u32, b: u32) -> Vec<u8> {
    let a = u32::try_from(frame.len()).unwrap() | 1 << 22 | flags;
    [&a.to_le_bytes()[..], &b.to_le_bytes(), frame].concat()
}
