//! A driver's hands, for tests: registers by vendor requests, frames by bulk transfers as QEMU's DWC2 hands them over.

use bytes::{Bytes, BytesMut};

use super::endpoints::{BULK_IN, BULK_OUT};
use crate::usb::device::{BulkIn, Nic, Setup};

/// The other end of the frames in tests.
pub(in crate::usb) const PEER: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];

/// A driver for a chip.
pub(in crate::usb) struct Driver<D> {
    pub(in crate::usb) chip: D,
}

impl<D: Nic> Driver<D> {
    /// A driver that has selected the configuration.
    pub(in crate::usb) fn of(mut chip: D) -> Self {
        chip.configure(1).unwrap();
        Self { chip }
    }

    pub(in crate::usb) fn setup(request_type: u8, request: u8, index: u16) -> Setup {
        Setup {
            request_type,
            request,
            value: 0,
            index,
            length: 4,
        }
    }

    pub(in crate::usb) fn get(&mut self, register: u16) -> u32 {
        let mut reply = Vec::new();
        self.chip
            .control(&Self::setup(0xc0, 0xa1, register), &[], &mut reply)
            .unwrap();
        u32::from_le_bytes(reply.try_into().unwrap())
    }

    pub(in crate::usb) fn put(&mut self, register: u16, value: u32) {
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

    pub(in crate::usb) fn set_bits(&mut self, register: u16, bits: u32) {
        let value = self.get(register);
        self.put(register, value | bits);
    }

    /// A transfer as QEMU's DWC2 hands it over: cut into packets, if it is small.
    pub(in crate::usb) fn bulk_out(&mut self, transfer: &[u8]) {
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
    pub(in crate::usb) fn bulk_in(&mut self, room: usize) -> Option<Vec<u8>> {
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
    pub(in crate::usb) fn transfer(&mut self, room: usize) -> Option<Vec<u8>> {
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

    pub(in crate::usb) fn arrive(&mut self, frame: &[u8]) {
        assert!(self.chip.has_room());
        self.chip.receive(Bytes::copy_from_slice(frame));
    }

    pub(in crate::usb) fn sent(&mut self) -> Vec<Bytes> {
        std::iter::from_fn(|| self.chip.transmitted()).collect()
    }
}

/// A frame of `length` bytes in all.
pub(in crate::usb) fn frame_to(destination: [u8; 6], length: usize) -> Vec<u8> {
    let mut bytes = [destination, PEER].concat();
    bytes.extend([0x08, 0x00]);
    bytes.extend((bytes.len()..length).map(|i| (i * 7 % 251) as u8));
    bytes.truncate(length);
    bytes
}
