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

    /// How many frames the queue can take at this moment.
    #[must_use]
    pub fn room(&self) -> usize {
        self.0.capacity()
    }

    /// Waits until the queue can take `frames` frames, or as many as it holds when that is less. `false` when the other end is
    /// gone. While somebody waits here, the room that has come free so far is kept from other senders.
    pub async fn wait_for_room(&self, frames: usize) -> bool {
        let frames = frames.min(self.0.max_capacity());
        self.0.reserve_many(frames).await.is_ok()
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

    #[tokio::test]
    async fn a_sender_can_wait_for_room() {
        let (a, mut b) = cable(2);
        let (tx, _rx) = a.split();
        assert!(tx.send(Bytes::from_static(b"one")) && tx.send(Bytes::from_static(b"two")));
        assert_eq!(tx.room(), 0);
        let waiter = tokio::spawn({
            let tx = tx.clone();
            async move { tx.wait_for_room(100).await }
        });
        assert_eq!(b.recv().await.unwrap(), "one");
        assert_eq!(b.recv().await.unwrap(), "two");
        assert!(waiter.await.unwrap());
        assert_eq!(tx.room(), 2, "waiting takes nothing away");
        drop(b);
        assert!(!tx.wait_for_room(1).await);
    }
}
