//! What the cables of a LAN and of its segments share: numbers, observers, and their end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use super::egress::Egress;
use super::observe::{Counters, Observed};
use shakedown_base::timeline::Timeline;
use shakedown_base::wire::{self, WireEnd};

/// Frames that a cable holds in each direction: more than two connections have under way, and what a guest sends in 60 ms at
/// wire speed while this process waits for a processor.
const CABLE: usize = 512;
/// Frames that an observer may be behind.
const OBSERVED: usize = 8192;

/// What all cables share. Clones share it, too.
#[derive(Debug, Clone)]
pub(super) struct Cables {
    observers: broadcast::Sender<Observed>,
    next_port: Arc<AtomicU32>,
    timeline: Timeline,
    runtime: Handle,
    running: CancellationToken,
}

/// A cable to a new switch port.
pub(super) struct Cable {
    /// The port's way out.
    pub(super) egress: Arc<Egress>,
    /// What arrives at the port.
    pub(super) frames: mpsc::Receiver<Bytes>,
    /// The other end, for a NIC.
    pub(super) far: WireEnd,
}

impl Cables {
    /// Of a LAN that begins. Its tasks end with `running`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn new(timeline: Timeline, running: CancellationToken) -> Self {
        Self {
            observers: broadcast::Sender::new(OBSERVED),
            next_port: Arc::default(),
            timeline,
            runtime: Handle::current(),
            running,
        }
    }

    /// Lays a cable from `who` to a port of a switch, which is called `segment`.
    pub(super) fn lay(&self, segment: &Arc<str>, who: &str, counters: &Arc<Counters>) -> Cable {
        let (near, far) = wire::cable(CABLE);
        let (wire, frames) = near.split();
        let egress = Arc::new(Egress {
            segment: Arc::clone(segment),
            port: self.next_port.fetch_add(1, Ordering::Relaxed),
            who: who.into(),
            wire,
            observers: self.observers.clone(),
            counters: Arc::clone(counters),
            timeline: self.timeline.clone(),
        });
        Cable {
            egress,
            frames,
            far,
        }
    }

    /// Sees every frame of every cable from now on.
    pub(super) fn observe(&self) -> broadcast::Receiver<Observed> {
        self.observers.subscribe()
    }

    /// Starts a task that ends with the LAN.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let running = self.running.clone();
        self.runtime.spawn(async move {
            running.run_until_cancelled_owned(task).await;
        });
    }
}
