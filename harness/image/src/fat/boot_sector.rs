//! The boot sector of a volume: what it says is checked here, and becomes offsets and sizes that can be relied on.
//!
//! Fields have their names from the specification, section "Boot Sector and BPB".

use super::{FatKind, Fault};
use crate::LIMITS;
use crate::partitions::SECTOR;

const BYTES_PER_SECTOR: usize = 11;
const SECTORS_PER_CLUSTER: usize = 13;
const RESERVED_SECTORS: usize = 14;
const TABLES: usize = 16;
const ROOT_ENTRIES: usize = 17;
const TOTAL_SECTORS_16: usize = 19;
const MEDIA: usize = 21;
const TABLE_SECTORS_16: usize = 22;
const TOTAL_SECTORS_32: usize = 32;
const TABLE_SECTORS_32: usize = 36;
const STATUS_16: usize = 37;
const EXTENDED_FLAGS: usize = 40;
const VERSION: usize = 42;
const ROOT_CLUSTER: usize = 44;
const FREE_INFO: usize = 48;
const BACKUP: usize = 50;
const STATUS_32: usize = 65;
const SIGNATURE: usize = 510;

/// Set in the status byte while the volume is mounted, or when a disk error was met.
const STATUS_DIRTY: u8 = 0x03;
/// Bytes of a directory entry.
const ENTRY: u64 = 32;

/// Where the parts of a volume are, in bytes from its start.
#[derive(Debug, Clone)]
pub(super) struct Geometry {
    /// Width of the table.
    pub(super) kind: FatKind,
    /// Bytes of a cluster.
    pub(super) cluster_bytes: u32,
    /// Number of clusters. They are numbered from 2.
    pub(super) clusters: u32,
    /// Start of the first table.
    pub(super) table: u64,
    /// Bytes of each table.
    pub(super) table_bytes: u64,
    /// 1 or 2.
    pub(super) tables: u8,
    /// The root directory.
    pub(super) root: Root,
    /// Start of cluster 2.
    pub(super) data: u64,
    /// First byte behind the last sector.
    pub(super) end: u64,
    /// The media byte, which entry 0 of the tables has too.
    pub(super) media: u8,
    /// The status byte and where it is.
    pub(super) status: (u8, u64),
    /// What only FAT32 has.
    pub(super) fat32: Option<Fat32>,
}

/// Where the root directory is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Root {
    /// FAT12 and FAT16: in front of the clusters.
    Fixed {
        /// Its first byte.
        start: u64,
        /// Its size in bytes.
        bytes: u64,
    },
    /// FAT32: a chain of clusters like any directory.
    Chain {
        /// The first one.
        first: u32,
    },
}

/// Sectors that only FAT32 has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fat32 {
    /// The free space information.
    pub(super) free_info: u64,
    /// The copy of the boot sector, if there is one.
    pub(super) backup: Option<u64>,
}

/// A fault, and its offset in the boot sector.
pub(super) type Misfit = (u64, Fault);

impl Geometry {
    /// Reads the first sector of a volume that may have `room` bytes.
    pub(super) fn parse(sector: &[u8; SECTOR as usize], room: u64) -> Result<Self, Misfit> {
        let misfit = |at: usize, fault| Err((at as u64, fault));
        if !sector.ends_with(&[0x55, 0xaa]) {
            return misfit(SIGNATURE, Fault::NoBootSignature);
        }
        for (mark, name) in [(b"EXFAT   ", "exFAT"), (b"NTFS    ", "NTFS")] {
            if sector[3..].starts_with(mark) {
                return misfit(3, Fault::OtherFileSystem(name));
            }
        }
        let sector_bytes = u16_at(sector, BYTES_PER_SECTOR);
        if u64::from(sector_bytes) != SECTOR {
            return misfit(BYTES_PER_SECTOR, Fault::SectorSize(sector_bytes));
        }
        let per_cluster = sector[SECTORS_PER_CLUSTER];
        if !per_cluster.is_power_of_two() {
            return misfit(SECTORS_PER_CLUSTER, Fault::ClusterSize(per_cluster));
        }
        let reserved = u16_at(sector, RESERVED_SECTORS);
        if reserved == 0 {
            return misfit(RESERVED_SECTORS, Fault::NoReservedSectors);
        }
        let tables = sector[TABLES];
        if !matches!(tables, 1 | 2) {
            return misfit(TABLES, Fault::TableCount(tables));
        }
        let media = sector[MEDIA];
        if !matches!(media, 0xf0 | 0xf8..) {
            return misfit(MEDIA, Fault::Media(media));
        }
        // The field that tells FAT32 from the others before the clusters can be counted.
        let is_fat32 = u16_at(sector, TABLE_SECTORS_16) == 0;
        let (table_sectors, table_sectors_at) = if is_fat32 {
            (u32_at(sector, TABLE_SECTORS_32), TABLE_SECTORS_32)
        } else {
            (u16_at(sector, TABLE_SECTORS_16).into(), TABLE_SECTORS_16)
        };
        // The bound on tables bounds the clusters, and with them time and memory.
        let table_bytes = u64::from(table_sectors) * SECTOR;
        if table_bytes == 0 || table_bytes > LIMITS.allocation_table {
            return misfit(table_sectors_at, Fault::TableSize(table_sectors));
        }
        let root_entries = u16_at(sector, ROOT_ENTRIES);
        if (root_entries == 0) != is_fat32 {
            return misfit(ROOT_ENTRIES, Fault::RootEntries(root_entries));
        }
        let sectors = total_sectors(sector)?;
        if sectors * SECTOR > room {
            let room = room / SECTOR;
            return misfit(TOTAL_SECTORS_32, Fault::BehindPartition { sectors, room });
        }

        let root_start = u64::from(reserved) + u64::from(tables) * u64::from(table_sectors);
        let root_bytes = u64::from(root_entries) * ENTRY;
        let data = root_start + root_bytes.div_ceil(SECTOR);
        let clusters = sectors.saturating_sub(data) / u64::from(per_cluster);
        let kind = match clusters {
            0 => return misfit(table_sectors_at, Fault::NoClusters),
            1..4085 => FatKind::Fat12,
            4085..65_525 => FatKind::Fat16,
            _ => FatKind::Fat32,
        };
        if (kind == FatKind::Fat32) != is_fat32 {
            let fault = Fault::Kind {
                clusters,
                by_count: kind,
                laid_out: match is_fat32 {
                    true => FatKind::Fat32,
                    false => FatKind::Fat16,
                },
            };
            return misfit(table_sectors_at, fault);
        }
        let entries = (table_bytes * 8 / kind.bits()).saturating_sub(2);
        let too_small = Fault::TableTooSmall { clusters, entries };
        if clusters > entries {
            return misfit(table_sectors_at, too_small);
        }
        let clusters = u32::try_from(clusters).map_err(|_| (table_sectors_at as u64, too_small))?;
        let fat32 = is_fat32
            .then(|| fat32_sectors(sector, reserved, clusters))
            .transpose()?;
        let status_at = if is_fat32 { STATUS_32 } else { STATUS_16 };
        Ok(Self {
            kind,
            cluster_bytes: u32::from(per_cluster) * u32::from(sector_bytes),
            clusters,
            table: u64::from(reserved) * SECTOR,
            table_bytes,
            tables,
            root: if is_fat32 {
                Root::Chain {
                    first: u32_at(sector, ROOT_CLUSTER),
                }
            } else {
                Root::Fixed {
                    start: root_start * SECTOR,
                    bytes: root_bytes,
                }
            },
            data: data * SECTOR,
            end: sectors * SECTOR,
            media,
            status: (sector[status_at], status_at as u64),
            fat32,
        })
    }

