//! A network cable: two ends that carry Ethernet frames between a NIC model and a switch.
//!
//! Frames are whole Ethernet II frames without preamble and without FCS, at most 1514 bytes (1518 with a VLAN tag).
//! A cable has a bounded depth; a frame that finds it full is dropped, as a switch port with a full queue drops it.

use bytes::Bytes;
use tokio::sync::mpsc;

/// One end of a cable.
#[derive(Debug)]
pub struct WireEnd {
    tx: WireSender,
    rx: mpsc::Receiver<Bytes>,
}

/// The sending half of an end; clones share the same queue.
#[derive(Debug, Clone)]
pub struct WireSender(mpsc::Sender<Bytes>);

/// A cable whose two directions each hold at most `depth` frames.
#[must_use]
pub fn cable(depth: usize) -> (WireEnd, WireEnd) {
    let (a_tx, b_rx) = mpsc::channel(depth);
    let (b_tx, a_rx) = mpsc::channel(depth);
    let end = |tx, rx| WireEnd {
        tx: WireSender(tx),
        rx,
    };
    (end(a_tx, a_rx), end(b_tx, b_rx))
}

impl WireEnd {
    /// Sends a frame; `false` when it was dropped because the queue is full or the other end is gone.
    pub fn send(&self, frame: Bytes) -> bool {
        self.tx.send(frame)
    }

    /// The next frame, or `None` once the other end is gone.
    pub async fn recv(&mut self) -> Option<Bytes> {
        self.rx.recv().await
    }

    /// The next frame if one is waiting.
    pub fn try_recv(&mut self) -> Option<Bytes> {
        self.rx.try_recv().ok()
    }

    /// The two halves, for owners that send and receive in different places.
    #[must_use]
    pub fn split(self) -> (WireSender, mpsc::Receiver<Bytes>) {
        (self.tx, self.rx)
    }
}

impl WireSender {
    /// Sends a frame; `false` when it was dropped because the queue is full or the other end is gone.
    pub fn send(&self, frame: Bytes) -> bool {
        self.0.try_send(frame).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cable_drops_and_an_orphaned_one_ends() {
        let (a, mut b) = cable(1);
        assert!(a.send(Bytes::from_static(b"first")));
        assert!(!a.send(Bytes::from_static(b"second")));
        assert_eq!(b.try_recv().unwrap(), "first");
        drop(a);
        assert!(b.try_recv().is_none());
        assert!(!b.send(Bytes::from_static(b"nobody")));
    }
}
