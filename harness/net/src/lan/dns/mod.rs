//! DNS: the names that guests see.
//!
//! An authoritative server for the whole world: a name that the configuration does not know does not exist.

mod message;
mod tcp;
mod zone;

pub(super) use tcp::serve;
pub(super) use zone::{PORT, Zone};
