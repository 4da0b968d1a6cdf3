//! Who a client of the boot server is, and which clients a form of the server knows.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use crate::{Fingerprint, Peer};
use shakedown_base::mac::Mac;

/// A client of the boot server. Its text form is the name of its folder in the data root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    /// Known by its certificate, over HTTPS.
    Certificate(Fingerprint),
    /// Known by its hardware address, over plain HTTP.
    Machine(Mac),
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(fingerprint) => fingerprint.fmt(f),
            Self::Machine(mac) => mac.fmt(f),
        }
    }
}

/// How a form of the server tells its clients apart.
#[derive(Debug)]
pub(super) enum Identification {
    /// By the certificate of the connection.
    Certificate,
    /// By the address that last fetched a machine's script, since a script names its files by absolute paths.
    Address(Mutex<HashMap<Ipv4Addr, Mac>>),
}

impl Identification {
    /// The client at the other end, or why it is nobody.
    pub(super) fn client(&self, peer: &Peer) -> Result<Client, &'static str> {
        match self {
            Self::Certificate => peer
                .fingerprint
                .map(Client::Certificate)
                .ok_or("this needs a client certificate"),
            Self::Address(machines) => {
                let machines = machines.lock().unwrap_or_else(PoisonError::into_inner);
                machines
                    .get(peer.address.ip())
                    .copied()
                    .map(Client::Machine)
                    .ok_or(
                        "this address has not fetched /boot/<mac>/boot.ipxe of a known machine yet",
                    )
            }
        }
    }

    /// From now on this address is that machine's.
    pub(super) fn remember(&self, peer: &Peer, mac: Mac) {
        if let Self::Address(machines) = self {
            let mut machines = machines.lock().unwrap_or_else(PoisonError::into_inner);
            machines.insert(*peer.address.ip(), mac);
        }
    }
}
