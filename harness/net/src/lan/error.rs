//! What can be wrong with a LAN before it carries a frame.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Why a LAN could not be started or a port not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Text that is no `address/prefix` with a usable prefix length.
    #[error("`{0}` is no subnet: write it as 10.0.2.0/24, with a prefix length from 8 to 30")]
    Subnet(String),
    /// An address that must be a host address of the LAN's subnet and is not.
    #[error("{what} {address} is no host address of subnet {subnet}: choose one inside it")]
    Outside {
        /// Which setting it is.
        what: &'static str,
        /// The address as set.
        address: Ipv4Addr,
        /// The subnet it should be in.
        subnet: String,
    },
    /// The DHCP pool is empty or holds the gateway.
    #[error(
        "dhcp pool {first} to {last} is empty or holds the gateway {gateway}: move one of them"
    )]
    Pool {
        /// First address of the pool.
        first: Ipv4Addr,
        /// Last address of the pool.
        last: Ipv4Addr,
        /// The gateway's address.
        gateway: Ipv4Addr,
    },
    /// The lease time is too short to have renewal times.
    #[error("dhcp lease of {0} s is too short: give at least 8 s")]
    Lease(u32),
    /// A text that does not fit into its DHCP option.
    #[error("{what} `{text}` is empty or longer than {max} bytes: shorten it")]
    Text {
        /// Which setting it is.
        what: &'static str,
        /// The text as set.
        text: String,
        /// The longest text that fits.
        max: usize,
    },
    /// A name that DNS cannot carry.
    #[error(
        "`{0}` is no DNS name: use labels of 1 to 63 letters, digits, `-` and `_`, with `*.` in front for all names below it"
    )]
    Name(String),
    /// An address that no server can have.
    #[error("{what} {address} is no unicast address: choose another")]
    Unicast {
        /// Which setting it is.
        what: &'static str,
        /// The address as set.
        address: Ipv4Addr,
    },
    /// A server's address lies in the DHCP pool, so a guest could be given the same.
    #[error("{0} lies in the dhcp pool: listen on an address outside it")]
    InPool(Ipv4Addr),
    /// Somebody listens there already.
    #[error("{0} is in use: drop its listener first or listen on another port")]
    InUse(SocketAddrV4),
}
