//! Makes an empty volume.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use super::{FatError, FatVolume};
use crate::page_cache::SharedCache;
use crate::partitions::SECTOR;

/// Offset of the field `BPB_HiddSec` in the boot sector: sectors in front of the volume.
const HIDDEN_SECTORS_OFFSET: u64 = 0x1c;
/// Where a FAT32 volume has the copy of its boot sector.
const FAT32_BACKUP_BOOT_SECTOR: u64 = 6;

/// The width of a volume's allocation table. The number of clusters decides it, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FatKind {
    /// Found on small images; never made here.
    Fat12,
    /// 4 MiB to 2 GiB, the kind that the ROM of every Pi reads.
    Fat16,
    /// From 34 MiB.
    Fat32,
}

/// The parameters of a new volume.
#[derive(Debug, Clone, Copy)]
pub struct FatFormat {
    /// Width of the table.
    pub kind: FatKind,
    /// Serial number of the volume.
    pub volume_id: u32,
    /// Label, upper case, padded with spaces.
    pub label: [u8; 11],
}

impl std::fmt::Display for FatKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fat12 => "FAT12",
            Self::Fat16 => "FAT16",
            Self::Fat32 => "FAT32",
        })
    }
}

impl<D: Read + Write + Seek> FatVolume<D> {
    /// Makes an empty volume of the bytes `window` of `disk`, which must hold zeros.
    ///
    /// # Errors
    /// [`FatError::Format`] when the size does not suit the kind, [`FatError::WriteBack`] when the disk fails.
    pub fn format(disk: D, window: &Range<u64>, format: &FatFormat) -> Result<Self, FatError> {
        let size = window.end.saturating_sub(window.start);
        let unsuitable = || FatError::Format {
            kind: format.kind,
            size,
        };
        let cluster = cluster_size(format.kind, size).ok_or_else(unsuitable)?;
        let kind = match format.kind {
            FatKind::Fat12 => fatfs::FatType::Fat12,
            FatKind::Fat16 => fatfs::FatType::Fat16,
            FatKind::Fat32 => fatfs::FatType::Fat32,
        };
        let options = fatfs::FormatVolumeOptions::new()
            .fat_type(kind)
            .bytes_per_cluster(cluster)
            .heads(255)
            .sectors_per_track(63)
            .volume_id(format.volume_id)
            .volume_label(format.label);
        let mut cache = SharedCache::new(disk, window);
        fatfs::format_volume(&mut cache, options).map_err(|_| unsuitable())?;
        set_hidden_sectors(&mut cache, window.start / SECTOR, format.kind)
            .map_err(FatError::WriteBack)?;
        let volume = Self::mount(cache)?;
        volume.count_free()?;
        if volume.kind() == format.kind {
            Ok(volume)
        } else {
            Err(unsuitable())
        }
    }
}

/// The smallest cluster with which a volume of `size` bytes has few enough of them for its kind, or `None`.
fn cluster_size(kind: FatKind, size: u64) -> Option<u32> {
    // From the specification, with some room below each limit for the tables, which the library subtracts exactly.
    let clusters = match kind {
        FatKind::Fat12 => 1..4085,
        FatKind::Fat16 => 4120..65_525,
        FatKind::Fat32 => 66_000..1 << 28,
    };
    // More than the smallest possible number of clusters costs time and table space; 4 KiB is what FAT32 tools choose.
    let smallest: u32 = if kind == FatKind::Fat32 && size >= 512 << 20 {
        4096
    } else {
        512
    };
    let sizes = std::iter::successors(Some(smallest), |size| size.checked_mul(2))
        .take_while(|size| *size <= 32_768);
    sizes
        .into_iter()
        .find(|cluster| clusters.contains(&(size / u64::from(*cluster))))
}

/// The library leaves the field 0, which is right only for a volume without a partition table in front.
fn set_hidden_sectors<D: Write + Seek>(
    cache: &mut D,
    sectors: u64,
    kind: FatKind,
) -> io::Result<()> {
    let sectors = u32::try_from(sectors).map_err(|_| io::ErrorKind::InvalidInput)?;
    let copies: &[u64] = match kind {
        FatKind::Fat32 => &[0, FAT32_BACKUP_BOOT_SECTOR],
        FatKind::Fat12 | FatKind::Fat16 => &[0],
    };
    for sector in copies {
        cache.seek(SeekFrom::Start(sector * SECTOR + HIDDEN_SECTORS_OFFSET))?;
        cache.write_all(&sectors.to_le_bytes())?;
    }
    Ok(())
}
