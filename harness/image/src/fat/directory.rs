//! Entries of a directory: 32 bytes each.

use super::name::{ENTRY, LongNamePart};

/// The attribute byte of an entry that holds a part of a long name.
pub(super) const LONG_NAME: u8 = 0x0f;

const DIRECTORY: u8 = 0x10;
const VOLUME_LABEL: u8 = 0x08;
/// The bits of the attribute byte that have a meaning.
const DEFINED: u8 = 0x3f;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// This entry and all behind it are unused.
    End,
    /// An entry whose file was removed.
    Deleted,
    /// A part of the long name of the next file.
    LongName(LongNamePart),
    /// The volume's label.
    Label,
    /// A file or directory.
    Entry(Entry),
    /// Attributes that are taken for different things by different readers.
    Contradiction(u8),
}

/// A file or directory as its directory has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The name as it is stored: 8 and 3 bytes, padded with spaces.
    pub(super) short_name: [u8; 11],
    /// Whether it is a directory.
    pub(super) is_directory: bool,
    /// Its first cluster; 0 for none.
    pub(super) cluster: u32,
    /// Size in bytes.
    pub(super) size: u32,
}

impl Record {
    /// Decodes an entry. The upper half of the cluster number is unused on FAT12 and FAT16, unless `is_fat32`.
    pub(super) fn decode(bytes: &[u8; ENTRY], is_fat32: bool) -> Self {
        let attributes = bytes[11];
        match (bytes[0], attributes & DEFINED) {
            (0, _) => return Self::End,
            (0xe5, _) => return Self::Deleted,
            (_, LONG_NAME) => return Self::LongName(LongNamePart::decode(bytes)),
            (_, bits) if bits & LONG_NAME == LONG_NAME => return Self::Contradiction(attributes),
            (_, bits) if bits & (VOLUME_LABEL | DIRECTORY) == VOLUME_LABEL | DIRECTORY => {
                return Self::Contradiction(attributes);
            }
            (_, bits) if bits & VOLUME_LABEL != 0 => return Self::Label,
            _ => {}
        }
        let [low, high] =
            [26, 20].map(|at| u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])));
        Self::Entry(Entry {
            short_name: std::array::from_fn(|index| bytes[index]),
            is_directory: attributes & DIRECTORY != 0,
            cluster: if is_fat32 { low | high << 16 } else { low },
            size: u32::from_le_bytes([bytes[28], bytes[29], bytes[30], bytes[31]]),
        })
    }
}
