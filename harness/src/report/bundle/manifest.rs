//! `bundle.json`: what a failed run was made of.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::BundleError;
use crate::input::{BoardName, ScenarioName};
use crate::mac::Mac;
use crate::scenario::Scenario;

/// What a failed run was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub format: u32,
    /// Version of the harness that made the run.
    pub shakedown: String,
    /// Name of the scenario.
    pub scenario: ScenarioName,
    /// Name of the board.
    pub board: BoardName,
    /// The board's hardware address: of all that chance decides in a run the one thing that the board goes by.
    #[serde(default)]
    pub mac: Option<Mac>,
    /// What chance was made of, if the scenario has faults.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Chance has made the faults, too, of the seed: `e2e --chaos SEED`.
    #[serde(default)]
    pub is_chaos: bool,
    /// The disk image.
    pub image: Item,
    /// The image is in the bundle.
    pub image_included: bool,
    /// The kernel that the boot server handed out.
    pub kernel: Item,
    /// The initramfs that the boot server handed out.
    pub initramfs: Item,
    /// The container image that the registry handed out.
    pub container: ContainerItem,
    /// QEMU's version; its command line is `run/qemu-command.txt`.
    pub qemu: String,
    /// The command that ran it.
    pub reproduce: String,
    /// Files of the run that are not in the bundle, because they hold a private key or are too large.
    pub left_out: Vec<String>,
}

/// A file that a run was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// SHA-256, hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// What it is and how to get it.
    pub source: String,
}

/// The container image of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerItem {
    /// What it is and where it comes from.
    pub source: String,
    /// It stands in for the real image.
    pub stand_in: bool,
    /// Digests of its layers, as `sha256:…`.
    pub layers: Vec<String>,
}

impl Manifest {
    /// The format that this harness writes, and the newest that it reads.
    pub const FORMAT: u32 = 1;

    /// The scenario with the faults that chance made of the run's seed, if it did: they stand in no file.
    #[must_use]
    pub fn with_faults_of(&self, scenario: Scenario) -> Scenario {
        match self.seed.filter(|_| self.is_chaos) {
            Some(seed) => scenario.with_chaos(seed),
            None => scenario,
        }
    }
}

impl Item {
    /// The file's digest and size.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(path: &Path, source: impl Into<String>) -> Result<Self, BundleError> {
        let io = |e| BundleError::io("read", path)(e);
        let mut file = File::open(path).map_err(io)?;
        let mut hasher = Sha256::new();
        let mut size = 0;
        let mut buffer = vec![0; 1 << 16];
        while let n @ 1.. = file.read(&mut buffer).map_err(io)? {
            hasher.update(buffer.get(..n).unwrap_or_default());
            size += n as u64;
        }
        Ok(Self {
            sha256: hex::encode(hasher.finalize()),
            size,
            source: source.into(),
        })
    }
}
