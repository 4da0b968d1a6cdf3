//! TFTP: hands out files to network boot clients, read only.
//!
//! [`message`] is the bytes of a packet, [`transfer`] one file on its way to one client, [`server`] all transfers; none of them does
//! I/O but reading the file. [`host`] is the task that connects them with the LAN.
//!
//! Sources: RFC 1350 (protocol), 2347 (option extension), 2348 (`blksize`), 2349 (`timeout`, `tsize`), 7440 (`windowsize`).
//! Block numbers wrap from 65535 to 0, as every server does that hands out more than 32 MB.

mod content;
mod host;
mod message;
mod server;
mod transfer;

pub use content::{TftpContent, TftpFiles};
pub(super) use host::serve;

/// Port that requests go to.
pub(super) const PORT: u16 = 69;
/// Ports that transfers come from: the server's transfer identifiers (RFC 1350, section 4).
pub(super) const TRANSFERS: std::ops::RangeInclusive<u16> = 49152..=65535;
