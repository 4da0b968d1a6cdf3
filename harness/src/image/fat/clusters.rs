//! The allocation table of a FAT volume, read apart from the FAT library, which keeps it to itself.
//!
//! It says which bytes of the disk belong to no file, so that nothing of an old identity stays in them.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use super::{FatError, FatKind};
use crate::image::LIMITS;

/// Cluster numbers begin here.
const FIRST_CLUSTER: u64 = 2;
/// Bits of an entry that FAT32 uses.
const FAT32_MASK: u32 = 0x0fff_ffff;

/// Where a volume's clusters are, and what the table says of each.
#[derive(Debug)]
pub(crate) struct ClusterMap {
    kind: FatKind,
    /// Byte offset of the first cluster on the disk.
    data: u64,
    cluster_bytes: u64,
    /// The table's entries, from cluster 2 on.
    entries: Vec<u32>,
}

impl ClusterMap {
    /// Reads the first table of the volume in the bytes `window` of `disk`.
    pub(crate) fn read<D: Read + Seek>(
        disk: &mut D,
        window: &Range<u64>,
    ) -> Result<Self, FatError> {
        let mut sector = [0; 512];
        let mut read_at = |offset: u64, bytes: &mut [u8]| {
            disk.seek(SeekFrom::Start(window.start + offset))
                .and_then(|_| disk.read_exact(bytes))
                .map_err(FatError::NoFileSystem)
        };
        read_at(0, &mut sector)?;
        let geometry = Geometry::parse(&sector).ok_or(FatError::Geometry)?;
        let table_bytes = geometry.table_bytes();
        let size = window.end.saturating_sub(window.start);
        let end = geometry
            .data
            .saturating_add(geometry.clusters * geometry.cluster_bytes);
        if table_bytes > LIMITS.allocation_table || table_bytes > geometry.table_room || end > size
        {
            return Err(FatError::Geometry);
        }
        let mut table = vec![0; table_bytes as usize];
        read_at(geometry.table, &mut table)?;
        Ok(Self {
            kind: geometry.kind,
            data: window.start + geometry.data,
            cluster_bytes: geometry.cluster_bytes,
            entries: geometry.entries(&table),
        })
    }

    /// The bytes of the disk that no file has, neighbours joined.
    pub(crate) fn free(&self) -> Vec<Range<u64>> {
        let free = (0..).zip(&self.entries).filter(|(_, entry)| **entry == 0);
        joined(free.map(|(index, _)| self.bytes(index)))
    }

    /// The bytes of the file that has its first byte at `start` on the disk, neighbours joined.
    pub(crate) fn chain(&self, start: u64) -> Vec<Range<u64>> {
        let mut chain = Vec::new();
        let mut index = start
            .checked_sub(self.data)
            .map(|bytes| bytes / self.cluster_bytes);
        // A chain that is longer than the table runs in a circle.
        while let Some(at) = index.filter(|_| chain.len() <= self.entries.len()) {
            let Some(entry) = usize::try_from(at).ok().and_then(|at| self.entries.get(at)) else {
                break;
            };
            chain.push(self.bytes(at));
            index = u64::from(*entry)
                .checked_sub(FIRST_CLUSTER)
                .filter(|_| *entry < self.end_of_chain());
        }
        joined(chain.into_iter())
    }

    fn end_of_chain(&self) -> u32 {
        match self.kind {
            FatKind::Fat12 => 0xff8,
            FatKind::Fat16 => 0xfff8,
            FatKind::Fat32 => 0x0fff_fff8,
        }
    }

    fn bytes(&self, index: u64) -> Range<u64> {
        let start = self.data + index * self.cluster_bytes;
        start..start + self.cluster_bytes
    }
}

