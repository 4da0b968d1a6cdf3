//! Writes to a qcow2 file: into clusters that it has, or into new ones at its end.
//!
//! Reference counts are not kept. The file is marked dirty instead, so that QEMU counts them again before it writes to it; readers ignore the
//! mark. Source: QEMU's docs/interop/qcow2, "Incompatible features".

use std::io;
use std::os::unix::fs::FileExt;

use super::{ALL_ZEROS, COMPRESSED, DIRTY, OFFSET_MASK, Qcow2, Qcow2Error};

/// Of an entry: the cluster belongs to nobody else.
const COPIED: u64 = 1 << 63;
/// Where the header has the incompatible features.
const FEATURES: u64 = 72;

impl Qcow2 {
    /// Where in the file a cluster's bytes are, if they lie there as they are and in full.
    pub(in super::super) fn place(&self, entry: u64) -> Option<u64> {
        let place = entry & OFFSET_MASK;
        let is_plain = entry & COMPRESSED == 0 && !(self.is_v3 && entry & ALL_ZEROS != 0);
        let end = place.checked_add(self.cluster_bytes() as u64)?;
        (is_plain && place != 0 && end <= self.file_length).then_some(place)
    }

    /// Reads from a place of the file that [`place`](Self::place) has given.
    pub(in super::super) fn read_at(&self, bytes: &mut [u8], place: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, place)
    }

    /// Writes to a place of the file that [`place`](Self::place) has given.
    pub(in super::super) fn write_at(&self, bytes: &[u8], place: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, place)
    }

    /// Puts a cluster of the disk, which begins at its byte `start`, at the end of the file. Returns its L2 entry.
    pub(in super::super) fn append(
        &mut self,
        start: u64,
        cluster: &[u8],
    ) -> Result<u64, Qcow2Error> {
        if self.is_v3 && !self.is_dirty {
            let mut before = [0; 8];
            self.file.read_exact_at(&mut before, FEATURES)?;
            let features = u64::from_be_bytes(before) | DIRTY;
            self.file.write_all_at(&features.to_be_bytes(), FEATURES)?;
            self.is_dirty = true;
        }
        let number = start >> self.cluster_bits;
        let per_table = self.cluster_bytes() as u64 / 8;
        let (index, within) = (number / per_table, number % per_table);
        let damaged = Qcow2Error::Damaged {
            what: "an L1 table of an impossible size",
            offset: 36,
        };
        let of_l1 = self.l1.get(index as usize).copied();
        let table = match of_l1.ok_or(damaged)? & OFFSET_MASK {
            0 => {
                let place = self.append_bytes(&vec![0; self.cluster_bytes()])?;
                let entry = place | COPIED;
                let at = self.l1_place + 8 * index;
                self.file.write_all_at(&entry.to_be_bytes(), at)?;
                if let Some(of_l1) = self.l1.get_mut(index as usize) {
                    *of_l1 = entry;
                }
                place
            }
            place => place,
        };
        let entry = self.append_bytes(cluster)? | COPIED;
        let at = table + 8 * within;
        self.file.write_all_at(&entry.to_be_bytes(), at)?;
        Ok(entry)
    }

    /// Puts a cluster at the end of the file, and returns where that is.
    fn append_bytes(&mut self, cluster: &[u8]) -> io::Result<u64> {
        let length = self.cluster_bytes() as u64;
        let place = self.file_length.next_multiple_of(length);
        self.file.write_all_at(cluster, place)?;
        self.file_length = place + length;
        Ok(place)
    }
}
