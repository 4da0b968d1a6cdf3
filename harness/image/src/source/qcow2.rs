//! Reads QEMU's copy-on-write format into a raw image, and writes to a file of it ([`append`]).
//!
//! Our own, because `qemu-img` is often not installed and the crates for the format bring a runtime of their own. It reads one
//! file of versions 2 and 3, with clusters packed by deflate or zstd. What it does not read is named: backing files,
//! encryption, external data files, subclusters. Snapshots are passed over. Source: QEMU's docs/interop/qcow2.

mod append;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use flate2::read::DeflateDecoder;

use crate::LIMITS;
use crate::page_cache::is_zero;

const HEADER_LENGTH: usize = 112;
/// Version 2 has a header of this length.
const HEADER_LENGTH_V2: u32 = 72;
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;
/// Bits 9 to 55 of an entry are a place in the file.
const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
/// Of a standard cluster in version 3: it reads as zeros.
const ALL_ZEROS: u64 = 1;
/// QEMU's own bound for the L1 table.
const MAX_L1_BYTES: u64 = 32 << 20;

/// Incompatible features, by their bits.
const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;
const ZSTD: u8 = 1;

/// Why a qcow2 file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Qcow2Error {
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A field is impossible.
    #[error("damaged: {what} at byte {offset}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
        /// Byte offset in the file.
        offset: u64,
    },
    /// The file is whole, but needs something that is not read here.
    #[error("it has {0}, which is not read here; convert it with `qemu-img convert -O raw`")]
    Unsupported(&'static str),
    /// The disk in it is larger than any card.
    #[error("its disk has {0} bytes, more than an image may have")]
    TooLarge(u64),
    /// The disk in it holds more than is unpacked.
    #[error("its disk has more than {0} bytes that are not zero")]
    TooMuch(u64),
}

/// Writes the disk in the file `input` to `output`, which must be empty. Zeros become holes.
pub(super) fn convert(input: &File, output: &File) -> Result<(), Qcow2Error> {
    let disk = Qcow2::open(input.try_clone()?, Backing::Refused)?;
    output.set_len(disk.size)?;
    let mut cluster = vec![0; disk.cluster_bytes()];
    let mut data = 0;
    disk.each_cluster(|start, entry| {
        if disk.read_cluster(entry, &mut cluster)? {
            let length = (disk.size - start).min(cluster.len() as u64) as usize;
            let bytes = cluster.get(..length).unwrap_or_default();
            if !is_zero(bytes) {
                // One cluster of the file may stand for all of the disk.
                data += bytes.len() as u64;
                if data > LIMITS.image_data {
                    return Err(Qcow2Error::TooMuch(LIMITS.image_data));
                }
                output.write_all_at(bytes, start)?;
            }
        }
        Ok(())
    })
}

/// What becomes of a file that lies over another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backing {
    Refused,
    /// The caller knows the other one. What the file itself says of it is of no interest.
    Known,
}

/// A qcow2 file that is open.
#[derive(Debug)]
pub(super) struct Qcow2 {
    file: File,
    file_length: u64,
    /// Bytes of its disk.
    pub(super) size: u64,
    cluster_bits: u32,
    has_zstd: bool,
    is_v3: bool,
    /// It is marked: what it says of its reference counts is not so.
    is_dirty: bool,
    l1_place: u64,
    l1: Vec<u64>,
}

impl Qcow2 {
    pub(super) fn open(file: File, backing: Backing) -> Result<Self, Qcow2Error> {
        let file_length = file.metadata()?.len();
        let mut header = [0; HEADER_LENGTH];
        let length = file_length.min(HEADER_LENGTH as u64) as usize;
        file.read_exact_at(header.get_mut(..length).unwrap_or_default(), 0)?;
        let u32_at = |at: usize| {
            header[at..]
                .first_chunk()
                .map_or(0, |b| u32::from_be_bytes(*b))
        };
        let u64_at = |at: usize| {
            header[at..]
                .first_chunk()
                .map_or(0, |b| u64::from_be_bytes(*b))
        };
        let damaged = |what, offset| Err(Qcow2Error::Damaged { what, offset });
        let unsupported = |what| Err(Qcow2Error::Unsupported(what));

        let version = u32_at(4);
        let is_v3 = match version {
            2 => false,
            3 => true,
            _ => return unsupported("another version of the format"),
        };
        let header_length = if is_v3 { u32_at(100) } else { HEADER_LENGTH_V2 };
        let features = if is_v3 { u64_at(72) } else { 0 };
        let compression = if header_length > 104 { header[104] } else { 0 };
        match features {
            _ if u64_at(8) != 0 && backing == Backing::Refused => {
                return unsupported("a backing file");
            }
            _ if u32_at(32) != 0 => return unsupported("encryption"),
            _ if features & CORRUPT != 0 => return damaged("QEMU has marked it as corrupt", 72),
            _ if features & EXTERNAL_DATA != 0 => return unsupported("an external data file"),
            _ if features & EXTENDED_L2 != 0 => return unsupported("subclusters"),
            _ if features & !(DIRTY | COMPRESSION_TYPE) != 0 => {
                return unsupported("an unknown feature");
            }
            _ if compression > ZSTD => return unsupported("an unknown compression"),
            _ => {}
        }
        let (cluster_bits, size) = (u32_at(20), u64_at(24));
        if !CLUSTER_BITS.contains(&cluster_bits) {
            return damaged("an impossible size of clusters", 20);
        }
        if size > LIMITS.image {
            return Err(Qcow2Error::TooLarge(size));
        }
        // Each entry stands for a table of one cluster, which stands for 8-byte entries of a cluster each.
        let needed = size.div_ceil(1 << (2 * cluster_bits - 3));
        let l1_entries = u64::from(u32_at(36));
        if l1_entries < needed || needed * 8 > MAX_L1_BYTES {
            return damaged("an L1 table of an impossible size", 36);
        }
        let mut disk = Self {
            file,
            file_length,
            size,
            cluster_bits,
            has_zstd: compression == ZSTD,
            is_v3,
            is_dirty: features & DIRTY != 0,
            l1_place: u64_at(40),
            l1: Vec::new(),
        };
        let mut l1 = vec![0; needed as usize * 8];
        disk.read_inside(
            disk.l1_place,
            &mut l1,
            "an L1 table that is not in the file",
        )?;
        disk.l1 = l1
            .as_chunks::<8>()
            .0
            .iter()
            .map(|b| u64::from_be_bytes(*b))
            .collect();
        Ok(disk)
    }

