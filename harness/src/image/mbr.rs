//! The classic partition table in sector 0 of a disk: four primary partitions and a disk signature.
//!
//! Parsed once per image, and written once, when a prebuilt image is made; provisioning never touches it.
//! Layout: UEFI specification 2.10, section 5.2.1 "Legacy Master Boot Record".

use std::fmt;
use std::ops::Range;

/// Bytes of a sector. SD cards have no other sector size.
pub const SECTOR: u64 = 512;

const SIGNATURE_OFFSET: usize = 440;
const TABLE_OFFSET: usize = 446;
const ENTRY_LENGTH: usize = 16;
const BOOT_SIGNATURE: [u8; 2] = [0x55, 0xaa];

/// What a partition holds, as its table entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionType(pub u8);

impl PartitionType {
    /// FAT32 (FAT16 is common too), addressed by LBA: the firmware partition.
    pub const FAT_LBA: Self = Self(0x0c);
    /// The EFI system partition.
    pub const EFI_SYSTEM: Self = Self(0xef);
    /// A Linux file system.
    pub const LINUX: Self = Self(0x83);
    /// The whole disk, on a disk with a GUID partition table.
    pub const GPT_PROTECTIVE: Self = Self(0xee);

    /// The VideoCore looks for its files on partitions of these types.
    #[must_use]
    pub fn is_fat(self) -> bool {
        matches!(self.0, 0x01 | 0x04 | 0x06 | 0x0b | 0x0c | 0x0e)
    }
}

impl fmt::Display for PartitionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}", self.0)
    }
}

/// A primary partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// What it holds.
    pub kind: PartitionType,
    /// The table's "active" flag.
    pub bootable: bool,
    /// First sector.
    pub first: u32,
    /// Number of sectors, never 0.
    pub sectors: u32,
}

impl Partition {
    /// Where the partition is on the disk, in bytes.
    #[must_use]
    pub fn bytes(&self) -> Range<u64> {
        let first = u64::from(self.first) * SECTOR;
        first..first + u64::from(self.sectors) * SECTOR
    }
}

/// A partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mbr {
    /// Identifies the disk; part of Linux' `PARTUUID`.
    pub disk_signature: u32,
    /// The four slots in the order of the table.
    pub partitions: [Option<Partition>; 4],
}

/// Why sector 0 is not a partition table that an image may have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MbrError {
    /// Sector 0 does not end in 55 aa.
    #[error("no partition table: sector 0 does not end in 55 aa; is this a raw disk image?")]
    NoSignature,
    /// A status byte is neither 0 nor 0x80.
    #[error(
        "partition {number}: status byte {status:#04x} is neither 0 nor 0x80; is this a file system without a partition table?"
    )]
    BadStatus {
        /// Partition number, from 1.
        number: usize,
        /// The byte found.
        status: u8,
    },
    /// The disk has a GUID partition table.
    #[error(
        "the disk has a GUID partition table, which is not read yet; make the image with an MBR"
    )]
    Gpt,
    /// A used entry has no sectors, or starts at sector 0.
    #[error("partition {number} of type {kind} is empty or starts in sector 0")]
    Empty {
        /// Partition number, from 1.
        number: usize,
        /// Its type.
        kind: PartitionType,
    },
    /// A partition ends behind the disk.
    #[error(
        "partition {number} ends at sector {end}, behind the disk's {disk} sectors; is the image truncated?"
    )]
    OutOfRange {
        /// Partition number, from 1.
        number: usize,
        /// First sector behind the partition.
        end: u64,
        /// Sectors of the disk.
        disk: u64,
    },
    /// Two partitions share sectors.
    #[error("partitions {first} and {second} overlap")]
    Overlap {
        /// Partition number, from 1.
        first: usize,
        /// Partition number, from 1.
        second: usize,
    },
}

