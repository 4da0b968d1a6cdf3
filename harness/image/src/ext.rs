//! What the superblock of an ext2, ext3 or ext4 file system says, and new file systems.
//!
//! Source: the kernel's Documentation/filesystems/ext4, "Super Block": it is at byte 1024, little endian.

mod files;
mod format;

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

pub use files::{ExtError, ExtVolume, LONGEST};
pub use format::{SMALLEST, format};

const SUPERBLOCK: u64 = 1024;
const MAGIC: [u8; 2] = [0x53, 0xef];
/// `s_feature_compat`: there is a journal.
const COMPAT_JOURNAL: u32 = 4;
/// `s_feature_incompat`: files are kept as extents, which makes the file system ext4.
const INCOMPAT_EXTENTS: u32 = 0x40;

/// A file system of the ext family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtFileSystem {
    /// `ext2`, `ext3` or `ext4`.
    pub kind: &'static str,
    /// Its label.
    pub label: String,
}

/// The file system in the bytes `window` of a disk, or `None` when there is none of this family.
#[must_use]
pub fn read(disk: &File, window: &Range<u64>) -> Option<ExtFileSystem> {
    let mut block = [0; 256];
    let at = window.start.checked_add(SUPERBLOCK)?;
    if at + block.len() as u64 > window.end {
        return None;
    }
    disk.read_exact_at(&mut block, at).ok()?;
    parse(&block)
}

fn parse(block: &[u8; 256]) -> Option<ExtFileSystem> {
    if block.get(56..58)? != MAGIC {
        return None;
    }
    let flags = |at: usize| Some(u32::from_le_bytes(*block.get(at..)?.first_chunk()?));
    let label = block.get(120..136)?.split(|byte| *byte == 0).next()?;
    Some(ExtFileSystem {
        kind: match (flags(92)? & COMPAT_JOURNAL, flags(96)? & INCOMPAT_EXTENTS) {
            (0, 0) => "ext2",
            (_, 0) => "ext3",
            _ => "ext4",
        },
        label: String::from_utf8_lossy(label).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_and_label_are_read() {
        let disk = tempfile::tempfile().unwrap();
        disk.set_len(8192).unwrap();
        assert_eq!(read(&disk, &(0..8192)), None);
        disk.write_all_at(&MAGIC, 512 + 1024 + 56).unwrap();
        disk.write_all_at(&[4, 0, 0, 0, 0x40], 512 + 1024 + 92)
            .unwrap();
        disk.write_all_at(b"B2C_CACHE", 512 + 1024 + 120).unwrap();
        let expected = ExtFileSystem {
            kind: "ext4",
            label: "B2C_CACHE".into(),
        };
        assert_eq!(read(&disk, &(512..8192)), Some(expected));
        assert_eq!(read(&disk, &(512..1600)), None);
    }
}
