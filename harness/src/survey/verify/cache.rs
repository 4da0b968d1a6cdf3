//! The rules R-CACHE: where boot2container keeps images.

use super::Findings;
use crate::image::{Disk, ext};
use crate::survey::rules;
use crate::survey::violation::Place;

/// boot2container looks for this label.
const LABEL: &str = "B2C_CACHE";
/// What holds the gateway's image, in bytes.
const ENOUGH: u64 = 256 << 20;

pub(super) fn check(disk: &Disk, found: &mut Findings) {
    let mut first = None;
    for partition in &disk.table.partitions {
        let file_system = ext::read(disk.file(), &partition.bytes());
        if file_system.is_none_or(|fs| fs.label != LABEL) {
            continue;
        }
        if !partition.kind.is_linux() {
            let what = format!(
                "a file system labelled {LABEL} on a partition of type {}",
                partition.kind
            );
            found.add(rules::CACHE_1, Place::entry(partition), what);
        }
        match first {
            Some(first) => {
                let what = format!("the label {LABEL} is also that of partition {first}");
                found.add(rules::CACHE_1, Place::partition(partition), what);
            }
            None => first = Some(partition.number),
        }
    }
    let size = |bytes: std::ops::Range<u64>| bytes.end - bytes.start;
    let mut linux = disk.table.partitions.iter().filter(|p| p.kind.is_linux());
    if !linux.any(|partition| size(partition.bytes()) >= ENOUGH) {
        let what = "no Linux partition of 256 MiB or more";
        found.add(rules::CACHE_2, Place::IMAGE, what);
    }
}
