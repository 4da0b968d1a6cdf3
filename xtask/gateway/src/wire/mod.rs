//! What a board and a client say on the wire: DHCP, TFTP, HTTP, DNS and NTP from the client's side.

mod dhcp;
mod dns;
mod http;
mod ntp;
mod socket;
mod tftp;

pub(crate) use dhcp::{Client, Kind, exchange};
pub(crate) use dns::address_of;
pub(crate) use http::{Answer, request};
pub(crate) use ntp::ask_time;
pub(crate) use socket::udp_on;
pub(crate) use tftp::read_file;
