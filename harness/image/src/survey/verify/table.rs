//! The rules R-DISK, R-TABLE and R-ROM.

use super::{Findings, VerifyOptions};
use crate::Disk;
use crate::partitions::{PartitionTable, TableFault, TableProblem};
use crate::survey::rules::{self, Rule};
use crate::survey::violation::Place;

/// Cards and tools agree on this much alignment, in bytes.
const ALIGNMENT: u64 = 1 << 20;

pub(super) fn check(disk: &Disk, options: &VerifyOptions<'_>, found: &mut Findings) {
    let table = &disk.table;
    for fault in &table.faults {
        found.add(rule_of(fault), Place::byte(fault.offset), &fault.problem);
    }
    for blemish in &table.blemishes {
        found.add(
            rules::TABLE_8,
            Place::byte(blemish.offset),
            &blemish.problem,
        );
    }
    for partition in &table.partitions {
        let start = partition.bytes().start;
        if start % ALIGNMENT != 0 {
            let what = format!("it starts at byte {start}, which is no multiple of 1 MiB");
            found.add(rules::TABLE_7, Place::entry(partition), what);
        }
    }
    // That there is no firmware partition at all breaks another rule.
    if options.rom_reads_mbr_only && table.mbr_firmware().is_none() && table.firmware().is_some() {
        found.add(rules::ROM_1, Place::byte(446), what_rom_sees(table));
    }
}

/// Why a ROM that reads the four entries of the MBR and nothing else does not find the firmware partition.
fn what_rom_sees(table: &PartitionTable) -> String {
    let kinds: Vec<_> = table.mbr.iter().map(|p| p.kind.to_string()).collect();
    match &kinds[..] {
        [] => "there is only a GPT, and the board's ROM reads an MBR and nothing else".into(),
        kinds => format!(
            "the board's ROM takes none of the MBR's entries for FAT: their types are {}",
            kinds.join(", ")
        ),
    }
}

/// The rule that a fault breaks.
pub(super) fn rule_of(fault: &TableFault) -> Rule {
    match fault.problem {
        TableProblem::NoBytes | TableProblem::Size { .. } => rules::DISK_1,
        TableProblem::NoSignature
        | TableProblem::BadStatus { .. }
        | TableProblem::NoPartitions
        | TableProblem::NoGpt(_) => rules::TABLE_1,
        TableProblem::Empty { .. }
        | TableProblem::OutOfRange { .. }
        | TableProblem::Overlap { .. } => rules::TABLE_2,
        TableProblem::Chain(_) => rules::TABLE_3,
        TableProblem::Primary(_) => rules::TABLE_4,
        TableProblem::Backup(_) | TableProblem::Disagree(_) => rules::TABLE_5,
        TableProblem::Protective(_) | TableProblem::HybridStray { .. } => rules::TABLE_6,
        TableProblem::ProtectiveEnd { .. }
        | TableProblem::Revision(_)
        | TableProblem::LittleRoom { .. }
        | TableProblem::SameGuid { .. }
        | TableProblem::NoGuid { .. } => rules::TABLE_8,
    }
}
