//! One copy of a GUID partition table: its header and its entries.
//!
//! Layout: UEFI specification 2.10, section 5.3 "GUID Partition Table (GPT) Disk Layout".

use std::io::{Read, Seek};

use super::sectors::{read_at, read_sector};
use super::{GptProblem, Partition, PartitionType, SECTOR, TableError, TableProblem};
use crate::guid::Guid;

const SIGNATURE: &[u8; 8] = b"EFI PART";
const REVISION: u32 = 0x0001_0000;
/// Bytes of a header of revision 1.0.
const HEADER_LENGTH: u32 = 92;
const HEADER_CHECKSUM_OFFSET: usize = 16;
/// Bytes of an entry as everybody writes it; larger ones may be read.
const ENTRY_LENGTH: usize = 128;
/// Entries as everybody writes them: UEFI reserves at least 16 KiB.
const ENTRIES: u32 = 128;
/// Sectors of a table that is written here.
pub(super) const ENTRIES_SECTORS: u64 = ENTRIES as u64 * ENTRY_LENGTH as u64 / SECTOR;
/// Bytes of entries that are read at most. A table has 16 KiB.
const MAX_ENTRIES_BYTES: u64 = 1 << 20;
/// Attribute bit 2: "legacy BIOS bootable".
const BOOTABLE: u64 = 1 << 2;
/// UTF-16 units of a name.
const NAME_UNITS: usize = 36;

/// A whole copy: the checksums were right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gpt {
    pub(super) header: Header,
    pub(super) partitions: Vec<Partition>,
}

/// The fields of a header that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The version of the specification, 0x0001_0000.
    revision: u32,
    /// Where this copy's header is.
    pub(super) own: u64,
    /// Where the other copy's header is.
    pub(super) alternate: u64,
    pub(super) first_usable: u64,
    pub(super) last_usable: u64,
    pub(super) disk_id: Guid,
    /// First sector of this copy's entries.
    pub(super) entries: u64,
    count: u32,
    entry_length: u32,
    pub(super) entries_checksum: u32,
}

/// Reads the copy whose header is in sector `at`; the inner error says why it is no whole copy.
pub(super) fn read<D: Read + Seek>(
    disk: &mut D,
    at: u64,
    disk_sectors: u64,
) -> Result<Result<Gpt, GptProblem>, TableError> {
    if at >= disk_sectors {
        return Ok(Err(GptProblem::OffDisk(at)));
    }
    let header = match parse_header(&read_sector(disk, at)?, at, disk_sectors) {
        Ok(header) => header,
        Err(problem) => return Ok(Err(problem)),
    };
    let mut entries = vec![0; header.entries_bytes() as usize];
    read_at(disk, header.entries * SECTOR, &mut entries)?;
    let found = crc32fast::hash(&entries);
    if found != header.entries_checksum {
        return Ok(Err(GptProblem::EntriesChecksum {
            header: header.entries_checksum,
            found,
        }));
    }
    let partitions = (1..)
        .zip(entries.chunks(header.entry_length as usize))
        .filter_map(|(number, entry)| parse_entry(entry, number, &header))
        .collect();
    Ok(Ok(Gpt { header, partitions }))
}

