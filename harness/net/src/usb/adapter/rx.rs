//! The receive FIFO, and how it is handed over on bulk IN.
//!
//! Source: data sheets of LAN9514 and LAN7800, chapters "RX Data Path" and "FIFO Controller", registers `HW_CFG` and `BURST_CAP`. In a
//! burst of several frames each begins at a multiple of four bytes. A transfer that fills its last packet is ended by a zero-length one.
//!
//! Frames are stored as they come and framed on their way out, straight into the answer: one copy.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use super::endpoints::BULK_PACKET;

/// How a chip puts a frame into a transfer.
pub(in crate::usb) trait RxFraming {
    /// Bytes that `frame` takes on bulk IN.
    fn length(&self, frame: &[u8]) -> usize;

    /// Appends `frame` with all that goes before and behind it: exactly [`Self::length`] bytes.
    fn put(&self, frame: &[u8], out: &mut BytesMut);
}

/// Which frames may share a transfer.
#[derive(Debug, Clone, Copy)]
pub(in crate::usb) struct Burst {
    /// Several frames may.
    pub(in crate::usb) several: bool,
    /// Longest burst in bytes; a single frame may be longer.
    pub(in crate::usb) cap: usize,
}

/// A FIFO of a fixed size.
#[derive(Debug)]
pub(in crate::usb) struct RxFifo {
    capacity: usize,
    /// Bytes of the words before a frame.
    words: usize,
    fifo: VecDeque<Bytes>,
    used: usize,
    /// The rest of a burst that was larger than the host's request.
    rest: Bytes,
    /// The host still waits for the end of a transfer that filled its packets exactly.
    needs_zero_length_packet: bool,
}

/// What went into an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::usb) struct Sent {
    pub(in crate::usb) frames: u64,
    /// As they came from the network.
    pub(in crate::usb) bytes: u64,
}

impl RxFifo {
    /// An empty FIFO of `capacity` bytes, in which a frame takes `words` bytes more than itself and its FCS.
    pub(in crate::usb) const fn new(capacity: usize, words: usize) -> Self {
        Self {
            capacity,
            words,
            fifo: VecDeque::new(),
            used: 0,
            rest: Bytes::new(),
            needs_zero_length_packet: false,
        }
    }

    /// Forgets every frame.
    pub(in crate::usb) fn flush(&mut self) {
        *self = Self::new(self.capacity, self.words);
    }

    /// Bytes in use.
    pub(in crate::usb) const fn used(&self) -> usize {
        self.used
    }

    /// True when a frame of this length, without FCS, would fit.
    pub(in crate::usb) const fn has_room(&self, frame: usize) -> bool {
        self.used + self.size(frame) <= self.capacity
    }

    /// True when there is nothing to hand over.
    pub(in crate::usb) fn is_idle(&self) -> bool {
        self.fifo.is_empty() && self.rest.is_empty() && !self.needs_zero_length_packet
    }

    /// Stores a frame.
    pub(in crate::usb) fn push(&mut self, frame: Bytes) {
        self.used += self.size(frame.len());
        self.fifo.push_back(frame);
    }

    /// Appends at most `room` bytes to `out`; `None` when there is nothing to say.
    pub(in crate::usb) fn fill(
        &mut self,
        room: usize,
        burst: Burst,
        framing: &impl RxFraming,
        out: &mut BytesMut,
    ) -> Option<Sent> {
        if std::mem::take(&mut self.needs_zero_length_packet) {
            return Some(Sent::default());
        }
        if room == 0 {
            return None;
        }
        if !self.rest.is_empty() {
            let part = self.rest.split_to(room.min(self.rest.len()));
            out.put_slice(&part);
            // A guest that fetched a burst in pieces cannot tell its end from another full piece.
            self.needs_zero_length_packet =
                self.rest.is_empty() && part.len().is_multiple_of(BULK_PACKET);
            return Some(Sent::default());
        }
        let start = out.len();
        let sent = self.burst(room, burst, framing, out)?;
        let length = out.len() - start;
        if length > room {
            self.rest = out.split_off(start + room).freeze();
        } else {
            self.needs_zero_length_packet = length < room && length.is_multiple_of(BULK_PACKET);
        }
        Some(sent)
    }

    /// Appends a frame, and as many more as are allowed and fit.
    fn burst(
        &mut self,
        room: usize,
        burst: Burst,
        framing: &impl RxFraming,
        out: &mut BytesMut,
    ) -> Option<Sent> {
        let start = out.len();
        let mut sent = Sent::default();
        while let Some(frame) = self.fifo.front() {
            let filled = out.len() - start;
            let gap = filled.next_multiple_of(4) - filled;
            if filled > 0 {
                let after = filled + gap + framing.length(frame);
                if !burst.several || after > room.min(burst.cap) {
                    break;
                }
            }
            out.put_bytes(0, gap);
            out.reserve(framing.length(frame));
            framing.put(frame, out);
            self.used -= self.size(frame.len());
            sent.frames += 1;
            sent.bytes += frame.len() as u64;
            self.fifo.pop_front();
        }
        (sent.frames > 0).then_some(sent)
    }

    /// What a frame takes up.
    const fn size(&self, frame: usize) -> usize {
        self.words + (frame + super::frame::FCS).next_multiple_of(4)
    }
}
