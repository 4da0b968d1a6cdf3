//! The authorities of a run and the certificates that they issue, sound ones and such as a peer must refuse.
//!
//! All keys are RSA with SHA-256 and PKCS #1 signatures: the iPXE of the boards has no ECDSA. A sound certificate is valid from
//! 1970-01-01, because iPXE has no clock and takes the epoch for today, until 2099-12-31. Sources: RFC 5280 (certificates and
//! revocation lists), RFC 8017 (RSA).
//!
//! An RSA key takes a good part of a second to generate, so a run makes three: the authority's, one that all its server
//! certificates share, and the client's. Sharing is harmless here, since all servers live in this process. A server certificate may
//! carry any number of names, and chains are one certificate long unless a longer one is asked for: some iPXE builds fail with
//! more than 4 KiB.

mod authority;
mod identity;
mod profile;

pub use authority::Authority;
pub use identity::Identity;
pub use profile::{Chain, KeySize, ServerProfile, Validity};