    /// Whether there is a cluster of this number.
    pub(super) fn has_cluster(&self, cluster: u32) -> bool {
        cluster >= 2 && cluster - 2 < self.clusters
    }

    /// The cluster that a byte of the volume lies in.
    pub(super) fn cluster_at(&self, offset: u64) -> Option<u32> {
        let index = offset.checked_sub(self.data)? / u64::from(self.cluster_bytes);
        u32::try_from(index).ok()?.checked_add(2)
    }

    /// Where a cluster is, in bytes from the start of the volume.
    pub(super) fn cluster_offset(&self, cluster: u32) -> u64 {
        self.data + u64::from(cluster.saturating_sub(2)) * u64::from(self.cluster_bytes)
    }

    /// Whether the volume is marked as mounted or faulty.
    pub(super) fn is_dirty(&self) -> bool {
        self.status.0 & STATUS_DIRTY != 0
    }
}

/// The number of sectors, from whichever of its two fields is in use. A FAT32 volume has so many that the smaller field cannot hold
/// them; one that uses it has too few clusters, which is what is said of it then.
fn total_sectors(sector: &[u8; SECTOR as usize]) -> Result<u64, Misfit> {
    let small = u16_at(sector, TOTAL_SECTORS_16);
    let large = u32_at(sector, TOTAL_SECTORS_32);
    match (small, large) {
        (0, 0) => Err((TOTAL_SECTORS_32 as u64, Fault::SectorCount)),
        (0, large) => Ok(large.into()),
        (small, 0) => Ok(small.into()),
        _ => Err((TOTAL_SECTORS_16 as u64, Fault::SectorCount)),
    }
}

fn fat32_sectors(
    sector: &[u8; SECTOR as usize],
    reserved: u16,
    clusters: u32,
) -> Result<Fat32, Misfit> {
    let version = u16_at(sector, VERSION);
    if version != 0 {
        return Err((VERSION as u64, Fault::Version(version)));
    }
    if u16_at(sector, EXTENDED_FLAGS) & 0x80 != 0 {
        return Err((EXTENDED_FLAGS as u64, Fault::NotMirrored));
    }
    let root = u32_at(sector, ROOT_CLUSTER);
    if root < 2 || root - 2 >= clusters {
        return Err((ROOT_CLUSTER as u64, Fault::Start(root)));
    }
    let reserved_sector = |at: usize, what, allowed: std::ops::RangeInclusive<u16>| {
        let sector = u16_at(sector, at);
        if sector < reserved && allowed.contains(&sector) {
            Ok(u64::from(sector) * SECTOR)
        } else {
            Err((at as u64, Fault::NotReserved { what, sector }))
        }
    };
    let free_info = reserved_sector(FREE_INFO, "free space information", 1..=u16::MAX)?;
    // 0 stands for none.
    let backup = reserved_sector(BACKUP, "copy of the boot sector", 0..=u16::MAX)?;
    Ok(Fat32 {
        free_info,
        backup: (backup != 0).then_some(backup),
    })
}

fn u16_at(sector: &[u8; SECTOR as usize], at: usize) -> u16 {
    u16::from_le_bytes([sector[at], sector[at + 1]])
}

fn u32_at(sector: &[u8; SECTOR as usize], at: usize) -> u32 {
    u32::from(u16_at(sector, at)) | u32::from(u16_at(sector, at + 2)) << 16
}
