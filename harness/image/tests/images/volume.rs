//! Where the parts of a FAT volume are, for tests that damage it.

use std::ops::Range;

/// Bytes of an entry in a directory.
const ENTRY: usize = 32;

/// A FAT16 volume inside an image in memory. All offsets are bytes of the image.
pub(crate) struct Volume {
    /// The partition.
    pub(crate) window: Range<usize>,
    /// The tables.
    pub(crate) tables: [usize; 2],
    /// The root directory.
    pub(crate) root: usize,
    data: usize,
    cluster: usize,
    clusters: usize,
}

impl Volume {
    /// The volume in `window` of `image`, which must be sound.
    pub(crate) fn new(image: &[u8], window: Range<usize>) -> Self {
        let sector = &image[window.start..];
        let word = |at: usize| usize::from(u16::from_le_bytes([sector[at], sector[at + 1]]));
        let table = window.start + word(14) * 512;
        let table_bytes = word(22) * 512;
        let root = table + 2 * table_bytes;
        let data = root + word(17) * ENTRY;
        let cluster = usize::from(sector[13]) * 512;
        Self {
            tables: [table, table + table_bytes],
            root,
            data,
            cluster,
            clusters: (window.end - data) / cluster,
            window,
        }
    }

    /// Where the entry of this short name is.
    pub(crate) fn entry(&self, image: &[u8], name: &[u8; 11]) -> usize {
        let entries = image[self.root..self.window.end].chunks(ENTRY);
        let index = entries
            .into_iter()
            .position(|entry| entry.starts_with(name));
        self.root + ENTRY * index.unwrap_or_else(|| panic!("no {}", name.escape_ascii()))
    }

    /// The first cluster of a file.
    pub(crate) fn first_cluster(&self, image: &[u8], name: &[u8; 11]) -> u16 {
        let at = self.entry(image, name) + 26;
        u16::from_le_bytes([image[at], image[at + 1]])
    }

    /// Where a cluster is.
    pub(crate) fn cluster(&self, cluster: u16) -> usize {
        self.data + usize::from(cluster - 2) * self.cluster
    }

    /// The number behind the last cluster's.
    pub(crate) fn end(&self) -> u16 {
        (self.clusters + 2) as u16
    }

    /// Says in both tables what follows a cluster.
    pub(crate) fn link(&self, image: &mut [u8], cluster: u16, next: u16) {
        for table in self.tables {
            let at = table + 2 * usize::from(cluster);
            image[at..at + 2].copy_from_slice(&next.to_le_bytes());
        }
    }

    /// Marks every free cluster as used and last of a file that is nowhere, but for `spare` of them.
    pub(crate) fn fill(&self, image: &mut [u8], spare: usize) {
        let free: Vec<u16> = (2..self.end())
            .filter(|cluster| {
                let at = self.tables[0] + 2 * usize::from(*cluster);
                image[at..at + 2] == [0, 0]
            })
            .collect();
        for cluster in &free[spare..] {
            self.link(image, *cluster, 0xffff);
        }
    }
}
