//! The rules R-CACHE: where boot2container keeps images.

use super::Findings;
use crate::prebuilt::CACHE_LABEL;
use crate::survey::rules;
use crate::survey::violation::Place;
use crate::{Disk, ext};

/// What holds the gateway's image, in bytes.
const ENOUGH: u64 = 256 << 20;

pub(super) fn check(disk: &Disk, found: &mut Findings) {
    let mut first = None;
    for partition in &disk.table.partitions {
        let file_system = ext::read(disk.file(), &partition.bytes());
        if file_system.is_none_or(|fs| fs.label != CACHE_LABEL) {
            continue;
        }
        if !partition.kind.is_linux() {
            let what = format!(
                "a file system labelled {CACHE_LABEL} on a partition of type {}",
                partition.kind
            );
            found.add(rules::CACHE_1, Place::entry(partition), what);
        }
        match first {
            Some(first) => {
                let what = format!("the label {CACHE_LABEL} is also that of partition {first}");
                found.add(rules::CACHE_1, Place::partition(partition), what);
            }
            None => first = Some(partition.number),
        }
    }
    if first.is_none() {
        let what = format!("no file system has the label {CACHE_LABEL}");
        found.add(rules::CACHE_3, Place::IMAGE, what);
    }
    let size = |bytes: std::ops::Range<u64>| bytes.end - bytes.start;
    let mut linux = disk.table.partitions.iter().filter(|p| p.kind.is_linux());
    if !linux.any(|partition| size(partition.bytes()) >= ENOUGH) {
        let what = "no Linux partition of 256 MiB or more";
        found.add(rules::CACHE_2, Place::IMAGE, what);
    }
}
