//! What is left of a board's card, as an event.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a board's card holds when the run has ended, read from outside and compared with what the run began with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardEvent {
    /// Names of partitions that the card does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Bytes of the sectors that have changed in partitions that may change.
    pub allowed: u64,
    /// Bytes of the sectors that have changed elsewhere.
    pub changed: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<CardChange>,
    /// What became of the files that the scenario asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<CardFileEvent>,
    /// Why the card could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Sectors beside each other that are not as the run began with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardChange {
    /// Bytes from the beginning of the card.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// The partition that they are in; `None` outside of all partitions.
    pub partition: Option<u32>,
    /// What that partition is for: `firmware`, `esp` or `cache`, where it is one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

impl fmt::Display for CardChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes from byte {} on", self.length, self.offset)?;
        match (self.partition, &self.role) {
            (Some(number), Some(role)) => write!(f, ", in partition {number} ({role})"),
            (Some(number), None) => write!(f, ", in partition {number}"),
            (None, _) => f.write_str(", outside of all partitions"),
        }
    }
}

/// What became of a file on a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardFileEvent {
    /// Its partition, as the scenario names it.
    pub partition: String,
    /// Its path from the root of the file system on.
    pub path: String,
    /// There is something.
    pub exists: bool,
    /// It holds what the scenario asks for; `None` where nothing is asked for, or nothing could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<bool>,
    /// Why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}
