//! Which bytes of the disk belong to a file and which to none, so that nothing of an old identity stays in them.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::ops::Range;

use super::boot_sector::Geometry;
use super::table::{Link, Table};
use super::{FatError, FatVolume, Finding};
use crate::page_cache::SharedCache;
use crate::partitions::SECTOR;

/// Where on `disk` the contents of a file are that the FAT volume in the bytes `window` has, in bytes of the disk: whole clusters, neighbours
/// joined.
///
/// # Errors
/// The volume is damaged or cannot be read, or there is no such file in it.
pub fn places_of_file(
    disk: &File,
    window: &Range<u64>,
    path: &str,
) -> Result<Vec<Range<u64>>, FatError> {
    let first = FatVolume::open(disk, window)?.first_byte(path)?;
    match first {
        Some(first) => ClusterMap::read(disk, window)?.chain(window.start + first),
        None => Ok(Vec::new()),
    }
}

/// The clusters of a volume on a disk `D`.
pub(crate) struct ClusterMap<D> {
    volume: SharedCache<D>,
    geometry: Geometry,
    table: Table,
    /// Start of the volume on the disk.
    start: u64,
}

impl<D: Read + Write + Seek> ClusterMap<D> {
    /// Reads the boot sector of the volume in the bytes `window` of `disk`.
    pub(crate) fn read(disk: D, window: &Range<u64>) -> Result<Self, FatError> {
        let volume = SharedCache::new(disk, window);
        let mut sector = [0; SECTOR as usize];
        volume.read_at(0, &mut sector).map_err(FatError::Read)?;
        let room = window.end.saturating_sub(window.start);
        let geometry = Geometry::parse(&sector, room).map_err(|(at, fault)| FatError::Damaged {
            first: Finding {
                offset: window.start + at,
                file: None,
                fault,
            },
            others: 0,
        })?;
        Ok(Self {
            table: Table::new(&geometry, 0),
            volume,
            geometry,
            start: window.start,
        })
    }

    /// The bytes of the disk that no file has, neighbours joined.
    pub(crate) fn free(&self) -> Result<Vec<Range<u64>>, FatError> {
        let mut free = Vec::new();
        let mut next = 2;
        self.table
            .visit_used(&self.volume, |used, _| {
                free.push(self.bytes(next..used));
                next = used + 1;
            })
            .map_err(FatError::Read)?;
        free.push(self.bytes(next..self.geometry.clusters + 2));
        free.retain(|range| !range.is_empty());
        Ok(free)
    }

    /// The bytes of the file that has its first byte at `start` on the disk, neighbours joined.
    pub(crate) fn chain(&self, start: u64) -> Result<Vec<Range<u64>>, FatError> {
        let mut chain: Vec<Range<u64>> = Vec::new();
        let mut cluster = start
            .checked_sub(self.start)
            .and_then(|offset| self.geometry.cluster_at(offset));
        // A chain that is longer than the table runs in a circle.
        for _ in 0..self.geometry.clusters {
            let Some(number) = cluster.filter(|number| self.geometry.has_cluster(*number)) else {
                break;
            };
            let bytes = self.bytes(number..number + 1);
            match chain.last_mut() {
                Some(last) if last.end == bytes.start => last.end = bytes.end,
                _ => chain.push(bytes),
            }
            let link = self.table.link(&self.volume, number);
            cluster = match link.map_err(FatError::Read)? {
                Link::Next(next) => Some(next),
                Link::Free | Link::End | Link::Bad => None,
            };
        }
        Ok(chain)
    }

    fn bytes(&self, clusters: Range<u32>) -> Range<u64> {
        let [start, end] = [clusters.start, clusters.end]
            .map(|cluster| self.start + self.geometry.cluster_offset(cluster));
        start..end
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::fat::{FatFormat, FatKind, FatVolume};

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
            let runs = map.free().unwrap();
            let chain = map.chain(window.start + first).unwrap();
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
            let bytes: Vec<u8> = chain
                .iter()
                .flat_map(|run| &disk[run.start as usize..run.end as usize])
                .copied()
                .collect();
            assert!(bytes.starts_with(&contents), "{kind:?}");
        }
    }

    #[test]
    fn the_places_of_a_file_are_on_the_disk() {
        let mut disk = tempfile::tempfile().unwrap();
        let window = MIB..5 * MIB;
        disk.set_len(window.end).unwrap();
        let format = FatFormat {
            kind: FatKind::Fat16,
            volume_id: 1,
            label: *b"TEST       ",
        };
        let volume = FatVolume::format(&disk, &window, &format).unwrap();
        volume.write("a/file", &[5; 10_000][..]).unwrap();
        volume.write("empty", &[][..]).unwrap();
        volume.finish().unwrap();
        let places = places_of_file(&disk, &window, "A/FILE").unwrap();
        let [place] = &*places else {
            panic!("{places:?}");
        };
        let mut bytes = vec![0; 10_000];
        disk.seek(std::io::SeekFrom::Start(place.start)).unwrap();
        disk.read_exact(&mut bytes).unwrap();
        assert!(bytes == [5; 10_000] && place.end - place.start >= 10_000);
        assert_eq!(places_of_file(&disk, &window, "empty").unwrap(), []);
        let error = places_of_file(&disk, &window, "gone").unwrap_err();
        assert!(matches!(error, FatError::NotFound(_)), "{error}");
    }

    proptest! {
        #[test]
        fn any_boot_sector_is_read_or_refused(head in proptest::collection::vec(any::<u8>(), 64), table in proptest::collection::vec(any::<u8>(), 4096)) {
            let mut disk = [&head[..], &[0; 446], &[0x55, 0xaa], &table].concat();
            disk[11..13].copy_from_slice(&512_u16.to_le_bytes());
            let window = 0..disk.len() as u64;
            if let Ok(map) = ClusterMap::read(Cursor::new(&mut disk[..]), &window) {
                if let Ok(free) = map.free() {
                    prop_assert!(free.iter().all(|run| run.end <= window.end));
                }
                let _ = map.chain(map.geometry.data);
            }
        }
    }
}
