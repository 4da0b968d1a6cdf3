//! Addresses and cards of the networks.

use std::net::Ipv4Addr;

use anyhow::Result;

use crate::namespace::run;

/// Our end of the cable to the gateway's public card.
pub(crate) const PUBLIC_CARD: &str = "lan0";
/// Our end of the cable to the gateway's private card: where the board is.
pub(crate) const PRIVATE_CARD: &str = "dut0";
/// Our address in the network outside (TEST-NET-1, RFC 5737).
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The gateway's address there, as boot2container's DHCP client would have got it.
pub(crate) const GATEWAY_PUBLIC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The gateway's address in the private network, as the contract has it.
pub(crate) const GATEWAY_PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 1);

/// Gives our end of the private network one more address.
pub(crate) fn give_address(address: Ipv4Addr) -> Result<()> {
    run(
        "ip",
        &format!("address replace {address}/24 dev {PRIVATE_CARD}"),
    )
}
