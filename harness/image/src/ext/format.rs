//! A new, empty ext4 file system with a journal, as a pure function of its size, label and UUID.
//!
//! The checksum in each group's descriptor vouches for what it says of its group, also that most of the inode table was never written:
//! Linux zeroes it after the first mount. So an image need not hold it, and a card to which only data was copied is in order.
//! Source: the kernel's Documentation/filesystems/ext4, "Super Block", "Block Group Descriptors", "Index Nodes", "Directory Entries",
//! "Ifork Extents", "Journal (jbd2)".

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::{COMPAT_JOURNAL, INCOMPAT_EXTENTS, MAGIC, SUPERBLOCK};
use crate::partitions::Extent;

/// The smallest file system that is made.
pub const SMALLEST: u64 = 16 << 20;
/// Sizes are rounded down to a multiple of this, so that the last group has room for its own tables.
const GRAIN: u64 = 4 << 20;

const BLOCK: usize = 4096;
/// As many as a bitmap of one block has bits.
const GROUP_BLOCKS: u32 = 8 * BLOCK as u32;
const GROUP_INODES: u32 = 8192;
const INODE: usize = 256;
/// Blocks of a group's inode table.
const TABLE: u32 = GROUP_INODES * INODE as u32 / BLOCK as u32;
const DESCRIPTOR: usize = 32;

const ROOT: u32 = 2;
const JOURNAL: u32 = 8;
/// The first inode that is not reserved.
const LOST_AND_FOUND: u32 = 11;

/// Directories have indexes, inodes extended attributes.
const COMPAT: u32 = COMPAT_JOURNAL | 0x8 | 0x20;
/// Directory entries have types.
const INCOMPAT: u32 = INCOMPAT_EXTENTS | 0x2;
/// Copies of the superblock in few groups, large files, descriptors with checksums, many subdirectories, larger inodes.
const RO_COMPAT: u32 = 0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x40;
/// `EXT4_BG_INODE_UNINIT`: no inode of the group is in use, and its bitmap was never written.
const NO_INODES: u16 = 1;
/// 1980-01-01, as for the files on FAT.
const TIME: u32 = 315_532_800;

/// Makes a file system in the bytes `window` of a disk, which are zero.
///
/// # Errors
/// Those of the disk; [`io::ErrorKind::InvalidInput`] for less than [`SMALLEST`] bytes or more than 16 TiB.
pub fn format(disk: &File, window: &Range<u64>, label: &str, id: [u8; 16]) -> io::Result<()> {
    let size = window.end.saturating_sub(window.start);
    let plan = Plan::new(size, label, id)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no size for ext4"))?;
    for Extent { offset, bytes } in plan.extents() {
        disk.write_all_at(&bytes, window.start + offset)?;
    }
    Ok(())
}

/// What goes where.
struct Plan {
    label: [u8; 16],
    id: [u8; 16],
    blocks: u32,
    groups: u32,
    /// Blocks of all descriptors.
    descriptors: u32,
    /// Blocks of the journal.
    journal: u32,
}

/// Bytes that are put together field by field.
struct Fields<const N: usize>([u8; N]);

impl<const N: usize> Fields<N> {
    fn put<const M: usize>(&mut self, at: usize, bytes: [u8; M]) {
        self.0[at..at + M].copy_from_slice(&bytes);
    }

    fn u16(&mut self, at: usize, value: u16) {
        self.put(at, value.to_le_bytes());
    }

    fn u32(&mut self, at: usize, value: u32) {
        self.put(at, value.to_le_bytes());
    }
}

impl Plan {
    fn new(size: u64, label: &str, id: [u8; 16]) -> Option<Self> {
        let blocks = u32::try_from((size - size % GRAIN) / BLOCK as u64).ok()?;
        let mut name = [0; 16];
        name.get_mut(..label.len())?
            .copy_from_slice(label.as_bytes());
        let groups = blocks.div_ceil(GROUP_BLOCKS);
        (size >= SMALLEST).then_some(Self {
            label: name,
            id,
            blocks,
            groups,
            descriptors: groups.div_ceil((BLOCK / DESCRIPTOR) as u32),
            journal: if groups > 1 { 4096 } else { 1024 },
        })
    }

