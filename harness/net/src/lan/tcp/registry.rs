//! Who listens where.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Mutex;

use tokio::sync::mpsc;

use super::TcpStream;
use crate::lan::Error;
use crate::lan::lock::lock;

/// Connections that may wait for `accept`, those whose handshake is not finished included.
const BACKLOG: usize = 128;

/// The listeners of a LAN.
#[derive(Debug, Default)]
pub(in crate::lan) struct Registry(Mutex<HashMap<SocketAddrV4, mpsc::Sender<TcpStream>>>);

/// A place in a listener's backlog.
pub(super) type Place = mpsc::OwnedPermit<TcpStream>;

/// What happens to a connection request.
#[derive(Debug)]
pub(super) enum Admission {
    /// It goes on.
    Place(Place),
    /// It is ignored, and the client tries again.
    Full,
    /// It is reset.
    Nobody,
}

impl Registry {
    /// Opens an address and port; the connections come out of the receiver.
    pub(in crate::lan) fn open(
        &self,
        local: SocketAddrV4,
    ) -> Result<mpsc::Receiver<TcpStream>, Error> {
        let mut listeners = lock(&self.0);
        if listeners.contains_key(&local) {
            return Err(Error::InUse(local));
        }
        let (sender, receiver) = mpsc::channel(BACKLOG);
        listeners.insert(local, sender);
        Ok(receiver)
    }

    pub(super) fn close(&self, local: SocketAddrV4) {
        lock(&self.0).remove(&local);
    }

    /// Ends all listeners.
    pub(in crate::lan) fn close_all(&self) {
        lock(&self.0).clear();
    }

    pub(super) fn admit(&self, local: SocketAddrV4) -> Admission {
        let Some(listener) = lock(&self.0).get(&local).cloned() else {
            return Admission::Nobody;
        };
        match listener.try_reserve_owned() {
            Ok(place) => Admission::Place(place),
            Err(mpsc::error::TrySendError::Full(_)) => Admission::Full,
            Err(mpsc::error::TrySendError::Closed(_)) => Admission::Nobody,
        }
    }

    /// Whether somebody listens at this address, on whatever port.
    pub(in crate::lan) fn has_host(&self, address: Ipv4Addr) -> bool {
        lock(&self.0).keys().any(|local| *local.ip() == address)
    }
}
