//! The rules R-FAT: what is wrong with a FAT file system, all of it at once.

use std::fs::File;

use super::Findings;
use crate::Disk;
use crate::fat::{self, FatVolume, Severity};
use crate::partitions::Partition;
use crate::survey::rules::{self, Rule};
use crate::survey::violation::Place;

/// The volume of a partition, if it can be used. One that cannot even be told to be FAT breaks the rule `no_volume`.
pub(super) fn open<'a>(
    disk: &'a Disk,
    partition: &Partition,
    no_volume: Rule,
    found: &mut Findings,
) -> Option<FatVolume<&'a File>> {
    let report = match fat::check(disk.file(), &partition.bytes()) {
        Ok(report) => report,
        Err(error) => {
            found.add(no_volume, Place::partition(partition), error);
            return None;
        }
    };
    for finding in &report.findings {
        let rule = match finding.fault.severity() {
            _ if report.kind.is_none() => no_volume,
            Severity::Damage => rules::FAT_1,
            Severity::Blemish => rules::FAT_2,
        };
        let place = Place {
            byte: Some(finding.offset),
            partition: Some(partition.number),
            file: finding.file.clone(),
        };
        found.add(rule, place, &finding.fault);
    }
    if report.omitted > 0 {
        let what = format!("{} more findings are left out", report.omitted);
        found.add(rules::FAT_1, Place::partition(partition), what);
    }
    report
        .damage()
        .is_none()
        .then(|| disk.volume(partition).ok())?
}
