//! The allocation table: for every cluster the one that follows it.
//!
//! Read through the page cache, so that a table of any size takes bounded memory.

use std::io::{self, Read, Seek, Write};
use std::ops::Range;

use super::boot_sector::Geometry;
use super::{FatKind, Fault};
use crate::page_cache::{SharedCache, is_zero};

/// Read at once when the whole table is gone through: a whole number of entries of every width.
const CHUNK: usize = 3 * 4096;

/// What the table says of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// It belongs to no file.
    Free,
    /// The number of the cluster that follows, which need not exist.
    Next(u32),
    /// It is the last of its file.
    End,
    /// It is not to be used.
    Bad,
}

impl FatKind {
    /// Bits of a table entry.
    pub(super) fn bits(self) -> u64 {
        match self {
            Self::Fat12 => 12,
            Self::Fat16 => 16,
            Self::Fat32 => 32,
        }
    }

    /// The bits of entry 1 that say of a volume, when they are cleared: it was not unmounted; a disk error was met. Specification,
    /// section "FAT Data Structure". FAT12 has none.
    fn status_bits(self) -> [(u32, &'static str); 2] {
        let (clean, no_error) = match self {
            Self::Fat12 => (0, 0),
            Self::Fat16 => (0x8000, 0x4000),
            Self::Fat32 => (0x0800_0000, 0x0400_0000),
        };
        [
            (clean, "the file system was not unmounted"),
            (no_error, "reading or writing it failed"),
        ]
    }

    /// What an entry means; the upper four bits of a FAT32 entry mean nothing.
    fn link(self, entry: u32) -> Link {
        let (value, end) = match self {
            Self::Fat12 => (entry & 0xfff, 0xff8),
            Self::Fat16 => (entry & 0xffff, 0xfff8),
            Self::Fat32 => (entry & 0x0fff_ffff, 0x0fff_fff8),
        };
        match value {
            0 => Link::Free,
            value if value == end - 1 => Link::Bad,
            value if value >= end => Link::End,
            value => Link::Next(value),
        }
    }
}

/// One of the tables of a volume.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    kind: FatKind,
    start: u64,
    entries: u32,
}

impl Table {
    /// Table `number`, from 0.
    pub(super) fn new(geometry: &Geometry, number: u8) -> Self {
        Self {
            kind: geometry.kind,
            start: geometry.table + u64::from(number) * geometry.table_bytes,
            // Bounded by the size of the table, which is bounded itself.
            entries: geometry.clusters.saturating_add(2),
        }
    }

    /// Where the entry of `cluster` begins, in bytes from the start of the volume.
    pub(super) fn offset(self, cluster: u32) -> u64 {
        self.start + u64::from(cluster) * self.kind.bits() / 8
    }

    /// What the entries 0 and 1, which belong to no cluster, say of the volume: where in it, and what is wrong.
    pub(super) fn state<D: Read + Write + Seek>(
        self,
        volume: &SharedCache<D>,
        media: u8,
    ) -> io::Result<Vec<(u64, Fault)>> {
        let mut bytes = [0; 8];
        let length = 2 * self.kind.bits() as usize / 8;
        volume.read_at(self.start, &mut bytes[..length])?;
        let [table, ..] = bytes;
        let entries = u64::from_le_bytes(bytes);
        let entry = (entries >> self.kind.bits()) as u32;
        let media =
            (table != media).then_some((self.start, Fault::TableMedia { boot: media, table }));
        let at = self.offset(1);
        let bits = self.kind.status_bits().into_iter();
        let unclean = bits
            .filter(|(bit, _)| entry & bit != *bit)
            .map(|(_, what)| (at, Fault::Unclean(what)));
        Ok(media.into_iter().chain(unclean).collect())
    }

    /// The entry of `cluster`.
    pub(super) fn link<D: Read + Write + Seek>(
        self,
        volume: &SharedCache<D>,
        cluster: u32,
    ) -> io::Result<Link> {
        let mut bytes = [0; 4];
        let length = if self.kind == FatKind::Fat32 { 4 } else { 2 };
        volume.read_at(self.offset(cluster), &mut bytes[..length])?;
        let entry = u32::from_le_bytes(bytes);
        let odd = self.kind == FatKind::Fat12 && cluster % 2 == 1;
        Ok(self.kind.link(if odd { entry >> 4 } else { entry }))
    }

    /// Calls `visit` for the first cluster of every stretch of the table with its entries as they are on disk. Entries 0 and 1
    /// belong to no cluster.
    fn stretches<D: Read + Write + Seek>(
        self,
        volume: &SharedCache<D>,
        mut visit: impl FnMut(Range<u32>, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let step = (CHUNK as u64 * 8 / self.kind.bits()) as u32;
        let mut first = 0;
        while first < self.entries {
            let end = first.saturating_add(step).min(self.entries);
            let bits = u64::from(end - first) * self.kind.bits();
            let mut bytes = [0; CHUNK];
            let bytes = &mut bytes[..bits.div_ceil(8) as usize];
            volume.read_at(self.offset(first), bytes)?;
            visit(first..end, bytes)?;
            first = end;
        }
        Ok(())
    }

    /// The entry at `index` of a stretch.
    fn entry(self, stretch: &[u8], index: usize) -> Link {
        let at = index * self.kind.bits() as usize / 8;
        let mut bytes = [0; 4];
        for (byte, found) in bytes.iter_mut().zip(stretch.get(at..).unwrap_or_default()) {
            *byte = *found;
        }
        let entry = u32::from_le_bytes(bytes);
        let odd = self.kind == FatKind::Fat12 && index % 2 == 1;
        self.kind.link(if odd { entry >> 4 } else { entry })
    }

    /// Calls `visit` with every cluster that is not free. Returns the number of free ones.
    pub(super) fn visit_used<D: Read + Write + Seek>(
        self,
        volume: &SharedCache<D>,
        mut visit: impl FnMut(u32, Link),
    ) -> io::Result<u32> {
        let mut free = 0;
        self.stretches(volume, |clusters, bytes| {
            if is_zero(bytes) {
                free += clusters.end.saturating_sub(clusters.start.max(2));
                return Ok(());
            }
            for (index, cluster) in clusters.enumerate() {
                match self.entry(bytes, index) {
                    _ if cluster < 2 => {}
                    Link::Free => free += 1,
                    link => visit(cluster, link),
                }
            }
            Ok(())
        })?;
        Ok(free)
    }

    /// Where `self` and `other` differ: the first cluster, and the number of them.
    pub(super) fn differences<D: Read + Write + Seek>(
        self,
        other: Self,
        volume: &SharedCache<D>,
    ) -> io::Result<Option<(u32, u32)>> {
        let mut found: Option<(u32, u32)> = None;
        self.stretches(volume, |clusters, bytes| {
            let mut copy = [0; CHUNK];
            let copy = &mut copy[..bytes.len()];
            volume.read_at(other.offset(clusters.start), copy)?;
            if bytes == copy {
                return Ok(());
            }
            let differing = clusters
                .enumerate()
                .filter(|(_, cluster)| *cluster >= 2)
                .filter(|(index, _)| self.entry(bytes, *index) != self.entry(copy, *index));
            for (_, cluster) in differing {
                found.get_or_insert((cluster, 0)).1 += 1;
            }
            Ok(())
        })?;
        Ok(found)
    }
}
