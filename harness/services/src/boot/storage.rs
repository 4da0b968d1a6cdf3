//! The storage of a client, as the boot server has it: with each boot script it hands out a new key and revokes the last one.

use crate::{Credentials, ScratchKeys};

/// The storage of a client.
#[derive(Debug, Clone)]
pub enum Storage {
    /// A bucket whose key is another after each fetch of the boot script.
    Renewed {
        /// The keys of the scratch space.
        keys: ScratchKeys,
        /// The client's bucket.
        bucket: String,
    },
    /// The boot server does not reach it.
    Down,
}

/// The boot server does not reach the storage.
#[derive(Debug, thiserror::Error)]
#[error("the storage does not answer")]
pub(super) struct StorageDown;

impl Storage {
    /// A new key, which revokes the last one.
    pub(super) fn renew(&self) -> Result<Credentials, StorageDown> {
        match self {
            Self::Renewed { keys, bucket } => keys.renew(bucket).ok_or(StorageDown),
            Self::Down => Err(StorageDown),
        }
    }
}
