//! Logical partitions: a chain of sectors inside the extended partition, each with one partition and the way to the next.
//!
//! Nobody owns this format; what Linux (`block/partitions/msdos.c`), U-Boot and sfdisk agree on is: the first entry is the
//! partition, counted from the sector it stands in, the second is the next link, counted from the start of the extended partition.

use std::io::{Read, Seek};

use crate::guid::Guid;

use super::mbr::{Mbr, MbrEntry, entry_offset};
use super::sectors::read_sector;
use super::{Partition, PartitionType, SECTOR, TableError, TableFault, TableProblem};

/// Links followed at most: more than any tool makes, and the end of a circle.
const MAX_LINKS: u32 = 64;
/// Logical partitions are counted from here.
const FIRST_NUMBER: u32 = 5;

/// The logical partitions in `container`, and what is wrong with their chain.
pub(super) fn read<D: Read + Seek>(
    disk: &mut D,
    container: &MbrEntry,
) -> Result<(Vec<Partition>, Vec<TableFault>), TableError> {
    let start = u64::from(container.first);
    let end = start + u64::from(container.sectors);
    let mut partitions = Vec::new();
    let mut faults = Vec::new();
    let mut link = start;
    for _ in 0..MAX_LINKS {
        let offset = link * SECTOR;
        let table = match Mbr::parse(&read_sector(disk, link)?, offset) {
            Ok(table) => table,
            Err(TableFault { offset, .. }) => {
                let problem = TableProblem::Chain("this sector is no link of it");
                faults.push(TableFault::new(offset, problem));
                return Ok((partitions, faults));
            }
        };
        let [logical, next, ..] = table.entries;
        if let Some(entry) = logical.filter(|entry| !entry.kind().is_extended()) {
            let number = FIRST_NUMBER + partitions.len() as u32;
            let partition = logical_partition(&entry, number, link, offset);
            if partition.sectors == 0 || partition.first <= link || partition.end() > end {
                let problem = out_of_range(&partition, link + 1, end);
                faults.push(TableFault::new(partition.entry, problem));
            }
            partitions.push(partition);
        }
        let Some(next) = next else {
            return Ok((partitions, faults));
        };
        let place = offset + entry_offset(2);
        let target = start + u64::from(next.first);
        if !next.kind().is_extended() || target <= start || target >= end {
            let problem = TableProblem::Chain("the next link is not in the extended partition");
            faults.push(TableFault::new(place, problem));
            return Ok((partitions, faults));
        }
        link = target;
    }
    let problem = TableProblem::Chain("it does not end; does it run in a circle?");
    faults.push(TableFault::new(link * SECTOR, problem));
    Ok((partitions, faults))
}

fn logical_partition(entry: &MbrEntry, number: u32, link: u64, offset: u64) -> Partition {
    Partition {
        number,
        kind: PartitionType::Mbr(entry.kind),
        bootable: entry.bootable,
        first: link + u64::from(entry.first),
        sectors: entry.sectors.into(),
        id: Guid::NIL,
        name: String::new(),
        entry: offset + entry_offset(1),
    }
}

/// `partition` has sectors outside those from `low` up to `end`.
pub(super) fn out_of_range(partition: &Partition, low: u64, end: u64) -> TableProblem {
    if partition.sectors == 0 || partition.first == 0 {
        return TableProblem::Empty {
            number: partition.number,
            kind: partition.kind,
        };
    }
    TableProblem::OutOfRange {
        number: partition.number,
        first: partition.first,
        last: partition.end() - 1,
        low,
        high: end.saturating_sub(1),
    }
}
