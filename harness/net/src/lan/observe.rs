//! What can be seen of a LAN from outside: every frame, and counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

/// A frame on one of the LAN's cables.
#[derive(Debug, Clone)]
pub struct Observed {
    /// When, on the timeline's clock.
    pub at: Duration,
    /// The switch: [`Lan::SEGMENT`](super::Lan::SEGMENT), or the name of a [`Segment`](super::Segment).
    pub segment: Arc<str>,
    /// The switch port, counted from 0 in the order in which cables were plugged in, whatever the segment.
    pub port: u32,
    /// Who is plugged in there; empty if nobody has said.
    pub who: Arc<str>,
    /// Which way the frame went.
    pub direction: Direction,
    /// The whole Ethernet frame without FCS.
    pub frame: Bytes,
}

/// Which way a frame went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Sent by the NIC on this port.
    FromGuest,
    /// Put onto the cable towards the NIC on this port.
    ToGuest,
}

/// Counters since the LAN was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Frames sent by guests.
    pub frames_in: u64,
    /// Their bytes, without FCS.
    pub bytes_in: u64,
    /// Frames put onto cables towards guests.
    pub frames_out: u64,
    /// Their bytes, without FCS.
    pub bytes_out: u64,
    /// Frames lost because the cable towards the guest was full.
    pub overflowed: u64,
    /// Frames or datagrams from guests that make no sense.
    pub malformed: u64,
    /// IPv4 fragments from guests, which are put together.
    pub fragments: u64,
    /// TCP connections that reached a listener.
    pub connections: u64,
    /// TCP connections that exist now, those that are being opened or closed included.
    pub open: u64,
    /// TCP connection requests that were reset because nobody listens there.
    pub refused: u64,
}

/// The counters while they count.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) frames_in: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) frames_out: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    pub(super) overflowed: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) fragments: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) open: AtomicU64,
    pub(super) refused: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> Statistics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            frames_in: get(&self.frames_in),
            bytes_in: get(&self.bytes_in),
            frames_out: get(&self.frames_out),
            bytes_out: get(&self.bytes_out),
            overflowed: get(&self.overflowed),
            malformed: get(&self.malformed),
            fragments: get(&self.fragments),
            connections: get(&self.connections),
            open: get(&self.open),
            refused: get(&self.refused),
        }
    }
}

/// Adds to a counter and returns what it was before.
pub(super) fn count(counter: &AtomicU64, by: usize) -> u64 {
    counter.fetch_add(by as u64, Ordering::Relaxed)
}

/// Takes one from a counter.
pub(super) fn count_down(counter: &AtomicU64) {
    counter.fetch_sub(1, Ordering::Relaxed);
}
