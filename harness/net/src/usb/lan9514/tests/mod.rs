//! The model under drivers written for the tests: they use registers and endpoints as U-Boot and Linux do.

mod linux;
mod properties;
mod uboot;

use bytes::{Bytes, BytesMut};

use super::registers::{ADDRH, ADDRL};
use super::*;

const MAC: Mac = Mac([0xb8, 0x27, 0xeb, 0x12, 0x34, 0x56]);
const PEER: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];

/// Bytes that drivers ask for at once: the default burst cap of both.
const URB: usize = 37 * 512;

/// A driver's hands.
struct Driver {
    chip: Lan9514,
}

impl Driver {
    /// A driver that has selected the configuration.
    fn attach() -> Self {
        let mut chip = Lan9514::new(MAC);
        chip.configure(1).unwrap();
        Self { chip }
    }

    fn setup(request_type: u8, request: u8, index: u16) -> Setup {
        Setup {
            request_type,
            request,
            value: 0,
            index,
            length: 4,
        }
    }

    fn get(&mut self, register: u16) -> u32 {
        let mut reply = Vec::new();
        self.chip
            .control(&Self::setup(0xc0, 0xa1, register), &[], &mut reply)
            .unwrap();
        u32::from_le_bytes(reply.try_into().unwrap())
    }

    fn put(&mut self, register: u16, value: u32) {
        let mut reply = Vec::new();
        self.chip
            .control(
                &Self::setup(0x40, 0xa0, register),
                &value.to_le_bytes(),
                &mut reply,
            )
            .unwrap();
        assert!(reply.is_empty());
    }

    fn set_bits(&mut self, register: u16, bits: u32) {
        let value = self.get(register);
        self.put(register, value | bits);
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

    /// A transfer as QEMU's DWC2 hands it over: cut into packets, if it is small.
    fn bulk_out(&mut self, transfer: &[u8]) {
        let size = if transfer.len() > 1536 {
            transfer.len()
        } else {
            512
        };
        for packet in transfer.chunks(size) {
            self.chip.bulk_out(BULK_OUT, packet).unwrap();
        }
    }

    /// What the chip answers to one request, `None` if it stays open.
    fn bulk_in(&mut self, room: usize) -> Option<Vec<u8>> {
        let mut out = BytesMut::new();
        match self.chip.bulk_in(BULK_IN, room, &mut out).unwrap() {
            BulkIn::Answered => Some(out.to_vec()),
            BulkIn::Pending => {
                assert!(out.is_empty());
                None
            }
        }
    }

    /// A whole transfer, as the DWC2 gathers it: up to a packet that is not full.
    fn transfer(&mut self, room: usize) -> Option<Vec<u8>> {
        let mut all = self.bulk_in(room)?;
        while all.len() < room && all.len().is_multiple_of(512) && !all.is_empty() {
            let part = self
                .bulk_in(room - all.len())
                .expect("the end of a transfer must not wait");
            if part.is_empty() {
                break;
            }
            all.extend(part);
        }
        Some(all)
    }

    fn arrive(&mut self, frame: &[u8]) {
        assert!(self.chip.has_room());
        self.chip.receive(Bytes::copy_from_slice(frame));
    }

    fn sent(&mut self) -> Vec<Bytes> {
        std::iter::from_fn(|| self.chip.transmitted()).collect()
    }
}

/// A frame for the station with `length` bytes in all.
fn frame(length: usize) -> Vec<u8> {
    frame_to(MAC.0, length)
}

fn frame_to(destination: [u8; 6], length: usize) -> Vec<u8> {
    let mut bytes = [destination, PEER].concat();
    bytes.extend([0x08, 0x00]);
    bytes.extend((bytes.len()..length).map(|i| (i * 7 % 251) as u8));
    bytes.truncate(length);
    bytes
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
