//! The model under drivers written for the tests: they use registers and endpoints as U-Boot and Linux do.

mod linux;
mod properties;
mod uboot;

use bytes::BytesMut;

use super::registers::{ADDRH, ADDRL};
use super::*;
use crate::usb::adapter::driver::{PEER, frame_to};

const MAC: Mac = Mac([0xb8, 0x27, 0xeb, 0x12, 0x34, 0x56]);

/// Bytes that drivers ask for at once: the default burst cap of both.
const URB: usize = 37 * 512;

type Driver = crate::usb::adapter::driver::Driver<Lan9514>;

impl Driver {
    /// A driver that has selected the configuration.
    fn attach() -> Self {
        Self::of(Lan9514::new(MAC))
    }

    /// Both resets that every driver begins with, and the wait for their ends.
    fn reset(&mut self) {
        self.put(HW_CFG, HW_CFG_LRST);
        assert_eq!(self.get(HW_CFG) & HW_CFG_LRST, 0);
        self.put(PMT_CTRL, PMT_CTRL_PHY_RST);
        assert_eq!(self.get(PMT_CTRL) & PMT_CTRL_PHY_RST, 0);
    }

    fn mdio(&mut self, address: u32, register: u32) -> u16 {
        assert_eq!(self.get(MII_ACCESS) & MII_ACCESS_BUSY, 0);
        self.put(MII_ACCESS, address << 11 | register << 6 | MII_ACCESS_BUSY);
        assert_eq!(self.get(MII_ACCESS) & MII_ACCESS_BUSY, 0);
        u16::try_from(self.get(MII_DATA)).unwrap()
    }

    fn mdio_write(&mut self, register: u32, value: u16) {
        self.put(MII_DATA, value.into());
        self.put(
            MII_ACCESS,
            1 << 11 | register << 6 | MII_ACCESS_WRITE | MII_ACCESS_BUSY,
        );
        assert_eq!(self.get(MII_ACCESS) & MII_ACCESS_BUSY, 0);
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

    fn set_station(&mut self, mac: [u8; 6]) {
        let [a, b, c, d, e, f] = mac;
        self.put(ADDRL, u32::from_le_bytes([a, b, c, d]));
        self.put(ADDRH, u32::from_le_bytes([e, f, 0, 0]));
    }
}

/// A frame for the station with `length` bytes in all.
fn frame(length: usize) -> Vec<u8> {
    frame_to(MAC.0, length)
}

/// Frames as a driver cuts them out of a transfer: contents, and what follows the FCS.
fn frames_in(transfer: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < transfer.len() {
        let status = u32::from_le_bytes(transfer[at..at + 4].try_into().unwrap());
        assert_eq!(status & 1 << 15, 0, "error summary");
        let length = (status >> 16 & 0x3fff) as usize;
        let dressed = &transfer[at + 4..at + 4 + length];
        let fcs_at = frame_end(dressed);
        let (frame, rest) = dressed.split_at(fcs_at);
        let (fcs, rest) = rest.split_at(4);
        assert_eq!(fcs, crc32fast::hash(frame).to_le_bytes(), "FCS");
        frames.push((frame.to_vec(), rest.to_vec()));
        at = (at + 4 + length).next_multiple_of(4);
    }
    frames
}

/// Where the FCS begins: at the end, or two bytes before a checksum.
fn frame_end(dressed: &[u8]) -> usize {
    let plain = dressed.len() - 4;
    let is_fcs = |at: usize| dressed[at..at + 4] == crc32fast::hash(&dressed[..at]).to_le_bytes();
    if is_fcs(plain) { plain } else { plain - 2 }
}
