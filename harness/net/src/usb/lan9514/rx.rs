//! From the network to bulk IN.
//!
//! Source: SMSC LAN9514 data sheet, chapters "RX Data Path", "RX Checksum Offload Engine" and the registers `HW_CFG` and
//! `BURST_CAP`. A frame goes to the host behind a status word (bits 29..16: its length with FCS) and is followed by its
//! FCS and, with the offload engine on, by two bytes of checksum that count in the length. In a burst of several frames
//! each begins at a multiple of four bytes.
//!
//! Frames are stored as they come and dressed on their way out, straight into the answer: one copy.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::checksum;
use super::descriptors::BULK_PACKET;
use shakedown_base::mac::Mac;

/// Bytes in the chip's receive FIFO.
const FIFO: usize = 20 * 1024;
/// Longest frame, with VLAN tag and without FCS.
pub(super) const LONGEST: usize = 1518;
/// Shortest frame on a real network, without FCS. The virtual one may leave the padding away.
const SHORTEST: usize = 60;
const ETHERNET_HEADER: usize = 14;
const STATUS_WORD: usize = 4;
const FCS: usize = 4;
const CHECKSUM: usize = 2;

const STS_BROADCAST: u32 = 1 << 13;
const STS_MULTICAST: u32 = 1 << 10;
/// The type field is a type, not a length.
const STS_FRAME_TYPE: u32 = 1 << 5;

/// How frames go to the host, from `HW_CFG`, `BURST_CAP` and `COE_CR`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dressing {
    /// Append the checksum.
    pub(super) checksum: bool,
    /// Several frames may share a transfer.
    pub(super) several: bool,
    /// Longest burst in bytes; a single frame may be longer.
    pub(super) cap: usize,
}

#[derive(Debug, Default)]
pub(super) struct Rx {
    fifo: VecDeque<Bytes>,
    used: usize,
    /// The rest of a burst that was larger than the host's request.
    rest: Bytes,
    /// The host still waits for the end of a transfer that filled its packets exactly.
    owes_end: bool,
}

/// What went into an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) frames: u64,
    /// Without status words, FCS and checksums.
    pub(super) bytes: u64,
}

impl Rx {
    /// Forgets every frame.
    pub(super) fn flush(&mut self) {
        *self = Self::default();
    }

    /// Bytes in use, as `RX_FIFO_INF` counts them.
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    /// True when the longest frame would fit.
    pub(super) const fn has_room(&self) -> bool {
        self.used + size(LONGEST) <= FIFO
    }

    /// Stores a frame.
    pub(super) fn push(&mut self, frame: Bytes) {
        self.used += size(frame.len());
        self.fifo.push_back(frame);
    }

    /// Appends at most `room` bytes to `out`; `None` when there is nothing to say.
    pub(super) fn fill(
        &mut self,
        room: usize,
        dressing: Dressing,
        out: &mut BytesMut,
    ) -> Option<Sent> {
        if std::mem::take(&mut self.owes_end) {
            return Some(Sent::default());
        }
        if room == 0 {
            return None;
        }
        if !self.rest.is_empty() {
            let part = self.rest.split_to(room.min(self.rest.len()));
            out.put_slice(&part);
            // Whoever fetched a burst in pieces cannot tell its end from another full piece.
            self.owes_end = self.rest.is_empty() && part.len().is_multiple_of(BULK_PACKET);
            return Some(Sent::default());
        }
        let start = out.len();
        let sent = self.burst(room, dressing, out)?;
        let length = out.len() - start;
        if length > room {
            self.rest = out.split_off(start + room).freeze();
        } else {
            self.owes_end = length < room && length.is_multiple_of(BULK_PACKET);
        }
        Some(sent)
    }

    /// Appends a frame, and as many more as are allowed and fit.
    fn burst(&mut self, room: usize, dressing: Dressing, out: &mut BytesMut) -> Option<Sent> {
        let start = out.len();
        let mut sent = Sent::default();
        while let Some(frame) = self.fifo.front() {
            let filled = out.len() - start;
            let gap = filled.next_multiple_of(4) - filled;
            if filled > 0 {
                let after = filled + gap + dressed(frame.len(), dressing);
                if !dressing.several || after > room.min(dressing.cap) {
                    break;
                }
            }
            out.put_bytes(0, gap);
            put(frame, dressing, out);
            self.used -= size(frame.len());
            sent.frames += 1;
            sent.bytes += frame.len() as u64;
            self.fifo.pop_front();
        }
        (sent.frames > 0).then_some(sent)
    }
}

/// What a frame takes up in the FIFO.
const fn size(frame: usize) -> usize {
    STATUS_WORD + (frame + FCS).next_multiple_of(4)
}

/// What a frame takes up on bulk IN.
fn dressed(frame: usize, dressing: Dressing) -> usize {
    STATUS_WORD + frame.max(SHORTEST) + FCS + if dressing.checksum { CHECKSUM } else { 0 }
}

fn put(frame: &[u8], dressing: Dressing, out: &mut BytesMut) {
    let length = dressed(frame.len(), dressing) - STATUS_WORD;
    out.reserve(STATUS_WORD + length);
    let kind = match destination(frame) {
        Some(Mac::BROADCAST) => STS_BROADCAST,
        Some(mac) if mac.is_multicast() => STS_MULTICAST,
        _ => 0,
    };
    let typed = frame
        .get(12..14)
        .is_some_and(|mut field| field.get_u16() >= 0x600);
    out.put_u32_le(
        u32::try_from(length).unwrap_or(0) << 16 | kind | if typed { STS_FRAME_TYPE } else { 0 },
    );
    let start = out.len();
    out.put_slice(frame);
    out.put_bytes(0, SHORTEST.saturating_sub(frame.len()));
    let fcs = out.get(start..).map_or(0, crc32fast::hash);
    out.put_u32_le(fcs);
    if dressing.checksum {
        out.put_u16_le(frame.get(ETHERNET_HEADER..).map_or(0, checksum::sum));
    }
}

/// The destination address, if the frame is long enough to have one.
pub(super) fn destination(frame: &[u8]) -> Option<Mac> {
    frame.first_chunk().copied().map(Mac)
}
