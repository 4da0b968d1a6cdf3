//! The servers on the LAN: iPXE boot server, container registry, scratch space, power distribution unit, and the certificates that both
//! sides trust.
//!
//! Life cycle: build a [`Router`](axum::Router) ([`BootServer`], [`Registry`], [`ScratchSpace`]), take a listener (any
//! [`axum::serve::Listener`] whose address becomes a [`Peer`]), wrap it in a [`TlsListener`] where the service speaks TLS,
//! and hand all of it to [`serve`]. The service answers until the returned [`Server`] is shut down or dropped; every handshake and every
//! request becomes an event on the timeline by way of a [`Journal`].
//!
//! Nothing here knows of USB, QEMU or the LAN: the same servers answer on a TCP port of the loopback interface, which is how
//! the tests reach them.

mod access_log;
mod blob;
mod boot;
mod certificates;
mod conditional;
mod cut;
mod download;
mod error;
mod fault;
mod forward;
mod journal;
mod judged_later;
mod known_client;
mod oci;
mod patience;
mod pdu;
mod peer;
mod pieces;
mod range;
mod registry;
mod scratch;
mod secrets;
mod serve;
#[cfg(test)]
pub(crate) mod testing;
mod tls;
mod valve;

pub use access_log::access_line;
pub use blob::Blob;
pub use boot::{BootServer, Client, DataRoot, Folder, SecretsClock, Storage};
pub use certificates::{Authority, Chain, Identity, KeySize, ServerProfile, Validity};
pub use error::Error;
pub use fault::with_faults;
pub use forward::{forward, sniffed};
pub use journal::Journal;
pub use oci::{Compression, ConfigSpec, Digest, Document, Layer, Nonce, OciImage, Platform};
pub use pdu::{PowerError, PowerUnit, Switching, serve_pdu};
pub use peer::Peer;
pub use registry::{RateLimit, Registry, TokenAuth};
pub use scratch::{Credentials, ScratchKeys, ScratchSpace};
pub use secrets::Secrets;
pub use serve::{Server, serve};
pub use shakedown_base::fingerprint::Fingerprint;
pub use tls::{Refusal, TlsListener, TlsOptions};
