//! The partition table of a disk, of whichever kind.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};

use schemars::JsonSchema;
use serde::Deserialize;

use super::extended;
use super::gpt::{self, Gpt};
use super::mbr::{Mbr, MbrEntry, entry_offset};
use super::sectors::read_sector;
use super::{GptProblem, Partition, PartitionType, SECTOR, TableError, TableFault, TableProblem};
use crate::guid::Guid;

/// The kinds of tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Entries in sector 0, and logical partitions.
    #[default]
    Mbr,
    /// A GUID partition table behind a protective MBR.
    Gpt,
    /// A GUID partition table whose MBR names some of the partitions too, for firmware that reads nothing else.
    Hybrid,
}

impl Scheme {
    /// For example `--table`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mbr => "mbr",
            Self::Gpt => "gpt",
            Self::Hybrid => "hybrid",
        }
    }
}

/// A partition table, as far as it can be made out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionTable {
    /// Its kind.
    pub scheme: Scheme,
    /// The whole disk, in sectors.
    pub disk_sectors: u64,
    /// The disk signature of the MBR.
    pub disk_signature: u32,
    /// The disk's GUID, with a GPT.
    pub disk_id: Option<Guid>,
    /// What U-Boot and Linux see: the GPT if there is one, else the MBR with its logical partitions, in the table's order.
    pub partitions: Vec<Partition>,
    /// What firmware sees that reads the four entries in sector 0 and nothing else. The protective entry is left out.
    pub mbr: Vec<Partition>,
    /// What is wrong with the table, by the order of reading.
    pub faults: Vec<TableFault>,
    /// What the UEFI specification has otherwise and no known reader minds.
    pub blemishes: Vec<TableFault>,
}

impl PartitionTable {
    /// Reads the table of a disk that ends where `disk` ends.
    ///
    /// # Errors
    /// [`TableError::Io`], and a fault that leaves no table at all. All other faults are in [`PartitionTable::faults`].
    pub fn read<D: Read + Seek>(disk: &mut D) -> Result<Self, TableError> {
        let size = disk
            .seek(SeekFrom::End(0))
            .map_err(|source| TableError::Io { offset: 0, source })?;
        if size == 0 {
            return Err(TableFault::new(0, TableProblem::NoBytes).into());
        }
        let truncated = TableFault::new(size - size % SECTOR, TableProblem::Size { size });
        let disk_sectors = size / SECTOR;
        if disk_sectors == 0 {
            return Err(truncated.into());
        }
        let mbr = Mbr::parse(&read_sector(disk, 0)?, 0)?;
        let mut table = Self {
            scheme: Scheme::Mbr,
            disk_sectors,
            disk_signature: mbr.disk_signature,
            disk_id: None,
            partitions: Vec::new(),
            mbr: primaries(&mbr),
            faults: Vec::new(),
            blemishes: Vec::new(),
        };
        if size % SECTOR != 0 {
            table.faults.push(truncated);
        }
        match protective(&mbr) {
            Some(entry) => table.read_gpt(disk, entry)?,
            None => table.read_logical(disk, &mbr)?,
        }
        Ok(table)
    }

    /// The same table if it has no fault.
    ///
    /// # Errors
    /// The first fault.
    pub fn checked(self) -> Result<Self, TableError> {
        match self.faults.first() {
            Some(fault) => Err(fault.clone().into()),
            None => Ok(self),
        }
    }

    /// The partitions that `wanted` is true for.
    pub fn find(&self, wanted: impl Fn(PartitionType) -> bool) -> impl Iterator<Item = &Partition> {
        self.partitions
            .iter()
            .filter(move |partition| wanted(partition.kind))
    }

    /// The first EFI system partition.
    #[must_use]
    pub fn esp(&self) -> Option<&Partition> {
        self.find(PartitionType::is_esp).next()
    }

    /// The first FAT partition of the four entries in sector 0: the firmware partition for a ROM that reads nothing else.
    #[must_use]
    pub fn mbr_firmware(&self) -> Option<&Partition> {
        self.mbr.iter().find(|partition| partition.kind.is_fat())
    }