/// Ranges with those that follow each other made one.
fn joined(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

/// What the boot sector says, in bytes from the start of the volume. Layout: FAT specification 1.03, "Boot Sector and BPB".
struct Geometry {
    kind: FatKind,
    table: u64,
    table_room: u64,
    data: u64,
    cluster_bytes: u64,
    clusters: u64,
}

impl Geometry {
    fn parse(sector: &[u8; 512]) -> Option<Self> {
        let byte = |at: usize| sector.get(at).map(|byte| u64::from(*byte));
        let word = |at: usize| {
            Some(u64::from(u16::from_le_bytes(
                *sector.get(at..)?.first_chunk()?,
            )))
        };
        let long = |at: usize| {
            Some(u64::from(u32::from_le_bytes(
                *sector.get(at..)?.first_chunk()?,
            )))
        };
        let either = |short: u64, long: u64| if short == 0 { long } else { short };
        let sector_bytes = word(11)?;
        let sectors_per_cluster = byte(13)?;
        let (reserved, tables, root_entries) = (word(14)?, byte(16)?, word(17)?);
        let total = either(word(19)?, long(32)?);
        let table_sectors = either(word(22)?, long(36)?);
        if !matches!(sector_bytes, 512 | 1024 | 2048 | 4096) || sectors_per_cluster == 0 {
            return None;
        }
        let root_sectors = (root_entries * 32).div_ceil(sector_bytes);
        let data = reserved + tables * table_sectors + root_sectors;
        let clusters = total.checked_sub(data)? / sectors_per_cluster;
        Some(Self {
            kind: match clusters {
                0..4085 => FatKind::Fat12,
                4085..65_525 => FatKind::Fat16,
                _ => FatKind::Fat32,
            },
            table: reserved * sector_bytes,
            table_room: table_sectors * sector_bytes,
            data: data * sector_bytes,
            cluster_bytes: sectors_per_cluster * sector_bytes,
            clusters,
        })
    }

    /// Bytes of the table with an entry for each cluster.
    fn table_bytes(&self) -> u64 {
        let entries = self.clusters + FIRST_CLUSTER;
        match self.kind {
            FatKind::Fat12 => (entries * 3).div_ceil(2),
            FatKind::Fat16 => entries * 2,
            FatKind::Fat32 => entries * 4,
        }
    }

    fn entries(&self, table: &[u8]) -> Vec<u32> {
        let all: Vec<u32> = match self.kind {
            FatKind::Fat12 => table
                .chunks(3)
                .flat_map(|three| {
                    let at = |index| u32::from(three.get(index).copied().unwrap_or(0));
                    [at(0) | (at(1) & 0xf) << 8, at(1) >> 4 | at(2) << 4]
                })
                .collect(),
            FatKind::Fat16 => {
                let words = table.as_chunks::<2>().0.iter();
                words.map(|word| u16::from_le_bytes(*word).into()).collect()
            }
            FatKind::Fat32 => {
                let longs = table.as_chunks::<4>().0.iter();
                longs
                    .map(|long| u32::from_le_bytes(*long) & FAT32_MASK)
                    .collect()
            }
        };
        let clusters = all.into_iter().skip(FIRST_CLUSTER as usize);
        clusters.take(self.clusters as usize).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::image::fat::{FatFormat, FatVolume};

    const MIB: u64 = 1 << 20;

    #[test]
    fn free_clusters_and_chains_are_where_the_library_has_them() {
        for (kind, size) in [
            (FatKind::Fat12, MIB),
            (FatKind::Fat16, 4 * MIB),
            (FatKind::Fat32, 48 * MIB),
        ] {
            let window = MIB..MIB + size;
            let mut disk = Cursor::new(vec![0; window.end as usize]);
            let format = FatFormat {
                kind,
                volume_id: 1,
                label: *b"TEST       ",
            };
            let volume = FatVolume::format(&mut disk, &window, &format).unwrap();
            let contents: Vec<u8> = (0..100_000_u32).map(|n| (n % 250) as u8 + 1).collect();
            volume.write("file", &contents[..]).unwrap();
            let first = volume.first_byte("file").unwrap().unwrap();
            let free = volume.free_bytes().unwrap();
            volume.finish().unwrap();
            let map = ClusterMap::read(&mut disk, &window).unwrap();
            let runs = map.free();
            assert_eq!(
                runs.iter().map(|run| run.end - run.start).sum::<u64>(),
                free,
                "{kind:?}"
            );
            let disk = disk.into_inner();
            assert!(runs.iter().all(|run| {
                disk[run.start as usize..run.end as usize]
                    .iter()
                    .all(|b| *b == 0)
            }));
            let chain = map.chain(window.start + first);
            let bytes: Vec<u8> = chain
                .iter()
                .flat_map(|run| &disk[run.start as usize..run.end as usize])
                .copied()
                .collect();
            assert!(bytes.starts_with(&contents), "{kind:?}");
        }
    }

    proptest! {
        #[test]
        fn any_boot_sector_is_read_or_refused(head in proptest::collection::vec(any::<u8>(), 64), table in proptest::collection::vec(any::<u8>(), 4096)) {
            let mut disk = [&head[..], &[0; 448], &table].concat();
            disk[11..13].copy_from_slice(&512_u16.to_le_bytes());
            let window = 0..disk.len() as u64;
            if let Ok(map) = ClusterMap::read(&mut Cursor::new(&disk), &window) {
                prop_assert!(map.free().iter().all(|run| run.end <= window.end));
                map.chain(map.data);
            }
        }
    }
}
