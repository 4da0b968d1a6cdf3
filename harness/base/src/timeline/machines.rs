//! Whose the machines on the LAN are: servers know a client by its address, and the record names its board.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::BoardId;
use crate::mac::Mac;

/// The machines of all boards, by their addresses.
#[derive(Debug, Default)]
pub(super) struct Machines {
    owners: BTreeMap<Mac, Owner>,
    addresses: BTreeMap<Ipv4Addr, Mac>,
}

/// The board that a machine belongs to.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) board: Option<BoardId>,
    /// The boot of it that is under way.
    pub(super) boot: Arc<AtomicU32>,
}

impl Machines {
    pub(super) fn add(&mut self, mac: Mac, owner: Owner) {
        self.owners.insert(mac, owner);
    }

    pub(super) fn settle(&mut self, mac: Mac, address: Ipv4Addr) {
        self.addresses.insert(address, mac);
    }

    pub(super) fn owner(&self, mac: Mac) -> Option<Owner> {
        self.owners.get(&mac).cloned()
    }

    pub(super) fn owner_at(&self, address: Ipv4Addr) -> Option<Owner> {
        self.owner(*self.addresses.get(&address)?)
    }
}
