//! DHCP: addresses, and where to boot from.
//!
//! [`Server`] decides (RFC 2131, section 4.3), [`leases`] remembers who has which address, [`boot`] chooses what a network boot
//! client is told, [`message`] is the bytes.

mod boot;
mod leases;
mod message;
mod server;

pub(super) use server::{PORT, Server};