impl Mbr {
    /// Reads sector 0 of a disk that has `disk_sectors` sectors.
    ///
    /// # Errors
    /// Whatever [`MbrError`] lists; a table that parses has partitions inside the disk that do not overlap.
    pub fn parse(sector: &[u8; 512], disk_sectors: u64) -> Result<Self, MbrError> {
        if !sector.ends_with(&BOOT_SIGNATURE) {
            return Err(MbrError::NoSignature);
        }
        let mut partitions = [None; 4];
        let entries = sector[TABLE_OFFSET..].as_chunks::<ENTRY_LENGTH>().0;
        for (index, (slot, entry)) in partitions.iter_mut().zip(entries).enumerate() {
            *slot = parse_entry(entry, index + 1, disk_sectors)?;
        }
        let signature = sector[SIGNATURE_OFFSET..].first_chunk();
        let mbr = Self {
            disk_signature: signature.map_or(0, |bytes| u32::from_le_bytes(*bytes)),
            partitions,
        };
        mbr.check_overlap()?;
        Ok(mbr)
    }

    /// Sector 0, without boot code: the boards that these images are for do not run any.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 512] {
        let mut sector = [0; 512];
        sector[SIGNATURE_OFFSET..SIGNATURE_OFFSET + 4]
            .copy_from_slice(&self.disk_signature.to_le_bytes());
        let slots = sector[TABLE_OFFSET..].as_chunks_mut::<ENTRY_LENGTH>().0;
        for (slot, partition) in slots.iter_mut().zip(&self.partitions) {
            if let Some(partition) = partition {
                *slot = entry_bytes(partition);
            }
        }
        sector[510..].copy_from_slice(&BOOT_SIGNATURE);
        sector
    }

    /// The first partition for which `wanted` is true, with its number from 1.
    pub fn find(&self, wanted: impl Fn(PartitionType) -> bool) -> Option<(usize, Partition)> {
        let numbered = self.partitions.iter().enumerate();
        numbered
            .filter_map(|(index, slot)| slot.map(|partition| (index + 1, partition)))
            .find(|(_, partition)| wanted(partition.kind))
    }

    fn check_overlap(&self) -> Result<(), MbrError> {
        for (index, one) in self.partitions.iter().enumerate() {
            for (other_index, other) in self.partitions.iter().enumerate().skip(index + 1) {
                if let (Some(one), Some(other)) = (one, other)
                    && one.bytes().start < other.bytes().end
                    && other.bytes().start < one.bytes().end
                {
                    return Err(MbrError::Overlap {
                        first: index + 1,
                        second: other_index + 1,
                    });
                }
            }
        }
        Ok(())
    }
}

fn parse_entry(
    entry: &[u8; ENTRY_LENGTH],
    number: usize,
    disk: u64,
) -> Result<Option<Partition>, MbrError> {
    let [
        status,
        _,
        _,
        _,
        kind,
        _,
        _,
        _,
        f0,
        f1,
        f2,
        f3,
        n0,
        n1,
        n2,
        n3,
    ] = *entry;
    let kind = PartitionType(kind);
    match (status, kind) {
        (0 | 0x80, PartitionType::GPT_PROTECTIVE) => return Err(MbrError::Gpt),
        (0 | 0x80, PartitionType(0)) => return Ok(None),
        (0 | 0x80, _) => {}
        (status, _) => return Err(MbrError::BadStatus { number, status }),
    }
    let partition = Partition {
        kind,
        bootable: status == 0x80,
        first: u32::from_le_bytes([f0, f1, f2, f3]),
        sectors: u32::from_le_bytes([n0, n1, n2, n3]),
    };
    if partition.first == 0 || partition.sectors == 0 {
        return Err(MbrError::Empty { number, kind });
    }
    let end = u64::from(partition.first) + u64::from(partition.sectors);
    if end > disk {
        return Err(MbrError::OutOfRange { number, end, disk });
    }
    Ok(Some(partition))
}

fn entry_bytes(partition: &Partition) -> [u8; ENTRY_LENGTH] {
    let [a0, a1, a2] = chs(partition.first);
    let [b0, b1, b2] = chs(partition
        .first
        .saturating_add(partition.sectors.saturating_sub(1)));
    let [f0, f1, f2, f3] = partition.first.to_le_bytes();
    let [n0, n1, n2, n3] = partition.sectors.to_le_bytes();
    let status = if partition.bootable { 0x80 } else { 0 };
    let PartitionType(kind) = partition.kind;
    [
        status, a0, a1, a2, kind, b0, b1, b2, f0, f1, f2, f3, n0, n1, n2, n3,
    ]
}

