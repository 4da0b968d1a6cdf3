//! The boot server that iPXE asks for its script, kernel and initramfs.
//!
//! It comes in two forms with the same data. Over HTTPS ([`BootServer::https`]) a client is known by the fingerprint of its
//! certificate. Over plain HTTP ([`BootServer::http`]) a machine is known by the hardware address in the URL of its script,
//! which DHCP told it.

mod data;
mod path;
mod server;
mod template;

pub use data::{DataRoot, Folder};
pub use server::BootServer;

#[cfg(test)]
mod tests;
