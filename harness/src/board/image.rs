//! `[image]`: what a board wants of its disk image.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::image::partitions::Scheme;
use crate::input::{ByteSize, SetName};

/// What a board wants of its image otherwise than docs/image-spec.md has it, and what its image is made of.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Image {
    /// The kind of partition table that images are built with.
    pub table: Scheme,
    /// The ROM reads the four entries of an MBR and nothing else.
    pub rom_reads_mbr_only: bool,
    /// Files that are written to the disk outside of its partitions, for a ROM that reads them there.
    pub raw: Vec<RawFile>,
}

/// A file that is written to a place of the disk.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFile {
    /// Where it begins, from the start of the disk.
    pub at: ByteSize,
    /// The package set.
    pub set: SetName,
    /// Its path in the unpacked set.
    pub path: String,
}