/// Cylinder, head, sector in the geometry that every tool assumes (255 heads, 63 sectors). Nothing here reads these fields,
/// but partitioning tools complain when they contradict the LBA ones.
fn chs(lba: u32) -> [u8; 3] {
    let (track, sector) = (lba / 63, lba % 63 + 1);
    let (cylinder, head) = (track / 255, track % 255);
    if cylinder > 1023 {
        return [254, 0xff, 0xff];
    }
    let [low, high, ..] = cylinder.to_le_bytes();
    let [sector, ..] = sector.to_le_bytes();
    let [head, ..] = head.to_le_bytes();
    [head, sector | high << 6, low]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partition(kind: PartitionType, first: u32, sectors: u32) -> Option<Partition> {
        Some(Partition {
            kind,
            bootable: false,
            first,
            sectors,
        })
    }

    fn table(partitions: [Option<Partition>; 4]) -> [u8; 512] {
        Mbr {
            disk_signature: 0x1234_5678,
            partitions,
        }
        .to_bytes()
    }

    #[test]
    fn bytes_are_the_ones_that_sfdisk_writes() {
        let sector = table([
            partition(PartitionType::FAT_LBA, 8192, 131_072),
            partition(PartitionType::LINUX, 16_777_216, 2048),
            None,
            None,
        ]);
        assert_eq!(hex::encode(&sector[440..446]), "785634120000");
        // Sector 8192 is cylinder 0, head 130, sector 3; sector 16777216 lies behind what CHS can say.
        assert_eq!(
            hex::encode(&sector[446..462]),
            "008203000caa22080020000000000200"
        );
        assert_eq!(
            hex::encode(&sector[462..478]),
            "00feffff83feffff0000000100080000"
        );
    }

    #[test]
    fn what_was_written_is_read_back() {
        let mbr = Mbr {
            disk_signature: 7,
            partitions: [
                partition(PartitionType::FAT_LBA, 2048, 100),
                None,
                partition(PartitionType::EFI_SYSTEM, 4096, 10),
                None,
            ],
        };
        assert_eq!(Mbr::parse(&mbr.to_bytes(), 10_000), Ok(mbr.clone()));
        let (number, esp) = mbr.find(|kind| kind == PartitionType::EFI_SYSTEM).unwrap();
        assert_eq!((number, esp.bytes()), (3, 4096 * 512..4106 * 512));
    }

    #[test]
    fn bad_tables_are_named() {
        let fat = PartitionType::FAT_LBA;
        let parse = |partitions| Mbr::parse(&table(partitions), 1000).unwrap_err();
        let overlapping = [partition(fat, 1, 10), None, partition(fat, 10, 1), None];
        assert_eq!(
            parse(overlapping),
            MbrError::Overlap {
                first: 1,
                second: 3
            }
        );
        let outside = [None, partition(fat, 990, 11), None, None];
        assert!(matches!(
            parse(outside),
            MbrError::OutOfRange {
                number: 2,
                end: 1001,
                ..
            }
        ));
        let empty = [partition(fat, 5, 0), None, None, None];
        assert!(matches!(parse(empty), MbrError::Empty { number: 1, .. }));
        let gpt = [
            partition(PartitionType::GPT_PROTECTIVE, 1, 999),
            None,
            None,
            None,
        ];
        assert_eq!(parse(gpt), MbrError::Gpt);
        assert_eq!(Mbr::parse(&[0; 512], 1000), Err(MbrError::NoSignature));
        let mut status = table([None; 4]);
        status[446] = 0x41;
        assert!(matches!(
            Mbr::parse(&status, 1000),
            Err(MbrError::BadStatus {
                number: 1,
                status: 0x41
            })
        ));
    }

    proptest! {
        #[test]
        fn any_sector_is_parsed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 66), disk: u64) {
            let mut sector = [0; 512];
            sector[446..].copy_from_slice(&bytes);
            sector[510..].copy_from_slice(&BOOT_SIGNATURE);
            for entry in 0..4 {
                sector[446 + 16 * entry] &= 0x80;
            }
            if let Ok(mbr) = Mbr::parse(&sector, disk) {
                prop_assert!(mbr.partitions.iter().flatten().all(|p| p.bytes().end <= disk.saturating_mul(SECTOR)));
            }
        }
    }
}
