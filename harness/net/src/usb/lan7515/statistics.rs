//! The counters that the statistics request returns.
//!
//! Source: Microchip LAN7800 data sheet, chapter "Statistics Counters", and the order of the vendor request: 47 words, first of the
//! receiver, then of the transmitter. What cannot happen on a virtual network (FCS errors, collisions, low-power idle) stays 0. Lengths and bytes
//! count the FCS.

use crate::usb::adapter::frame::{FCS, SHORTEST, destination};
use shakedown_base::mac::Mac;

const COUNTERS: usize = 47;
/// Frame counters have 20 bits, byte counters 32.
const FRAME_COUNTER: u32 = 0xf_ffff;

const RX_OVERSIZE: usize = 5;
const RX_DROPPED: usize = 6;
const RX: Block = Block {
    bytes: 7,
    frames: 10,
    sizes: 14,
};
const TX: Block = Block {
    bytes: 31,
    frames: 34,
    sizes: 38,
};

/// Where the counters of one direction begin. Bytes and frames are for unicast, broadcast and multicast.
struct Block {
    bytes: usize,
    frames: usize,
    sizes: usize,
}

#[derive(Debug)]
pub(super) struct Statistics([u32; COUNTERS]);

impl Default for Statistics {
    fn default() -> Self {
        Self([0; COUNTERS])
    }
}

impl Statistics {
    /// A frame was stored for the host.
    pub(super) fn received(&mut self, frame: &[u8]) {
        self.count(&RX, frame);
    }

    /// A frame went onto the network.
    pub(super) fn sent(&mut self, frame: &[u8]) {
        self.count(&TX, frame);
    }

    /// A frame was too long for the receiver.
    pub(super) fn oversize(&mut self) {
        self.add(RX_OVERSIZE, 1, FRAME_COUNTER);
    }

    /// A frame found no room.
    pub(super) fn dropped(&mut self) {
        self.add(RX_DROPPED, 1, FRAME_COUNTER);
    }

    /// The answer to the vendor request.
    pub(super) fn bytes(&self) -> impl Iterator<Item = u8> {
        self.0.iter().flat_map(|counter| counter.to_le_bytes())
    }

    fn count(&mut self, block: &Block, frame: &[u8]) {
        let length = frame.len().max(SHORTEST) + FCS;
        let cast = match destination(frame) {
            Some(Mac::BROADCAST) => 1,
            Some(mac) if mac.is_multicast() => 2,
            _ => 0,
        };
        let size = match length {
            ..=64 => 0,
            65..=127 => 1,
            128..=255 => 2,
            256..=511 => 3,
            512..=1023 => 4,
            1024..=1518 => 5,
            1519.. => 6,
        };
        let bytes = u32::try_from(length).unwrap_or(u32::MAX);
        self.add(block.bytes + cast, bytes, u32::MAX);
        self.add(block.frames + cast, 1, FRAME_COUNTER);
        self.add(block.sizes + size, 1, FRAME_COUNTER);
    }

    fn add(&mut self, counter: usize, amount: u32, mask: u32) {
        if let Some(place) = self.0.get_mut(counter) {
            *place = place.wrapping_add(amount) & mask;
        }
    }
}
