//! What can be wrong with a partition table, and where.

use std::io;

use super::PartitionType;
use crate::guid::Guid;

/// Why there is no usable partition table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The disk could not be read.
    #[error("cannot read the partition table at byte {offset}: {source}")]
    Io {
        /// Byte offset on the disk.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// There is no table, or one that cannot be trusted.
    #[error(transparent)]
    Fault(#[from] TableFault),
}

/// A fault and its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (byte {offset})")]
pub struct TableFault {
    /// Byte offset on the disk.
    pub offset: u64,
    /// What is wrong there.
    pub problem: TableProblem,
}

impl TableFault {
    pub(super) fn new(offset: u64, problem: TableProblem) -> Self {
        Self { offset, problem }
    }
}

/// What is wrong with a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableProblem {
    /// The disk has no bytes at all.
    #[error("the image is empty: it has 0 bytes")]
    NoBytes,
    /// The disk is shorter than a sector, or ends inside one.
    #[error("the disk has {size} bytes, which is no multiple of 512; is the image truncated?")]
    Size {
        /// Its size.
        size: u64,
    },
    /// Sector 0 does not end in 55 aa.
    #[error("no partition table: sector 0 does not end in 55 aa; is this a raw disk image?")]
    NoSignature,
    /// A status byte is neither 0 nor 0x80.
    #[error(
        "partition {number}: status byte {status:#04x} is neither 0 nor 0x80; is this a file system without a partition table?"
    )]
    BadStatus {
        /// Partition number.
        number: u32,
        /// The byte found.
        status: u8,
    },
    /// No partition at all.
    #[error("the partition table is empty")]
    NoPartitions,
    /// A used entry has no sectors, or starts at sector 0.
    #[error("partition {number} of type {kind} is empty or starts in sector 0")]
    Empty {
        /// Partition number.
        number: u32,
        /// Its type.
        kind: PartitionType,
    },
    /// A partition ends behind the place that partitions may be in.
    #[error(
        "partition {number} has sectors {first} to {last}, but partitions must lie in {low} to {high}; is the image truncated?"
    )]
    OutOfRange {
        /// Partition number.
        number: u32,
        /// Its first sector.
        first: u64,
        /// Its last sector.
        last: u64,
        /// The first sector that it may have.
        low: u64,
        /// The last sector that it may have.
        high: u64,
    },
    /// Two partitions share sectors.
    #[error("partitions {first} and {second} overlap")]
    Overlap {
        /// Partition number.
        first: u32,
        /// Partition number.
        second: u32,
    },
    /// The chain of logical partitions leads out of the extended partition, in a circle, or to a sector that is no link.
    #[error("the chain of logical partitions is broken: {0}")]
    Chain(&'static str),
    /// The MBR announces a GPT, and there is neither the primary nor the backup.
    #[error("the MBR announces a GPT, but neither its primary nor its backup is whole: {0}")]
    NoGpt(GptProblem),
    /// The primary GPT is damaged; the backup was read in its place.
    #[error("the primary GPT is damaged, its backup is used: {0}")]
    Primary(GptProblem),
    /// The backup GPT is damaged or not where it must be.
    #[error("the backup GPT is damaged: {0}")]
    Backup(GptProblem),
    /// Both are whole and say different things.
    #[error("primary and backup GPT disagree about {0}")]
    Disagree(&'static str),
    /// There is a GPT, but the MBR does not protect it.
    #[error("the MBR's protective entry {0}")]
    Protective(&'static str),
    /// The protective entry does not reach to the end of the disk.
    #[error("the MBR's protective entry ends at sector {last}, and the disk at {disk}")]
    ProtectiveEnd {
        /// The last sector that it protects.
        last: u64,
        /// The last sector of the disk.
        disk: u64,
    },
    /// A GPT of another revision than 1.0.
    #[error("the GPT's revision is {0:#010x}, not 0x00010000")]
    Revision(u32),
    /// UEFI reserves 16 KiB for entries.
    #[error("{sectors} sectors are reserved for the entries of the GPT; UEFI wants {reserved}")]
    LittleRoom {
        /// From the first entry to the first sector for partitions.
        sectors: u64,
        /// 16 KiB.
        reserved: u64,
    },
    /// Two partitions cannot be told apart by their GUID.
    #[error("partitions {first} and {second} have the same GUID, {id}")]
    SameGuid {
        /// Partition number.
        first: u32,
        /// Partition number.
        second: u32,
        /// Their GUID.
        id: Guid,
    },
    /// A partition of a GPT without a GUID.
    #[error("partition {number} has no GUID")]
    NoGuid {
        /// Partition number.
        number: u32,
    },
    /// An MBR entry of a hybrid table that the GPT does not know.
    #[error("MBR entry {number} (sectors {first} to {last}) is no partition of the GPT")]
    HybridStray {
        /// Number of the MBR entry.
        number: u32,
        /// Its first sector.
        first: u64,
        /// Its last sector.
        last: u64,
    },
}

/// What is wrong with one copy of a GPT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GptProblem {
    /// No `EFI PART`.
    #[error("no header")]
    NoHeader,
    /// The place of the copy is not on the disk.
    #[error("it would be at sector {0}, which is not on the disk")]
    OffDisk(u64),
    /// The header's own size is impossible.
    #[error("the header says it has {0} bytes")]
    HeaderSize(u32),
    /// The header's checksum.
    #[error("the CRC-32 of the header is {found:#010x}, the header says {header:#010x}")]
    HeaderChecksum {
        /// In the header.
        header: u32,
        /// Computed.
        found: u32,
    },
    /// The header says that it is elsewhere.
    #[error("the header is at sector {at} and says it is at {says}")]
    Place {
        /// Where it was found.
        at: u64,
        /// What it says.
        says: u64,
    },
    /// The backup is whole, but not where it must be.
    #[error(
        "it is in sector {at} and not in the disk's last, {last}; was the image made longer or written to a larger disk?"
    )]
    NotAtEnd {
        /// Where it is.
        at: u64,
        /// The disk's last sector.
        last: u64,
    },
    /// The size of entries is no power of two from 128 to 4096, or there are too many.
    #[error("{count} entries of {size} bytes are not a table of 1 MiB at most")]
    Entries {
        /// Number of entries.
        count: u32,
        /// Bytes of an entry.
        size: u32,
    },
    /// The entries' checksum.
    #[error("the CRC-32 of the entries is {found:#010x}, the header says {header:#010x}")]
    EntriesChecksum {
        /// In the header.
        header: u32,
        /// Computed.
        found: u32,
    },
    /// The range for partitions is impossible, or holds the tables.
    #[error("the sectors for partitions, {first} to {last}, are not between the tables")]
    Usable {
        /// First sector.
        first: u64,
        /// Last sector.
        last: u64,
    },
}
