//! A second segment: a switch that nothing of ours is on.
//!
//! A guest on it reaches the other guests on it, and nothing else. The gateway, DHCP, the names and the servers of the
//! LAN are not on it. Traffic between it and the LAN goes through a guest that has a NIC on both.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::cables::Cables;
use super::egress::Egress;
use super::observe::Counters;
use super::switch::Switch;
use shakedown_base::wire::WireEnd;

/// A segment without a host. It lasts as long as its LAN; observers of the LAN see its frames, too.
#[derive(Debug)]
pub struct Segment {
    name: Arc<str>,
    switch: Arc<Switch>,
    counters: Arc<Counters>,
    cables: Cables,
}

impl Segment {
    pub(super) fn new(name: &str, cables: Cables) -> Self {
        Self {
            name: name.into(),
            switch: Arc::default(),
            counters: Arc::default(),
            cables,
        }
    }

    /// Plugs a cable into a new switch port and returns its other end, for the NIC of `who`. The port is gone when that end is dropped.
    #[must_use]
    pub fn attach_as(&self, who: &str) -> WireEnd {
        let cable = self.cables.lay(&self.name, who, &self.counters);
        self.switch.plug(Arc::clone(&cable.egress));
        let port = Port {
            egress: cable.egress,
            switch: Arc::clone(&self.switch),
        };
        self.cables.spawn(port.run(cable.frames));
        cable.far
    }
}

/// A port of a segment without a host.
struct Port {
    egress: Arc<Egress>,
    switch: Arc<Switch>,
}

impl Port {
    /// The port's task. It ends with the LAN or when the NIC drops its end of the cable.
    async fn run(self, mut cable: mpsc::Receiver<Bytes>) {
        while let Some(frame) = cable.recv().await {
            let Some((source, destination)) = self.egress.arrived(&frame) else {
                continue;
            };
            self.switch.learn(source, self.egress.port);
            self.switch.forward(&frame, destination, self.egress.port);
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.switch.unplug(self.egress.port);
    }
}
