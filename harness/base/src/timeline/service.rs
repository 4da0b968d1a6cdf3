//! The services that a run plays.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A service on the run's network.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ServiceId {
    /// Hands out boot scripts, kernels and initramfs.
    Boot,
    /// Hands out container images.
    Registry,
    /// Takes what boards upload (S3).
    Scratch,
    /// The power distribution unit: switches boards on and off.
    Power,
    /// A server of a benchmark, which is in no scenario.
    Bench,
}

impl ServiceId {
    /// Its name, as timelines and scenarios have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Registry => "registry",
            Self::Scratch => "scratch",
            Self::Power => "power",
            Self::Bench => "bench",
        }
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