    /// The firmware partition: as for [`Self::mbr_firmware`], or the first FAT partition of a GPT without one.
    #[must_use]
    pub fn firmware(&self) -> Option<&Partition> {
        self.mbr_firmware()
            .or_else(|| self.find(PartitionType::is_fat).next())
    }

    fn read_logical<D: Read + Seek>(&mut self, disk: &mut D, mbr: &Mbr) -> Result<(), TableError> {
        self.check(0, 1, self.disk_sectors);
        for (_, entry) in mbr.used().filter(|(_, e)| e.kind().is_extended()) {
            // The chain of a partition outside of the disk, which is a fault already, cannot be read.
            if u64::from(entry.first) + u64::from(entry.sectors) <= self.disk_sectors {
                let (logical, faults) = extended::read(disk, &entry)?;
                self.partitions.extend(logical);
                self.faults.extend(faults);
            }
        }
        let primary = self.mbr.iter().filter(|p| !p.kind.is_extended()).cloned();
        self.partitions.splice(0..0, primary);
        self.check_overlaps();
        Ok(())
    }

    fn read_gpt<D: Read + Seek>(
        &mut self,
        disk: &mut D,
        (number, protective): (u32, MbrEntry),
    ) -> Result<(), TableError> {
        self.mbr.retain(|partition| !partition.kind.is_protective());
        self.scheme = match self.mbr.is_empty() {
            true => Scheme::Gpt,
            false => Scheme::Hybrid,
        };
        let last = self.disk_sectors - 1;
        let primary = gpt::read(disk, 1, self.disk_sectors)?;
        let backup = gpt::read(disk, last, self.disk_sectors)?;
        let gpt = match (primary, backup) {
            (Ok(primary), Ok(backup)) => {
                self.compare(&primary, &backup);
                primary
            }
            (Ok(primary), Err(problem)) => {
                let at = primary.header.alternate;
                let elsewhere = gpt::read(disk, at, self.disk_sectors)?;
                let problem = elsewhere.map_or(problem, |_| GptProblem::NotAtEnd { at, last });
                self.fault(last * SECTOR, TableProblem::Backup(problem));
                primary
            }
            (Err(problem), Ok(backup)) => {
                self.fault(SECTOR, TableProblem::Primary(problem));
                backup
            }
            (Err(problem), Err(_)) => {
                return Err(TableFault::new(SECTOR, TableProblem::NoGpt(problem)).into());
            }
        };
        if protective.first != 1 {
            let problem = TableProblem::Protective(
                "does not begin at sector 1, so the GPT counts for nothing",
            );
            self.fault(entry_offset(number), problem);
        }
        let at = gpt.header.own * SECTOR;
        let blemishes = gpt.header.blemishes().into_iter();
        self.blemishes
            .extend(blemishes.map(|problem| TableFault::new(at, problem)));
        self.disk_id = Some(gpt.header.disk_id);
        self.partitions = gpt.partitions;
        self.check(
            gpt.header.entries * SECTOR,
            gpt.header.first_usable,
            self.disk_sectors
                .min(gpt.header.last_usable.saturating_add(1)),
        );
        self.check_overlaps();
        self.check_hybrid();
        self.check_identifiers();
        let reaches = u64::from(protective.first) + u64::from(protective.sectors);
        if self.scheme == Scheme::Gpt
            && protective.sectors != u32::MAX
            && reaches != self.disk_sectors
        {
            let last = reaches.saturating_sub(1);
            let problem = TableProblem::ProtectiveEnd {
                last,
                disk: self.disk_sectors - 1,
            };
            self.blemishes
                .push(TableFault::new(entry_offset(number), problem));
        }
        Ok(())
    }

