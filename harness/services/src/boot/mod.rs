//! The boot server that iPXE asks for its script, kernel and initramfs.
//!
//! It comes in two forms with the same data. Over HTTPS ([`BootServer::https`]) a client is known by the fingerprint of its
//! certificate. Over plain HTTP ([`BootServer::http`]) a machine is known by the hardware address in the URL of its script,
//! which DHCP told it.

mod client;
mod data;
mod path;
mod script;
mod secrets;
mod server;
mod storage;
mod template;
mod update;

pub use client::Client;
pub use data::{DataRoot, Folder};
pub use secrets::Clock as SecretsClock;
pub use server::BootServer;
pub use storage::Storage;

#[cfg(test)]
mod tests;
