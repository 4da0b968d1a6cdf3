//! The Ethernet switch: learns which NIC is on which port, forwards, floods.
//!
//! The gateway is no port: each port hands the gateway's frames to the host itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::egress::Egress;
use super::frame::Mac;
use super::lock::lock;

/// Most hardware addresses that are remembered; a full table forgets everything, which costs some flooding.
const MAX_LEARNED: usize = 1024;

/// The ports of a LAN.
#[derive(Debug, Default)]
pub(super) struct Switch(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    ports: BTreeMap<u32, Arc<Egress>>,
    learned: HashMap<Mac, u32>,
}

impl Switch {
    pub(super) fn plug(&self, egress: Arc<Egress>) {
        lock(&self.0).ports.insert(egress.port, egress);
    }

    pub(super) fn unplug(&self, port: u32) {
        let mut table = lock(&self.0);
        table.ports.remove(&port);
        table.learned.retain(|_, at| *at != port);
    }

    /// Remembers that this NIC is on this port.
    pub(super) fn learn(&self, source: Mac, port: u32) {
        if !source.is_unicast() {
            return;
        }
        let learned = &mut lock(&self.0).learned;
        if learned.len() >= MAX_LEARNED && !learned.contains_key(&source) {
            learned.clear();
        }
        learned.insert(source, port);
    }

    /// The port that this NIC was last seen on.
    pub(super) fn port_of(&self, mac: Mac) -> Option<u32> {
        lock(&self.0).learned.get(&mac).copied()
    }

    /// Sends a frame to the port of its destination, or to all other ports when that is unknown or a group.
    pub(super) fn forward(&self, frame: &Bytes, destination: Mac, from: u32) {
        let targets: Vec<_> = {
            let table = lock(&self.0);
            let known = table.learned.get(&destination);
            let is_target = |port: &u32| *port != from && known.is_none_or(|known| known == port);
            let ports = table.ports.iter().filter(|(port, _)| is_target(port));
            ports.map(|(_, egress)| Arc::clone(egress)).collect()
        };
        for egress in targets {
            egress.deliver(frame.clone());
        }
    }
}
