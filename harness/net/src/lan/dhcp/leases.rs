//! Who has which address.
//!
//! A machine is known by its hardware address alone: U-Boot, iPXE and Linux send different client identifiers from the same
//! board, and a board should keep its address from power-on to its container (RFC 2131, section 4.2, would tell them apart).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::lan::frame::Mac;

/// How long an address that was offered is kept for the client.
const OFFER: Duration = Duration::from_secs(60);

/// The address pool. Times are since the LAN was started.
#[derive(Debug)]
pub(super) struct Leases {
    pool: RangeInclusive<Ipv4Addr>,
    /// How long a lease lasts.
    duration: Duration,
    held: BTreeMap<Mac, Lease>,
    /// Addresses that somebody uses whom this server does not know.
    declined: BTreeSet<Ipv4Addr>,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    address: Ipv4Addr,
    until: Duration,
}

impl Leases {
    pub(super) fn new(pool: RangeInclusive<Ipv4Addr>, duration: Duration) -> Self {
        Self {
            pool,
            duration,
            held: BTreeMap::new(),
            declined: BTreeSet::new(),
        }
    }

    /// Keeps an address for a client: the one it had, else the one it wants, else the first free one. `None` when all are taken.
    pub(super) fn offer(
        &mut self,
        mac: Mac,
        wanted: Option<Ipv4Addr>,
        now: Duration,
    ) -> Option<Ipv4Addr> {
        let own = self.held.get(&mac).map(|lease| lease.address);
        let wanted = wanted.filter(|&address| self.is_free(address, mac, now));
        let address = own.or(wanted).or_else(|| self.unused(now))?;
        let offered = now + OFFER;
        self.hold(mac, address, |until| until.max(offered));
        Some(address)
    }

    /// Leases exactly this address to a client; `false` when it cannot have it.
    pub(super) fn bind(&mut self, mac: Mac, address: Ipv4Addr, now: Duration) -> bool {
        let may = match self.held.get(&mac) {
            Some(lease) => lease.address == address,
            None => self.is_free(address, mac, now),
        };
        if may {
            let until = now + self.duration;
            self.hold(mac, address, |_| until);
        }
        may
    }

    /// The client gives its address back, but gets the same again while nobody else needs it.
    pub(super) fn release(&mut self, mac: Mac, address: Ipv4Addr, now: Duration) {
        if let Some(lease) = self
            .held
            .get_mut(&mac)
            .filter(|lease| lease.address == address)
        {
            lease.until = now;
        }
    }

    /// The client found somebody else at its address; nobody gets it any more.
    pub(super) fn decline(&mut self, mac: Mac, address: Ipv4Addr) {
        if self
            .held
            .get(&mac)
            .is_some_and(|lease| lease.address == address)
        {
            self.held.remove(&mac);
            self.declined.insert(address);
        }
    }

    /// Whether the client has, or had, an address.
    pub(super) fn knows(&self, mac: Mac) -> bool {
        self.held.contains_key(&mac)
    }

    /// The client took another server's offer.
    pub(super) fn forget(&mut self, mac: Mac) {
        self.held.remove(&mac);
    }

    /// An address nobody has used, else the one that ran out first.
    fn unused(&self, now: Duration) -> Option<Ipv4Addr> {
        let known: BTreeSet<_> = self.held.values().map(|lease| lease.address).collect();
        let (first, last) = (self.pool.start().to_bits(), self.pool.end().to_bits());
        let never_used = (first..=last)
            .map(Ipv4Addr::from_bits)
            .find(|a| !known.contains(a) && !self.declined.contains(a));
        let expired = || {
            self.held
                .values()
                .filter(|lease| lease.until <= now)
                .min_by_key(|lease| lease.until)
        };
        never_used.or_else(|| expired().map(|lease| lease.address))
    }

    fn is_free(&self, address: Ipv4Addr, mac: Mac, now: Duration) -> bool {
        let is_taken = |(&other, lease): (&Mac, &Lease)| {
            other != mac && lease.address == address && lease.until > now
        };
        self.pool.contains(&address)
            && !self.declined.contains(&address)
            && !self.held.iter().any(is_taken)
    }

    /// Gives the address to `mac` and to nobody else; `until` makes the new end of the lease from the old one.
    fn hold(&mut self, mac: Mac, address: Ipv4Addr, until: impl FnOnce(Duration) -> Duration) {
        self.held
            .retain(|&other, lease| other == mac || lease.address != address);
        let old = self
            .held
            .get(&mac)
            .map_or(Duration::ZERO, |lease| lease.until);
        let until = until(old);
        self.held.insert(mac, Lease { address, until });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(100);

    fn leases(size: u8) -> Leases {
        Leases::new(address(1)..=address(size), LEASE)
    }

    fn address(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 2, last)
    }

    fn mac(last: u8) -> Mac {
        smoltcp::wire::EthernetAddress([0xb8, 0x27, 0xeb, 0, 0, last])
    }

    const START: Duration = Duration::ZERO;

    #[test]
    fn a_board_keeps_its_address() {
        let mut leases = leases(3);
        assert_eq!(leases.offer(mac(1), None, START), Some(address(1)));
        assert_eq!(
            leases.offer(mac(2), Some(address(1)), START),
            Some(address(2)),
            "it is offered to another"
        );
        assert!(leases.bind(mac(1), address(1), START));
        leases.release(mac(1), address(1), START);
        assert_eq!(leases.offer(mac(3), None, START), Some(address(3)));
        assert_eq!(
            leases.offer(mac(1), Some(address(3)), LEASE),
            Some(address(1)),
            "even after a release"
        );
        assert!(!leases.bind(mac(1), address(2), LEASE));
    }

    #[test]
    fn a_full_pool_gives_away_what_ran_out() {
        let mut leases = leases(2);
        assert!(leases.bind(mac(1), address(1), START));
        assert!(leases.bind(mac(2), address(2), START + Duration::from_secs(1)));
        assert_eq!(leases.offer(mac(3), None, LEASE / 2), None);
        assert_eq!(leases.offer(mac(3), None, LEASE), Some(address(1)));
        assert!(
            !leases.bind(mac(1), address(1), LEASE),
            "its former owner comes too late"
        );
        assert_eq!(
            leases.offer(mac(4), None, LEASE * 2),
            Some(address(2)),
            "the first to run out"
        );
    }

    #[test]
    fn a_declined_address_is_left_alone() {
        let mut leases = leases(2);
        assert!(leases.bind(mac(1), address(1), START));
        leases.decline(mac(2), address(1));
        assert!(
            leases.bind(mac(1), address(1), START),
            "only its owner may decline it"
        );
        leases.decline(mac(1), address(1));
        assert_eq!(
            leases.offer(mac(1), Some(address(1)), START),
            Some(address(2))
        );
        assert!(!leases.bind(mac(2), address(1), START));
    }
}
