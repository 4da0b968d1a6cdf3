//! What the boot server hands out: a folder for each client.

use std::collections::{BTreeMap, HashMap};

use super::path::FilePath;
use crate::mac::Mac;
use crate::services::{Blob, Error, Fingerprint};

/// Name of the boot script's template in a client's folder.
const BOOT_SCRIPT: &str = "boot.ipxe";

/// The folders of all clients.
#[derive(Debug, Clone, Default)]
pub struct DataRoot {
    clients: HashMap<Fingerprint, Folder>,
    machines: HashMap<Mac, Folder>,
}

impl DataRoot {
    /// Sets the folder of the client with this certificate, served over HTTPS.
    pub fn set_client(&mut self, fingerprint: Fingerprint, folder: Folder) {
        self.clients.insert(fingerprint, folder);
    }

    /// Sets the folder of the machine with this hardware address, served over plain HTTP.
    pub fn set_machine(&mut self, mac: Mac, folder: Folder) {
        self.machines.insert(mac, folder);
    }

    pub(super) fn client(&self, fingerprint: Fingerprint) -> Option<&Folder> {
        self.clients.get(&fingerprint)
    }

    pub(super) fn machine(&self, mac: Mac) -> Option<&Folder> {
        self.machines.get(&mac)
    }
}

/// A client's files by path. The file `boot.ipxe` is the template of its boot script.
#[derive(Debug, Clone, Default)]
pub struct Folder(BTreeMap<FilePath, Blob>);

impl Folder {
    /// Puts content at `path`, in place of what was there.
    ///
    /// # Errors
    /// [`Error::Path`] when the path is not a plain relative one.
    pub fn insert(&mut self, path: &str, blob: impl Into<Blob>) -> Result<(), Error> {
        self.0.insert(FilePath::new(path)?, blob.into());
        Ok(())
    }

    pub(super) fn file(&self, path: &FilePath) -> Option<&Blob> {
        self.0.get(path)
    }

    pub(super) fn boot_script(&self) -> Option<&Blob> {
        self.file(&FilePath::new(BOOT_SCRIPT).ok()?)
    }
}
