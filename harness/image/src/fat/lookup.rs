//! Where the first cluster of a file or directory is, by the volume's own directories: the library that writes files tells nobody.

use std::io::{self, ErrorKind, Read, Seek, Write};
use std::ops::Range;

use super::FatKind;
use super::boot_sector::{Geometry, Root};
use super::directory::Record;
use super::name::{ENTRY, LongName, short_text};
use super::table::{Link, Table};
use crate::page_cache::SharedCache;
use crate::partitions::SECTOR;

/// A file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Its first cluster; 0 for none, and for a root directory in front of the clusters.
    cluster: u32,
    /// Its first byte in the volume; `None` when it has no cluster.
    pub(super) start: Option<u64>,
    /// Whether it is a directory.
    pub(super) is_directory: bool,
}

/// The file or directory at `path`, whose parts are separated by `/` and compared without regard to case. The volume must have passed the check:
/// nothing here looks for circles.
///
/// # Errors
/// The disk cannot be read, or its boot sector is no longer one.
pub(super) fn find<D: Read + Write + Seek>(
    volume: &SharedCache<D>,
    path: &str,
) -> io::Result<Option<Found>> {
    let mut sector = [0; SECTOR as usize];
    volume.read_at(0, &mut sector)?;
    let geometry = Geometry::parse(&sector, u64::MAX);
    let geometry = geometry.map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
    let lookup = Lookup {
        volume,
        table: Table::new(&geometry, 0),
        geometry: &geometry,
    };
    let mut found = lookup.root();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        if !found.is_directory {
            return Ok(None);
        }
        match lookup.entry(found, name)? {
            Some(entry) => found = entry,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

struct Lookup<'a, D> {
    volume: &'a SharedCache<D>,
    geometry: &'a Geometry,
    table: Table,
}

impl<D: Read + Write + Seek> Lookup<'_, D> {
    fn found(&self, cluster: u32, is_directory: bool) -> Found {
        let has_cluster = self.geometry.has_cluster(cluster);
        Found {
            cluster,
            start: has_cluster.then(|| self.geometry.cluster_offset(cluster)),
            is_directory,
        }
    }

    fn root(&self) -> Found {
        match self.geometry.root {
            Root::Fixed { .. } => self.found(0, true),
            Root::Chain { first } => self.found(first, true),
        }
    }

    /// Where the entries of a directory are.
    fn parts(&self, directory: Found) -> io::Result<Vec<Range<u64>>> {
        if let (Root::Fixed { start, bytes }, 0) = (self.geometry.root, directory.cluster) {
            return Ok(std::iter::once(start..start + bytes).collect());
        }
        let mut parts = Vec::new();
        let mut cluster = directory.cluster;
        // A chain that is longer than the table runs in a circle.
        for _ in 0..self.geometry.clusters {
            if !self.geometry.has_cluster(cluster) {
                break;
            }
            let start = self.geometry.cluster_offset(cluster);
            parts.push(start..start + u64::from(self.geometry.cluster_bytes));
            match self.table.link(self.volume, cluster)? {
                Link::Next(next) => cluster = next,
                Link::Free | Link::End | Link::Bad => break,
            }
        }
        Ok(parts)
    }

    /// The entry of this name in a directory.
    fn entry(&self, directory: Found, name: &str) -> io::Result<Option<Found>> {
        let is_fat32 = self.geometry.kind == FatKind::Fat32;
        let wanted = name.to_uppercase();
        let mut long_name = LongName::default();
        for part in self.parts(directory)? {
            for at in part.step_by(ENTRY) {
                let mut bytes = [0; ENTRY];
                self.volume.read_at(at, &mut bytes)?;
                match Record::decode(&bytes, is_fat32) {
                    Record::End => return Ok(None),
                    // Parts that belong to no file are no name of the next one.
                    Record::LongName(part) => _ = long_name.add(&part),
                    Record::Entry(entry) => {
                        let long = long_name.take(&entry.short_name).unwrap_or_default();
                        let names = [long, Some(short_text(&entry.short_name))];
                        let mut names = names.into_iter().flatten();
                        if names.any(|name| name.to_uppercase() == wanted) {
                            return Ok(Some(self.found(entry.cluster, entry.is_directory)));
                        }
                    }
                    Record::Deleted | Record::Label | Record::Contradiction(_) => {
                        long_name = LongName::default();
                    }
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::fat::{FatFormat, FatVolume};

    #[test]
    fn every_file_and_directory_is_found_where_its_bytes_are() {
        for (kind, size) in [
            (FatKind::Fat12, 1 << 20),
            (FatKind::Fat16, 4 << 20),
            (FatKind::Fat32, 48 << 20),
        ] {
            let mut disk = vec![0; size];
            let window = 0..size as u64;
            let format = FatFormat {
                kind,
                volume_id: 1,
                label: *b"TEST       ",
            };
            let volume = FatVolume::format(Cursor::new(&mut disk[..]), &window, &format).unwrap();
            // A directory of more than one cluster.
            let names: Vec<String> = (0..40)
                .map(|n| format!("sub/deep/a rather long name {n}"))
                .collect();
            for (number, name) in (1..).zip(&names) {
                volume.write(name, &[number; 700][..]).unwrap();
            }
            volume.write("empty", &[][..]).unwrap();
            volume.finish().unwrap();
            let cache = SharedCache::new(Cursor::new(&mut disk[..]), &window);
            for (number, name) in (1_u8..).zip(&names) {
                let found = find(&cache, &name.to_uppercase()).unwrap().unwrap();
                let mut bytes = [0; 512];
                cache.read_at(found.start.unwrap(), &mut bytes).unwrap();
                assert!(
                    bytes == [number; 512] && !found.is_directory,
                    "{kind}: {name}"
                );
            }
            let directory = find(&cache, "/Sub/deep").unwrap().unwrap();
            let mut entry = [0; 11];
            cache.read_at(directory.start.unwrap(), &mut entry).unwrap();
            assert!(directory.is_directory && entry == *b".          ", "{kind}");
            assert_eq!(find(&cache, "empty").unwrap().unwrap().start, None);
            for nothing in [
                "gone",
                "sub/gone",
                "empty/x",
                "sub/deep/a rather long name 0/x",
            ] {
                assert_eq!(find(&cache, nothing).unwrap(), None, "{kind}: {nothing}");
            }
        }
    }
}