    /// Bytes of a cluster.
    pub(super) fn cluster_bytes(&self) -> usize {
        1 << self.cluster_bits
    }

    /// Every L2 entry in order, with the byte of the disk at which its cluster begins. Those that say nothing are passed over.
    pub(super) fn each_cluster(
        &self,
        mut each: impl FnMut(u64, u64) -> Result<(), Qcow2Error>,
    ) -> Result<(), Qcow2Error> {
        let mut table = vec![0; self.cluster_bytes()];
        let entries_per_table = (table.len() / 8) as u64;
        for (index, l1_entry) in (0..).zip(&self.l1) {
            let place = l1_entry & OFFSET_MASK;
            if place == 0 {
                continue;
            }
            self.read_inside(place, &mut table, "an L2 table that is not in the file")?;
            for (l2_index, entry) in (0..).zip(table.as_chunks::<8>().0) {
                let number: u64 = index * entries_per_table + l2_index;
                let start = number << self.cluster_bits;
                if start >= self.size {
                    break;
                }
                match u64::from_be_bytes(*entry) {
                    0 => {}
                    entry => each(start, entry)?,
                }
            }
        }
        Ok(())
    }

    /// Reads what an L2 entry stands for; `false` for zeros.
    pub(super) fn read_cluster(&self, entry: u64, cluster: &mut [u8]) -> Result<bool, Qcow2Error> {
        if entry & COMPRESSED != 0 {
            self.read_compressed(entry, cluster)?;
            return Ok(true);
        }
        let place = entry & OFFSET_MASK;
        if place == 0 || self.is_v3 && entry & ALL_ZEROS != 0 {
            return Ok(false);
        }
        // The last cluster of a file may be cut off where its disk ends.
        let length = cluster
            .len()
            .min(self.file_length.saturating_sub(place) as usize);
        let (there, missing) = cluster.split_at_mut(length);
        missing.fill(0);
        if there.is_empty() {
            let what = "a cluster that is not in the file";
            return Err(Qcow2Error::Damaged {
                what,
                offset: place,
            });
        }
        self.file.read_exact_at(there, place)?;
        Ok(true)
    }

    fn read_compressed(&self, entry: u64, cluster: &mut [u8]) -> Result<(), Qcow2Error> {
        let offset_bits = 62 - (self.cluster_bits - 8);
        let place = entry & ((1 << offset_bits) - 1);
        let sectors = (entry & (COMPRESSED - 1)) >> offset_bits;
        let length = (sectors + 1) * 512 - place % 512;
        let length = length.min(self.file_length.saturating_sub(place));
        let mut packed = vec![0; length as usize];
        let damaged = |_| Qcow2Error::Damaged {
            what: "a packed cluster that cannot be unpacked",
            offset: place,
        };
        self.file.read_exact_at(&mut packed, place)?;
        match self.has_zstd {
            true => zstd::Decoder::new(&packed[..])
                .and_then(|mut decoder| decoder.read_exact(cluster))
                .map_err(damaged),
            false => DeflateDecoder::new(&packed[..])
                .read_exact(cluster)
                .map_err(damaged),
        }
    }

    fn read_inside(
        &self,
        place: u64,
        bytes: &mut [u8],
        what: &'static str,
    ) -> Result<(), Qcow2Error> {
        let end = place.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > self.file_length) {
            return Err(Qcow2Error::Damaged {
                what,
                offset: place,
            });
        }
        Ok(self.file.read_exact_at(bytes, place)?)
    }
}

#[cfg(test)]
pub(super) mod tests;
