//! From bulk OUT to the network.
//!
//! Source: Microchip LAN7800 data sheet, chapter "TX Command Words". Before each frame stand words A (bits 19..0: length, then what to do
//! with the frame) and B (bits 29..16: segment size, bits 15..0: VLAN tag). In a transfer of several frames each begins at a multiple
//! of four bytes.
//!
//! The input is a stream: QEMU's DWC2 hands transfers of up to 1536 bytes over in packets of the endpoint's size. A packet shorter
//! than that ends a transfer. U-Boot leaves the zero-length packet away that would end a transfer of full packets; its only frame then
//! ends at a multiple of four as well.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::offload::{self, OffloadError};
use super::rx::set_vlan_tag;
use crate::usb::adapter::endpoints::BULK_PACKET;
use crate::usb::adapter::frame::{HEADER, SHORTEST};

const A_LENGTH: u32 = 0xf_ffff;
/// Replace the VLAN tag.
const A_RVTG: u32 = 1 << 23;
/// Insert a VLAN tag.
const A_IVTG: u32 = 1 << 24;
/// TCP or UDP checksum.
const A_TPE: u32 = 1 << 25;
/// IPv4 checksum.
const A_IPE: u32 = 1 << 26;
/// Large send offload.
const A_LSO: u32 = 1 << 27;
const B_MSS: u32 = 0x3fff;
const B_TAG: u32 = 0xffff;

/// Bytes of both command words.
const COMMAND: usize = 8;
/// Longest frame: the transmit FIFO's 12 KiB.
const LONGEST: usize = 12 * 1024;
/// Longest frame for large send offload: the longest IP datagram in a tagged frame.
const LONGEST_LSO: usize = 0xffff + HEADER + super::rx::TAG;
/// Grows the buffer in steps that serve several frames, as sent frames keep theirs alive.
const STEP: usize = 32 * 1024;

#[derive(Debug, Default)]
pub(super) struct Tx {
    stream: BytesMut,
    /// Where in its transfer the stream begins.
    position: usize,
    frames: VecDeque<Bytes>,
    /// After malformed data, input is useless up to the end of the transfer.
    skipping: bool,
}

/// The data on bulk OUT cannot be a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("tx command words {a:#010x} {b:#010x} do not describe a frame")]
    Command { a: u32, b: u32 },
    #[error("a transfer ended {missing} bytes before its frame")]
    Short { missing: usize },
    #[error("{0}")]
    Offload(#[from] OffloadError),
}

impl Tx {
    /// Forgets everything not yet sent.
    pub(super) fn flush(&mut self) {
        *self = Self::default();
    }

    /// The next whole frame.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        self.frames.pop_front()
    }

    /// Takes a packet. Returns how many checksums were put into frames; those come out of [`Self::pop`].
    pub(super) fn push(&mut self, data: &[u8]) -> Result<u64, Malformed> {
        let last = !data.len().is_multiple_of(BULK_PACKET) || data.is_empty();
        if self.skipping {
            self.skipping = !last;
            return Ok(0);
        }
        if self.stream.capacity() - self.stream.len() < data.len() {
            self.stream.reserve(data.len().max(STEP));
        }
        self.stream.extend_from_slice(data);
        let result = self.split().and_then(|(checksums, missing)| match missing {
            Some(missing) if last => Err(Malformed::Short { missing }),
            _ => Ok(checksums),
        });
        if result.is_err() || last {
            self.stream.clear();
            self.position = 0;
        }
        self.skipping = result.is_err() && !last;
        result
    }

    /// Cuts whole frames off the stream: checksums put in, and the bytes that an incomplete frame lacks.
    fn split(&mut self) -> Result<(u64, Option<usize>), Malformed> {
        let mut checksums = 0;
        loop {
            let gap = self.position.next_multiple_of(4) - self.position;
            if self.stream.len() <= gap {
                return Ok((checksums, None));
            }
            self.skip(gap);
            let mut head = &self.stream[..];
            let (Ok(a), Ok(b)) = (head.try_get_u32_le(), head.try_get_u32_le()) else {
                return Ok((checksums, Some(COMMAND - self.stream.len())));
            };
            let length = (a & A_LENGTH) as usize;
            let most = if a & A_LSO == 0 { LONGEST } else { LONGEST_LSO };
            if !(HEADER..=most).contains(&length) {
                return Err(Malformed::Command { a, b });
            }
            if head.len() < length {
                return Ok((checksums, Some(length - head.len())));
            }
            self.skip(COMMAND);
            let frame = self.stream.split_to(length);
            self.position += length;
            checksums += self.finish(frame, a, b)?;
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.stream.advance(bytes);
        self.position += bytes;
    }

    /// Does with a frame what its command words ask for. Returns how many checksums it got.
    fn finish(&mut self, mut frame: BytesMut, a: u32, b: u32) -> Result<u64, OffloadError> {
        if a & (A_IVTG | A_RVTG) != 0 {
            let tag = (b & B_TAG) as u16;
            set_vlan_tag(&mut frame, tag, a & A_RVTG != 0);
        }
        if a & A_LSO != 0 {
            let pieces = offload::segment(&frame, (b >> 16 & B_MSS) as usize)?;
            let checksums = pieces.len() as u64;
            self.frames.extend(pieces);
            return Ok(checksums);
        }
        let checksums = if a & (A_TPE | A_IPE) == 0 {
            0
        } else {
            offload::insert(&mut frame, a & A_IPE != 0, a & A_TPE != 0)?
        };
        if frame.len() < SHORTEST {
            frame.resize(SHORTEST, 0);
        }
        self.frames.push_back(frame.freeze());
        Ok(checksums)
    }
}
