//! The bytes of a new partition table, as a pure function of what is wanted.

use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;

use super::gpt::{self, ENTRIES_SECTORS, Header, NewEntry};
use super::mbr::{Mbr, MbrEntry};
use super::partition::kinds;
use super::{SECTOR, Scheme};
use crate::guid::Guid;

/// What a partition is for, from which its types follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// FAT, what the board's ROM reads. The MBR of a hybrid table names it too.
    Firmware,
    /// The EFI system partition.
    Esp,
    /// A Linux file system.
    Cache,
}

impl Role {
    /// The type byte in an MBR, the type in a GPT, the name in a GPT.
    fn entry(self) -> (u8, Guid, &'static str) {
        match self {
            Self::Firmware => (kinds::MBR_FAT, kinds::GPT_BASIC_DATA, "firmware"),
            Self::Esp => (kinds::MBR_ESP, kinds::GPT_ESP, "EFI system"),
            Self::Cache => (kinds::MBR_LINUX, kinds::GPT_LINUX, "cache"),
        }
    }
}

/// A table to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTable {
    /// Its kind.
    pub scheme: Scheme,
    /// Size of the disk in bytes, at most 2 TiB.
    pub disk: u64,
    /// Identifies the disk; the GUIDs of a GPT follow from it.
    pub signature: u32,
    /// At most four, in bytes of whole sectors.
    pub partitions: Vec<(Role, Range<u64>)>,
}

/// Bytes and their place on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// Byte offset.
    pub offset: u64,
    /// What is there.
    pub bytes: Vec<u8>,
}

impl NewTable {
    /// Everything that the table puts onto the disk.
    #[must_use]
    pub fn extents(&self) -> Vec<Extent> {
        let mut extents = vec![Extent {
            offset: 0,
            bytes: self.mbr().to_bytes().to_vec(),
        }];
        if self.scheme != Scheme::Mbr {
            extents.extend(self.gpt());
        }
        extents
    }

    /// Writes the table.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn write<D: Write + Seek>(&self, disk: &mut D) -> io::Result<()> {
        for Extent { offset, bytes } in self.extents() {
            disk.seek(SeekFrom::Start(offset))?;
            disk.write_all(&bytes)?;
        }
        Ok(())
    }

    fn mbr(&self) -> Mbr {
        let named = self
            .partitions
            .iter()
            .filter(|(role, _)| match self.scheme {
                Scheme::Mbr => true,
                Scheme::Gpt => false,
                Scheme::Hybrid => *role == Role::Firmware,
            });
        let mut used: Vec<_> = named
            .map(|(role, bytes)| entry(role.entry().0, bytes))
            .collect();
        if self.scheme != Scheme::Mbr {
            // In front of whatever else the MBR names, so that its entries do not overlap.
            let end = used.iter().map(|e| u64::from(e.first) * SECTOR).min();
            used.push(entry(
                kinds::MBR_PROTECTIVE,
                &(SECTOR..end.unwrap_or(self.disk)),
            ));
        }
        let mut entries = [None; 4];
        for (slot, entry) in entries.iter_mut().zip(used) {
            *slot = Some(entry);
        }
        Mbr {
            disk_signature: self.signature,
            entries,
        }
    }

    fn gpt(&self) -> Vec<Extent> {
        let id = |what: &str| Guid::derived(&format!("shakedown {:08x} {what}", self.signature));
        let entries: Vec<_> = self
            .partitions
            .iter()
            .map(|(role, bytes)| {
                let (_, kind, name) = role.entry();
                NewEntry {
                    kind,
                    id: id(name),
                    first: bytes.start / SECTOR,
                    last: (bytes.end / SECTOR).saturating_sub(1),
                    name,
                }
            })
            .collect();
        let entries = gpt::entries_bytes(&entries);
        let last = self.disk / SECTOR - 1;
        let copy = |own, alternate, at: u64| {
            let mut header = Header::new(own, alternate, at, id("disk"));
            header.entries_checksum = crc32fast::hash(&entries);
            let extent = |sector: u64, bytes| Extent {
                offset: sector * SECTOR,
                bytes,
            };
            [extent(own, header.to_bytes()), extent(at, entries.clone())]
        };
        let primary = copy(1, last, 2);
        let backup = copy(last, 1, last - ENTRIES_SECTORS);
        primary.into_iter().chain(backup).collect()
    }
}

fn entry(kind: u8, bytes: &Range<u64>) -> MbrEntry {
    // Sector numbers have 32 bits; a disk of 2 TiB is the largest that they reach.
    let sectors = |bytes: u64| u32::try_from(bytes / SECTOR).unwrap_or(u32::MAX);
    MbrEntry {
        kind,
        bootable: false,
        first: sectors(bytes.start),
        sectors: sectors(bytes.end - bytes.start),
    }
}