impl Header {
    /// What the specification has otherwise in section 5.3.2, and no known reader minds.
    pub(super) fn blemishes(&self) -> Vec<TableProblem> {
        let room = self.first_usable.saturating_sub(self.entries);
        let is_before = self.entries < self.first_usable;
        [
            (self.revision != REVISION).then_some(TableProblem::Revision(self.revision)),
            (is_before && room < ENTRIES_SECTORS).then_some(TableProblem::LittleRoom {
                sectors: room,
                reserved: ENTRIES_SECTORS,
            }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn entries_bytes(&self) -> u64 {
        u64::from(self.count) * u64::from(self.entry_length)
    }

    /// First sector behind the entries.
    fn entries_end(&self) -> u64 {
        self.entries
            .saturating_add(self.entries_bytes().div_ceil(SECTOR))
    }

    /// A header of 128 entries for the copy at `own`.
    pub(super) fn new(own: u64, alternate: u64, entries: u64, disk_id: Guid) -> Self {
        Self {
            revision: REVISION,
            own,
            alternate,
            first_usable: 2 + ENTRIES_SECTORS,
            last_usable: own.max(alternate) - ENTRIES_SECTORS - 1,
            disk_id,
            entries,
            count: ENTRIES,
            entry_length: ENTRY_LENGTH as u32,
            entries_checksum: 0,
        }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LENGTH as usize);
        bytes.extend(SIGNATURE);
        bytes.extend(REVISION.to_le_bytes());
        bytes.extend(HEADER_LENGTH.to_le_bytes());
        bytes.extend([0; 8]); // checksum, reserved
        for sector in [
            self.own,
            self.alternate,
            self.first_usable,
            self.last_usable,
        ] {
            bytes.extend(sector.to_le_bytes());
        }
        bytes.extend(self.disk_id.0);
        bytes.extend(self.entries.to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.entry_length.to_le_bytes());
        bytes.extend(self.entries_checksum.to_le_bytes());
        let checksum = crc32fast::hash(&bytes).to_le_bytes();
        bytes[HEADER_CHECKSUM_OFFSET..HEADER_CHECKSUM_OFFSET + 4].copy_from_slice(&checksum);
        bytes
    }
}

fn parse_header(sector: &[u8; 512], at: u64, disk_sectors: u64) -> Result<Header, GptProblem> {
    let mut fields = Fields(sector);
    if fields.array() != *SIGNATURE {
        return Err(GptProblem::NoHeader);
    }
    let revision = fields.u32();
    let length = fields.u32();
    let checksum = fields.u32();
    let _reserved = fields.u32();
    let (own, alternate) = (fields.u64(), fields.u64());
    let (first_usable, last_usable) = (fields.u64(), fields.u64());
    let disk_id = Guid(fields.array());
    let header = Header {
        revision,
        own,
        alternate,
        first_usable,
        last_usable,
        disk_id,
        entries: fields.u64(),
        count: fields.u32(),
        entry_length: fields.u32(),
        entries_checksum: fields.u32(),
    };
    let covered = sector.get(..length as usize);
    let Some(covered) = covered.filter(|_| length >= HEADER_LENGTH) else {
        return Err(GptProblem::HeaderSize(length));
    };
    let mut covered = covered.to_vec();
    covered[HEADER_CHECKSUM_OFFSET..HEADER_CHECKSUM_OFFSET + 4].fill(0);
    let found = crc32fast::hash(&covered);
    if found != checksum {
        return Err(GptProblem::HeaderChecksum {
            header: checksum,
            found,
        });
    }
    if own != at {
        return Err(GptProblem::Place { at, says: own });
    }
    check_header(&header, disk_sectors)?;
    Ok(header)
}

fn check_header(header: &Header, disk_sectors: u64) -> Result<(), GptProblem> {
    let length = header.entry_length;
    let is_length = (ENTRY_LENGTH as u32..=4096).contains(&length) && length.is_power_of_two();
    if !is_length || header.count == 0 || header.entries_bytes() > MAX_ENTRIES_BYTES {
        return Err(GptProblem::Entries {
            count: header.count,
            size: length,
        });
    }
    if header.entries < 2 || header.entries_end() > disk_sectors {
        return Err(GptProblem::OffDisk(header.entries));
    }
    let (first, last) = (header.first_usable, header.last_usable);
    let is_outside = |sector| sector < first || sector > last;
    let tables_are_outside = is_outside(header.own)
        && (header.entries_end() <= first || header.entries > last)
        && first >= 2;
    if first > last || !tables_are_outside {
        return Err(GptProblem::Usable { first, last });
    }
    Ok(())
}

/// The partition in an entry, or `None` for a free one.
fn parse_entry(entry: &[u8], number: u32, header: &Header) -> Option<Partition> {
    let mut fields = Fields(entry);
    let kind = Guid(fields.array());
    if kind == Guid::NIL {
        return None;
    }
    let id = Guid(fields.array());
    let (first, last, attributes) = (fields.u64(), fields.u64(), fields.u64());
    let name: [u8; 2 * NAME_UNITS] = fields.array();
    let units = name.as_chunks::<2>().0.iter();
    let units: Vec<u16> = units
        .map(|unit| u16::from_le_bytes(*unit))
        .take_while(|unit| *unit != 0)
        .collect();
    let offset = u64::from(number - 1) * u64::from(header.entry_length);
    Some(Partition {
        number,
        kind: PartitionType::Gpt(kind),
        bootable: attributes & BOOTABLE != 0,
        first,
        sectors: last.saturating_add(1).saturating_sub(first),
        id,
        name: String::from_utf16_lossy(&units),
        entry: header.entries * SECTOR + offset,
    })
}

/// A partition that must be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewEntry<'a> {
    pub(super) kind: Guid,
    pub(super) id: Guid,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) name: &'a str,
}

/// The bytes of a table with these entries.
pub(super) fn entries_bytes(entries: &[NewEntry<'_>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ENTRIES as usize * ENTRY_LENGTH);
    for entry in entries {
        bytes.extend(entry.kind.0);
        bytes.extend(entry.id.0);
        bytes.extend(entry.first.to_le_bytes());
        bytes.extend(entry.last.to_le_bytes());
        bytes.extend([0; 8]); // attributes
        let units = entry.name.encode_utf16().chain(std::iter::repeat(0));
        bytes.extend(units.take(NAME_UNITS).flat_map(u16::to_le_bytes));
    }
    bytes.resize(ENTRIES as usize * ENTRY_LENGTH, 0);
    bytes
}

/// Little-endian fields one after the other. What lies behind the end reads as zero: callers have checked the length.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk() {
            Some((array, rest)) => {
                self.0 = rest;
                *array
            }
            None => [0; N],
        }
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }
}
