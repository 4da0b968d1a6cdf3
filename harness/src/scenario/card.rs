//! `[card]`: what a run may leave on the card, read back from outside when all boards are off.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::input::{Document, InputError, Pattern, Span};

/// What must be so of each board's card when the run has ended.
#[derive(Debug, Clone)]
pub struct CardRules {
    /// Partitions that may have changed; everything else must be byte for byte as the run began with it. `None`: no matter what has changed.
    pub unchanged_except: Option<Vec<PartitionName>>,
    /// Files of the card's file systems.
    pub files: Vec<CardFile>,
}

/// What must be so of a file.
#[derive(Debug, Clone)]
pub struct CardFile {
    /// Where it is.
    pub partition: PartitionName,
    /// Its path from the root of the file system on.
    pub path: String,
    /// It must be there; otherwise nothing may be there.
    pub exists: bool,
    /// What it must hold.
    pub contains: Option<Pattern>,
}

/// The name of a partition: `firmware`, `esp` or `cache`, the label of its file system, or its name in a GPT.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PartitionName(pub String);

impl PartitionName {
    /// The partition in which boot2container keeps images.
    pub const CACHE: &str = "cache";

    fn cache() -> Self {
        Self(Self::CACHE.into())
    }
}

impl fmt::Display for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What must be so of the card when the run has ended and all boards are off. The emulated card is read from outside.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CardTable {
    /// Partitions that may have changed: `firmware`, `esp`, `cache`, the label of a file system or a name in a GPT. Everything else, partition
    /// table included, must be byte for byte as the run began with it.
    unchanged_except: Option<Vec<PartitionName>>,
    /// Files of ext4 file systems on the card.
    #[serde(default)]
    #[schemars(with = "Vec<FileTable>")]
    file: Vec<Span<FileTable>>,
}

/// What must be so of a file on the card.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FileTable {
    /// The partition with its file system, `cache` by default.
    #[serde(default = "PartitionName::cache")]
    partition: PartitionName,
    /// Its path from the root of the file system on.
    path: String,
    /// Something must be there, or with `false` nothing.
    #[serde(default = "yes")]
    exists: bool,
    /// A regular expression that must match in it; it is a file of at most 16 MiB then.
    contains: Option<Pattern>,
}

fn yes() -> bool {
    true
}

impl CardTable {
    pub(super) fn check(
        this: Span<Self>,
        has_checkpoint: bool,
        document: &Document,
    ) -> Result<CardRules, InputError> {
        let place = this.span();
        let Self {
            unchanged_except,
            file,
        } = this.into_inner();
        let wrong = |span, message: &str| Err(document.error_at(span, message));
        if has_checkpoint {
            let message = "a run that goes on from a checkpoint has the card of another: leave checkpoint or [card] out";
            return wrong(place, message);
        }
        if unchanged_except.is_none() && file.is_empty() {
            return wrong(
                place,
                "this asks nothing of the card: say unchanged_except or [[card.file]]",
            );
        }
        let mut files = Vec::new();
        for file in file {
            let place = file.span();
            let FileTable {
                partition,
                path,
                exists,
                contains,
            } = file.into_inner();
            if path.trim_matches('/').is_empty() {
                return wrong(
                    place,
                    "say which file: a path from the root of the file system on",
                );
            }
            if !exists && contains.is_some() {
                return wrong(
                    place,
                    "what is not there contains nothing: leave `exists` or `contains` out",
                );
            }
            files.push(CardFile {
                partition,
                path,
                exists,
                contains,
            });
        }
        Ok(CardRules {
            unchanged_except,
            files,
        })
    }
}
