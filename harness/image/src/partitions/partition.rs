//! One partition, whichever kind of table it stands in.

use std::fmt;
use std::ops::Range;

use crate::guid::Guid;

/// Bytes of a sector. SD cards have no other sector size.
pub const SECTOR: u64 = 512;

/// What a partition holds, as its table entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionType {
    /// The type byte of an MBR.
    Mbr(u8),
    /// The type GUID of a GPT.
    Gpt(Guid),
}

/// Type bytes and GUIDs of netboot images. Source for the GUIDs: UEFI specification 2.10, table 5-7, and the Discoverable
/// Partitions Specification.
pub(super) mod kinds {
    use crate::guid::Guid;

    /// FAT, addressed by LBA; on a Pi the firmware partition.
    pub(in super::super) const MBR_FAT: u8 = 0x0c;
    pub(in super::super) const MBR_LINUX: u8 = 0x83;
    pub(in super::super) const MBR_ESP: u8 = 0xef;
    /// Covers a disk with a GPT.
    pub(in super::super) const MBR_PROTECTIVE: u8 = 0xee;
    pub(in super::super) const GPT_ESP: Guid =
        Guid::new(0xc12a_7328, 0xf81f, 0x11d2, 0xba4b_00a0_c93e_c93b);
    /// "Microsoft basic data", which is what tools call a FAT partition.
    pub(in super::super) const GPT_BASIC_DATA: Guid =
        Guid::new(0xebd0_a0a2, 0xb9e5, 0x4433, 0x87c0_68b6_b726_99c7);
    pub(in super::super) const GPT_LINUX: Guid =
        Guid::new(0x0fc6_3daf, 0x8483, 0x4772, 0x8e79_3d69_d847_7de4);
}

impl PartitionType {
    /// Firmware that looks for a FAT partition looks for these types. The VideoCore passes an EFI system partition of an MBR over.
    #[must_use]
    pub fn is_fat(self) -> bool {
        match self {
            Self::Mbr(kind) => matches!(kind, 0x01 | 0x04 | 0x06 | 0x0b | 0x0c | 0x0e),
            Self::Gpt(kind) => kind == kinds::GPT_BASIC_DATA || kind == kinds::GPT_ESP,
        }
    }

    /// The EFI system partition.
    #[must_use]
    pub fn is_esp(self) -> bool {
        self == Self::Mbr(kinds::MBR_ESP) || self == Self::Gpt(kinds::GPT_ESP)
    }

    /// A Linux file system: where the cache may be.
    #[must_use]
    pub fn is_linux(self) -> bool {
        self == Self::Mbr(kinds::MBR_LINUX) || self == Self::Gpt(kinds::GPT_LINUX)
    }

    /// What covers the disk in the MBR of a disk with a GPT.
    pub(super) fn is_protective(self) -> bool {
        self == Self::Mbr(kinds::MBR_PROTECTIVE)
    }

    /// A container of logical partitions.
    pub(super) fn is_extended(self) -> bool {
        matches!(self, Self::Mbr(0x05 | 0x0f | 0x85))
    }

    /// What people call the type, or nothing for one that no netboot image has.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            _ if self.is_esp() => Some("EFI system"),
            _ if self.is_linux() => Some("Linux"),
            _ if self.is_extended() => Some("extended"),
            _ if self.is_fat() => Some("FAT"),
            _ if self.is_protective() => Some("GPT protective"),
            _ => None,
        }
    }
}

impl fmt::Display for PartitionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mbr(kind) => write!(f, "{kind:#04x}"),
            Self::Gpt(kind) => write!(f, "{kind}"),
        }
    }
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number for Linux and U-Boot: from 1, logical ones of an MBR from 5, that of the slot in a GPT.
    pub number: u32,
    /// What it holds.
    pub kind: PartitionType,
    /// An MBR's "active" flag, a GPT's "legacy BIOS bootable" attribute.
    pub bootable: bool,
    /// First sector.
    pub first: u64,
    /// Number of sectors.
    pub sectors: u64,
    /// Its own GUID in a GPT; [`Guid::NIL`] in an MBR.
    pub id: Guid,
    /// The name in a GPT; empty in an MBR.
    pub name: String,
    /// Byte offset of its table entry on the disk.
    pub entry: u64,
}

impl Partition {
    /// Where the partition is on the disk, in bytes. For one that reaches behind 2^64 bytes the range ends there.
    #[must_use]
    pub fn bytes(&self) -> Range<u64> {
        self.first.saturating_mul(SECTOR)..self.end().saturating_mul(SECTOR)
    }

    /// First sector behind it.
    pub(super) fn end(&self) -> u64 {
        self.first.saturating_add(self.sectors)
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.first < other.end() && other.first < self.end()
    }
}
