//! A violation of the specification: which rule, where, what, and what to do.

use std::fmt;

use serde::Serialize;
use shakedown_base::Untrusted;

use super::rules::{Level, Rule};
use crate::partitions::Partition;

/// Where something is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Byte offset in the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte: Option<u64>,
    /// Partition number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// Path in the partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl Place {
    /// The image as a whole.
    pub(super) const IMAGE: Self = Self {
        byte: None,
        partition: None,
        file: None,
    };

    pub(super) fn byte(offset: u64) -> Self {
        Self {
            byte: Some(offset),
            ..Self::IMAGE
        }
    }

    /// A partition, by the byte of its table entry.
    pub(super) fn entry(partition: &Partition) -> Self {
        Self {
            byte: Some(partition.entry),
            partition: Some(partition.number),
            file: None,
        }
    }

    pub(super) fn partition(partition: &Partition) -> Self {
        Self {
            partition: Some(partition.number),
            ..Self::IMAGE
        }
    }

    pub(super) fn file(partition: &Partition, path: &str) -> Self {
        Self {
            file: Some(format!("/{}", path.trim_start_matches('/'))),
            ..Self::partition(partition)
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partition = self.partition.map(|number| format!("partition {number}"));
        let byte = self.byte.map(|offset| format!("byte {offset}"));
        let file = self.file.as_ref();
        let file = file.map(|file| Untrusted::new(&file[..]).to_string());
        let parts = [partition, file, byte].into_iter().flatten();
        let text = parts.collect::<Vec<_>>().join(", ");
        f.write_str(if text.is_empty() { "image" } else { &text })
    }
}

/// A violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The rule's number.
    pub rule: &'static str,
    /// How much it binds.
    pub level: Level,
    /// Where.
    pub place: Place,
    /// What is wrong there.
    pub what: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Violation {
    pub(super) fn new(rule: Rule, place: Place, what: impl fmt::Display) -> Self {
        Self {
            rule: rule.id,
            level: rule.level,
            place,
            what: Untrusted::new(what.to_string()).to_string(),
            remedy: rule.remedy,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}; {}",
            self.rule, self.place, self.what, self.remedy
        )
    }
}
