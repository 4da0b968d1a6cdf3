//! The way out of a switch port: the one place that every frame towards a NIC passes.

use std::sync::Arc;

use bytes::Bytes;
use smoltcp::wire::EthernetFrame;
use tokio::sync::broadcast;

use super::frame::Mac;
use super::observe::{Counters, Direction, Observed, count};
use shakedown_base::timeline::Timeline;
use shakedown_base::wire::WireSender;

/// The way out of a port.
#[derive(Debug)]
pub(super) struct Egress {
    /// The name of the switch that the port is of.
    pub(super) segment: Arc<str>,
    pub(super) port: u32,
    /// Who is plugged in.
    pub(super) who: Arc<str>,
    pub(super) wire: WireSender,
    pub(super) observers: broadcast::Sender<Observed>,
    pub(super) counters: Arc<Counters>,
    pub(super) timeline: Timeline,
}

impl Egress {
    /// Counts a frame that has arrived at the port, and shows it to observers. Returns its source and its destination; `None` if it is too short
    /// for an Ethernet header.
    pub(super) fn arrived(&self, frame: &Bytes) -> Option<(Mac, Mac)> {
        self.observe(Direction::FromGuest, frame);
        count(&self.counters.frames_in, 1);
        count(&self.counters.bytes_in, frame.len());
        let Ok(ethernet) = EthernetFrame::new_checked(&frame[..]) else {
            count(&self.counters.malformed, 1);
            return None;
        };
        Some((ethernet.src_addr(), ethernet.dst_addr()))
    }

    /// Puts a frame onto the cable, or drops it when the cable is full.
    pub(super) fn deliver(&self, frame: Bytes) {
        let length = frame.len();
        self.observe(Direction::ToGuest, &frame);
        if self.wire.send(frame) {
            count(&self.counters.frames_out, 1);
            count(&self.counters.bytes_out, length);
        } else {
            count(&self.counters.overflowed, 1);
        }
    }

    /// How many frames the cable takes now.
    pub(super) fn room(&self) -> usize {
        self.wire.room()
    }

    /// Shows a frame to the LAN's observer.
    fn observe(&self, direction: Direction, frame: &Bytes) {
        if self.observers.receiver_count() > 0 {
            // Fails when the last observer has just gone.
            let _ = self.observers.send(Observed {
                at: self.timeline.elapsed(),
                segment: Arc::clone(&self.segment),
                port: self.port,
                who: Arc::clone(&self.who),
                direction,
                frame: frame.clone(),
            });
        }
    }
}
