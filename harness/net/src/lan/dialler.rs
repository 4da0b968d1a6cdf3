//! Connections from the gateway to guests, for who is outside of the LAN.
//!
//! A guest is known by its hardware address, which DHCP and the switch have seen, so ARP is not needed.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use smoltcp::wire::EthernetAddress;
use tokio::time::timeout;

use super::lock::lock;
use super::switch::Switch;
use super::tcp::{Link, TcpStream};
use shakedown_base::mac::Mac;

/// How long a guest may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The TCP engines of a LAN, by switch port.
#[derive(Debug, Default)]
pub(super) struct Links(Mutex<HashMap<u32, Weak<Link>>>);

impl Links {
    /// There is a new port. Those that are gone are forgotten.
    pub(super) fn add(&self, port: u32, link: &Arc<Link>) {
        let mut links = lock(&self.0);
        links.retain(|_, link| link.strong_count() > 0);
        links.insert(port, Arc::downgrade(link));
    }

    fn of(&self, port: u32) -> Option<Arc<Link>> {
        lock(&self.0).get(&port)?.upgrade()
    }
}

/// Dials guests from the address of the gateway. Clones are of the same LAN, and hold nothing of it up.
#[derive(Debug, Clone)]
pub struct Dialler {
    pub(super) gateway: Ipv4Addr,
    pub(super) switch: Arc<Switch>,
    pub(super) links: Arc<Links>,
}

impl Dialler {
    /// Connects to a port of the guest with this hardware address. The guest may take 10 s to answer.
    ///
    /// # Errors
    /// [`io::ErrorKind::HostUnreachable`] when no NIC of that address has sent anything, [`io::ErrorKind::ConnectionRefused`] when
    /// nobody listens there, [`io::ErrorKind::TimedOut`] when nothing comes back, [`io::ErrorKind::QuotaExceeded`] when there are too many
    /// connections.
    pub async fn connect(&self, guest: Mac, to: SocketAddrV4) -> io::Result<TcpStream> {
        let mac = EthernetAddress(guest.0);
        let port = self.switch.port_of(mac);
        let link = port.and_then(|port| self.links.of(port));
        let link = link.ok_or(io::ErrorKind::HostUnreachable)?;
        let dialled = link.dial(self.gateway, to, mac);
        let (stream, established) = dialled.ok_or(io::ErrorKind::QuotaExceeded)?;
        match timeout(PATIENCE, established).await {
            Ok(Ok(())) => Ok(stream),
            Ok(Err(_)) => Err(io::ErrorKind::ConnectionRefused.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}
