//! The virtual LAN: everything below HTTP that a board finds on its network cable.
//!
//! A [`Lan`] is one Ethernet segment with a gateway on it. The gateway answers ARP and DHCP, and every other address of the
//! world lives behind it: DNS, NTP and whatever TCP port somebody listens on. Nothing touches the network of the host.
//!
//! ```text
//! NIC model <== cable ==> port ── switch ── other ports
//!                           │
//!                           ├── host: ARP, ICMP, UDP ── dhcp, dns, ntp   (pure functions of a datagram)
//!                           │                        └ sockets ── tftp   (a task)
//!                           └── tcp: smoltcp ── TcpListener, TcpStream   (what axum serves on)
//! ```
//!
//! Life cycle: [`Lan::start`] checks the [`Config`], [`Lan::listen`] opens TCP ports, [`Lan::attach`] plugs a NIC in; dropping the
//! `Lan` ends every task and every connection. Every frame passes one place on its way in and one on its way out
//! (`port::Port`), where [`Lan::observe`] sees it. [`Lan::dialler`] goes the other way: it connects to guests.
//!
//! A [`Segment`] beside it is a switch without the gateway, for guests that only another guest reaches.
//!
//! Sources: RFC 826 (ARP), 791 (IPv4), 792 (ICMP), 768 (UDP), 9293 (TCP), 2131 and 2132 (DHCP), 1035 (DNS), 5905 (NTP), 1350 (TFTP).

mod cables;
mod config;
mod dhcp;
mod dialler;
mod dns;
mod egress;
mod error;
mod fragments;
mod frame;
mod host;
mod kind;
mod lock;
mod network;
mod ntp;
mod observe;
mod port;
mod segment;
mod sockets;
mod switch;
mod tcp;
mod tftp;
mod udp;

pub use config::{Boot, Config, Dhcp, FileForArchitecture, Subnet};
pub use dialler::Dialler;
pub use error::Error;
pub use kind::kinds_of;
pub use network::Lan;
pub use ntp::Clock;
pub use observe::{Direction, Observed, Statistics};
pub use segment::Segment;
pub use tcp::{TcpListener, TcpStream};
pub use tftp::{TftpContent, TftpFiles};