    fn extents(&self) -> Vec<Extent> {
        let mut extents = Vec::new();
        let mut put = |block: u32, offset: u64, bytes: Vec<u8>| {
            extents.push(Extent {
                offset: u64::from(block) * BLOCK as u64 + offset,
                bytes,
            });
        };
        let descriptors: Vec<u8> = (0..self.groups).flat_map(|g| self.descriptor(g)).collect();
        for group in 0..self.groups {
            if self.has_superblock(group) {
                // Block 0 begins with room for a boot sector.
                let offset = if group == 0 { SUPERBLOCK } else { 0 };
                put(self.start(group), offset, self.superblock(group).to_vec());
                put(self.start(group) + 1, 0, descriptors.clone());
            }
            let used = self.used(group)..self.size(group);
            put(self.bitmap(group), 0, bitmap(used));
        }
        put(self.bitmap(0) + 1, 0, bitmap(LOST_AND_FOUND..GROUP_INODES));
        put(self.table(0), 0, self.inodes());
        let root = [
            (ROOT, ".", 12),
            (ROOT, "..", 12),
            (LOST_AND_FOUND, "lost+found", 4072),
        ];
        put(self.root(), 0, directory(&root));
        let lost = [(LOST_AND_FOUND, ".", 12), (ROOT, "..", 4084)];
        put(self.root() + 1, 0, directory(&lost));
        put(self.root() + 2, 0, self.journal_superblock());
        extents
    }

    /// Groups 0 and 1 and the powers of 3, 5 and 7 have a superblock and all descriptors.
    fn has_superblock(&self, group: u32) -> bool {
        let is_power = |base: u32| {
            std::iter::successors(Some(base), |n| n.checked_mul(base))
                .take_while(|n| *n <= group)
                .any(|n| n == group)
        };
        group <= 1 || [3, 5, 7].into_iter().any(is_power)
    }

    fn start(&self, group: u32) -> u32 {
        group * GROUP_BLOCKS
    }

    /// Blocks of a group.
    fn size(&self, group: u32) -> u32 {
        GROUP_BLOCKS.min(self.blocks - self.start(group))
    }

    /// Its block bitmap, with the inode bitmap behind it.
    fn bitmap(&self, group: u32) -> u32 {
        let copies = if self.has_superblock(group) {
            1 + self.descriptors
        } else {
            0
        };
        self.start(group) + copies
    }

    fn table(&self, group: u32) -> u32 {
        self.bitmap(group) + 2
    }

    /// The root directory's block, with that of `lost+found` and then the journal behind it.
    fn root(&self) -> u32 {
        self.table(0) + TABLE
    }

    /// Blocks in use, all of them at the start of the group.
    fn used(&self, group: u32) -> u32 {
        let contents = if group == 0 { 2 + self.journal } else { 0 };
        self.table(group) + TABLE + contents - self.start(group)
    }

    fn superblock(&self, group: u32) -> [u8; 1024] {
        let free_blocks = (0..self.groups).map(|g| self.size(g) - self.used(g)).sum();
        let inodes = self.groups * GROUP_INODES;
        let mut block = Fields([0; 1024]);
        for (at, value) in [
            (0, inodes),
            (4, self.blocks),
            (12, free_blocks),
            (16, inodes - LOST_AND_FOUND),
            (24, BLOCK.ilog2() - 10),
            (28, BLOCK.ilog2() - 10),
            (32, GROUP_BLOCKS),
            (36, GROUP_BLOCKS),
            (40, GROUP_INODES),
            (48, TIME), // last write
            (64, TIME), // last check
            (76, 1),    // revision: the fields from here on count
            (84, LOST_AND_FOUND),
            (92, COMPAT),
            (96, INCOMPAT),
            (100, RO_COMPAT),
            (224, JOURNAL),
            (264, TIME), // creation
            (352, 1),    // characters are signed where names are hashed
        ] {
            block.u32(at, value);
        }
        for (at, value) in [
            (54, u16::MAX), // never to be checked for the number of mounts
            (58, 1),        // unmounted
            (60, 1),        // errors: go on
            (88, INODE as u16),
            (90, group as u16),
            (348, 32), // bytes of an inode behind the first 128, at least
            (350, 32),
        ] {
            block.u16(at, value);
        }
        block.put(56, MAGIC);
        block.put(104, self.id);
        block.put(120, self.label);
        block.put(236, self.id); // what names are hashed with
        block.put(252, [1]); // half MD4
        // A copy of where the journal is, lest it be lost with its inode.
        block.put(253, [1]);
        block.put(268, extent_tree(self.root() + 2, self.journal));
        block.u32(268 + 16 * 4, self.journal * BLOCK as u32);
        block.0
    }

    fn descriptor(&self, group: u32) -> [u8; DESCRIPTOR] {
        let is_first = group == 0;
        let free_inodes = GROUP_INODES - if is_first { LOST_AND_FOUND } else { 0 };
        let mut descriptor = Fields([0; DESCRIPTOR]);
        descriptor.u32(0, self.bitmap(group));
        descriptor.u32(4, self.bitmap(group) + 1);
        descriptor.u32(8, self.table(group));
        descriptor.u16(12, (self.size(group) - self.used(group)) as u16);
        descriptor.u16(14, free_inodes as u16);
        descriptor.u16(16, if is_first { 2 } else { 0 }); // directories
        descriptor.u16(18, if is_first { 0 } else { NO_INODES });
        descriptor.u16(28, free_inodes as u16); // inodes at the table's end that were never written
        let sum = [&self.id[..], &group.to_le_bytes(), &descriptor.0[..30]].concat();
        descriptor.u16(30, crc16(&sum));
        descriptor.0
    }

