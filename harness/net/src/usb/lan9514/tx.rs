//! From bulk OUT to the network.
//!
//! Source: SMSC LAN9514 data sheet, chapters "TX Data Path" and "TX Checksum Offload Engine". Before each frame stand the
//! command words A (bits 10..0: bytes that follow word B, bit 13 first segment, bit 12 last segment) and B (bits 10..0:
//! length of the frame, bit 14 checksum, bit 12 no padding). With the checksum bit, four more bytes precede the frame and
//! count in both lengths: where summing starts (low half) and where the sum goes (high half), from the frame's first byte.
//!
//! The input is a stream: QEMU's DWC2 hands transfers of up to 1536 bytes over in packets of the endpoint's size. A packet
//! shorter than that ends a transfer, and with it the frame.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use crate::usb::adapter::checksum;
use crate::usb::adapter::endpoints::BULK_PACKET;
use crate::usb::adapter::frame::SHORTEST;

const A_LENGTH: u32 = 0x7ff;
const A_OFFSET: u32 = 0x1f << 16;
const A_WHOLE: u32 = 1 << 13 | 1 << 12;
const B_LENGTH: u32 = 0x7ff;
const B_CHECKSUM: u32 = 1 << 14;
const B_NO_PADDING: u32 = 1 << 12;

/// Bytes of both command words.
const COMMAND: usize = 8;
/// Bytes of the checksum preamble.
const PREAMBLE: usize = 4;
/// Grows the buffer in steps that serve several frames, as sent frames keep theirs alive.
const STEP: usize = 32 * 1024;

#[derive(Debug, Default)]
pub(super) struct Tx {
    stream: BytesMut,
    frames: VecDeque<Bytes>,
    /// After malformed data, input is useless up to the end of the transfer.
    skipping: bool,
}

/// The data on bulk OUT cannot be a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("tx command words {a:#010x} {b:#010x} do not describe a whole frame")]
    Command { a: u32, b: u32 },
    #[error("a transfer ended {missing} bytes before its frame")]
    Short { missing: usize },
    #[error(
        "a checksum from byte {start} at byte {store} lies outside its frame of {length} bytes"
    )]
    Checksum {
        start: u16,
        store: u16,
        length: usize,
    },
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

    /// Takes a packet, `offload` saying whether the checksum engine is on. Returns how many checksums it put in; frames come out of
    /// [`Self::pop`].
    pub(super) fn push(&mut self, data: &[u8], offload: bool) -> Result<u64, Malformed> {
        let last = !data.len().is_multiple_of(BULK_PACKET) || data.is_empty();
        if self.skipping {
            self.skipping = !last;
            return Ok(0);
        }
        if self.stream.capacity() - self.stream.len() < data.len() {
            self.stream.reserve(data.len().max(STEP));
        }
        self.stream.extend_from_slice(data);
        let result = self
            .split(offload)
            .and_then(|(checksums, missing)| match missing {
                Some(missing) if last => Err(Malformed::Short { missing }),
                _ => Ok(checksums),
            });
        if result.is_err() {
            self.stream.clear();
            self.skipping = !last;
        }
        result
    }

    /// Cuts whole frames off the stream: checksums put in, and the bytes that an incomplete frame lacks.
    fn split(&mut self, offload: bool) -> Result<(u64, Option<usize>), Malformed> {
        let mut checksums = 0;
        loop {
            let mut head = &self.stream[..];
            let (Ok(a), Ok(b)) = (head.try_get_u32_le(), head.try_get_u32_le()) else {
                let missing = (!self.stream.is_empty()).then(|| COMMAND - self.stream.len());
                return Ok((checksums, missing));
            };
            let preamble = if b & B_CHECKSUM != 0 { PREAMBLE } else { 0 };
            let length = (a & A_LENGTH) as usize;
            if a & A_WHOLE != A_WHOLE
                || a & A_OFFSET != 0
                || a & A_LENGTH != b & B_LENGTH
                || length <= preamble
            {
                return Err(Malformed::Command { a, b });
            }
            if head.len() < length {
                return Ok((checksums, Some(length - head.len())));
            }
            self.stream.advance(COMMAND);
            let mut frame = self.stream.split_to(length);
            if preamble != 0 {
                let start = frame.get_u16_le();
                let store = frame.get_u16_le();
                if offload {
                    insert(&mut frame, start, store)?;
                    checksums += 1;
                }
            }
            if frame.len() < SHORTEST && b & B_NO_PADDING == 0 {
                frame.resize(SHORTEST, 0);
            }
            self.frames.push_back(frame.freeze());
        }
    }
}

/// Sums from `start` to the end and stores the complement at `store`. A sum of zero stays zero: the chip leaves it to drivers to use
/// the engine only where that is no harm.
fn insert(frame: &mut [u8], start: u16, store: u16) -> Result<(), Malformed> {
    let (from, at) = (usize::from(start), usize::from(store));
    let length = frame.len();
    let sum = frame.get(from..).map(checksum::sum);
    match (sum, frame.get_mut(at..at + 2)) {
        (Some(sum), Some(place)) => {
            place.copy_from_slice(&(!sum).to_le_bytes());
            Ok(())
        }
        _ => Err(Malformed::Checksum {
            start,
            store,
            length,
        }),
    }
}