    fn compare(&mut self, primary: &Gpt, backup: &Gpt) {
        let (one, other) = (&primary.header, &backup.header);
        let difference = if one.disk_id != other.disk_id {
            "the disk's GUID"
        } else if (one.first_usable, one.last_usable) != (other.first_usable, other.last_usable) {
            "the sectors for partitions"
        } else if one.entries_checksum != other.entries_checksum {
            "the partitions"
        } else if (one.own, one.alternate) != (other.alternate, other.own) {
            "where the other one is"
        } else {
            return;
        };
        self.fault(other.own * SECTOR, TableProblem::Disagree(difference));
    }

    /// Notes that there are no partitions, and those that have sectors outside of `low` up to `end`.
    fn check(&mut self, table_offset: u64, low: u64, end: u64) {
        let partitions = match self.scheme {
            Scheme::Mbr => &self.mbr,
            Scheme::Gpt | Scheme::Hybrid => &self.partitions,
        };
        if partitions.is_empty() {
            self.fault(table_offset, TableProblem::NoPartitions);
            return;
        }
        let outside = partitions
            .iter()
            .filter(|p| p.sectors == 0 || p.first < low || p.end() > end)
            .map(|p| TableFault::new(p.entry, extended::out_of_range(p, low, end)));
        let outside: Vec<_> = outside.collect();
        self.faults.extend(outside);
    }

    fn check_overlaps(&mut self) {
        let mut sorted: Vec<_> = self.partitions.iter().collect();
        sorted.sort_by_key(|partition| partition.first);
        // The one among those before that reaches farthest is the one to compare with.
        let mut farthest: Option<&Partition> = None;
        let mut faults = Vec::new();
        for partition in sorted {
            if let Some(before) = farthest
                && before.overlaps(partition)
            {
                let first = before.number.min(partition.number);
                let second = before.number.max(partition.number);
                let problem = TableProblem::Overlap { first, second };
                faults.push(TableFault::new(partition.entry, problem));
            }
            if farthest.is_none_or(|before| partition.end() > before.end()) {
                farthest = Some(partition);
            }
        }
        self.faults.extend(faults);
    }

    /// Every partition of a GPT has a GUID of its own.
    fn check_identifiers(&mut self) {
        let mut seen: HashMap<Guid, u32> = HashMap::new();
        for Partition {
            number, id, entry, ..
        } in &self.partitions
        {
            let problem = match seen.get(id) {
                _ if *id == Guid::NIL => TableProblem::NoGuid { number: *number },
                Some(first) => TableProblem::SameGuid {
                    first: *first,
                    second: *number,
                    id: *id,
                },
                None => {
                    seen.insert(*id, *number);
                    continue;
                }
            };
            self.blemishes.push(TableFault::new(*entry, problem));
        }
    }

    /// Every MBR entry beside the protective one stands for a partition of the GPT.
    fn check_hybrid(&mut self) {
        let is_known = |entry: &Partition| {
            self.partitions
                .iter()
                .any(|p| (p.first, p.sectors) == (entry.first, entry.sectors))
        };
        let strays = self
            .mbr
            .iter()
            .filter(|entry| !is_known(entry))
            .map(|entry| {
                let problem = TableProblem::HybridStray {
                    number: entry.number,
                    first: entry.first,
                    last: entry.end().saturating_sub(1),
                };
                TableFault::new(entry.entry, problem)
            });
        let strays: Vec<_> = strays.collect();
        self.faults.extend(strays);
    }

    fn fault(&mut self, offset: u64, problem: TableProblem) {
        self.faults.push(TableFault::new(offset, problem));
    }
}

fn protective(mbr: &Mbr) -> Option<(u32, MbrEntry)> {
    mbr.used().find(|(_, entry)| entry.kind().is_protective())
}

fn primaries(mbr: &Mbr) -> Vec<Partition> {
    let partition = |(number, entry): (u32, MbrEntry)| Partition {
        number,
        kind: entry.kind(),
        bootable: entry.bootable,
        first: entry.first.into(),
        sectors: entry.sectors.into(),
        id: Guid::NIL,
        name: String::new(),
        entry: entry_offset(number),
    };
    mbr.used().map(partition).collect()
}

#[cfg(test)]
mod tests;