    /// The inodes up to `lost+found`.
    fn inodes(&self) -> Vec<u8> {
        let mut table = vec![0; LOST_AND_FOUND as usize * INODE];
        for (number, mode, links, first, blocks) in [
            (ROOT, 0o040_755, 3, self.root(), 1),
            (JOURNAL, 0o100_600, 1, self.root() + 2, self.journal),
            (LOST_AND_FOUND, 0o040_700, 2, self.root() + 1, 1),
        ] {
            let mut inode = Fields([0; INODE]);
            inode.u16(0, mode);
            inode.u32(4, blocks * BLOCK as u32);
            for time in [8, 12, 16, 144] {
                inode.u32(time, TIME);
            }
            inode.u16(26, links);
            inode.u32(28, blocks * (BLOCK as u32 / 512));
            inode.u32(32, 0x8_0000); // has extents
            inode.put(40, extent_tree(first, blocks));
            inode.u16(128, 32); // bytes behind the first 128 that count
            let at = (number as usize - 1) * INODE;
            table[at..at + INODE].copy_from_slice(&inode.0);
        }
        table
    }

    /// An empty journal. It is big endian.
    fn journal_superblock(&self) -> Vec<u8> {
        let mut block = Fields([0; 1024]);
        for (at, value) in [
            (0, 0xc03b_3998),
            (4, 4), // a superblock, version 2
            (12, BLOCK as u32),
            (16, self.journal),
            (20, 1), // its first block
            (24, 1), // its first transaction
            (64, 1), // file systems that use it
        ] {
            block.put(at, u32::to_be_bytes(value));
        }
        block.put(48, self.id);
        block.0.to_vec()
    }
}

/// A bitmap in which only the bits `free` are zero.
fn bitmap(free: Range<u32>) -> Vec<u8> {
    let mut bitmap = vec![0xff; BLOCK];
    for bit in free {
        bitmap[bit as usize / 8] &= !(1 << (bit % 8));
    }
    bitmap
}

/// A block of subdirectories: inode, name, and the bytes up to the next one.
fn directory(entries: &[(u32, &str, u16)]) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    for (inode, name, length) in entries {
        let mut head = Fields([0; 8]);
        head.u32(0, *inode);
        head.u16(4, *length);
        head.put(6, [name.len() as u8, 2]);
        block[at..at + 8].copy_from_slice(&head.0);
        block[at + 8..at + 8 + name.len()].copy_from_slice(name.as_bytes());
        at += usize::from(*length);
    }
    block
}

/// The tree of a file in one piece, as inodes hold it.
fn extent_tree(first: u32, blocks: u32) -> [u8; 60] {
    let mut tree = Fields([0; 60]);
    tree.u16(0, 0xf30a);
    tree.u16(2, 1); // extents
    tree.u16(4, 4); // of at most
    tree.u16(16, blocks as u16);
    tree.u32(20, first);
    tree.0
}

/// CRC-16 with the polynomial 0x8005, lowest bit first.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte), |sum, _| {
            (sum >> 1) ^ if sum & 1 == 1 { 0xa001 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::{ExtFileSystem, read};
    use super::*;

    #[test]
    fn it_is_read_as_what_it_is_and_follows_from_its_size_label_and_id() {
        let made = || {
            let disk = tempfile::tempfile().unwrap();
            disk.set_len(512 + (300 << 20)).unwrap();
            format(&disk, &(512..512 + (300 << 20)), "B2C_CACHE", [7; 16]).unwrap();
            disk
        };
        let (one, two) = (made(), made());
        let expected = ExtFileSystem {
            kind: "ext4",
            label: "B2C_CACHE".into(),
        };
        assert_eq!(read(&one, &(512..300 << 20)), Some(expected));
        let bytes = |disk: &File| {
            let mut bytes = vec![0; 300 << 20];
            disk.read_exact_at(&mut bytes, 0).unwrap();
            bytes
        };
        assert!(bytes(&one) == bytes(&two));
    }

    #[test]
    fn what_it_cannot_be_is_refused() {
        let disk = tempfile::tempfile().unwrap();
        for (size, label) in [
            (SMALLEST - 1, "x"),
            (1 << 50, "x"),
            (SMALLEST, "a label that is too long"),
        ] {
            let refused = format(&disk, &(0..size), label, [0; 16]).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        }
        assert_eq!(disk.metadata().unwrap().len(), 0);
    }

    #[test]
    fn checksums_are_those_of_the_kernel() {
        // CRC-16/MODBUS, which has these parameters, gives this for the usual check text.
        assert_eq!(crc16(b"123456789"), 0x4b37);
    }
}
