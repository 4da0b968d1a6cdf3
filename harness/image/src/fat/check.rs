//! Checks a whole volume: boot sector, allocation tables, directories, free space information.
//!
//! Reads only. Time is bounded by the size of the tables and directories, memory by a bit for every cluster, the page cache and
//! the names of one directory: about 40 MiB for FAT32 on a disk of 8 GiB. A disk that cannot be read is an error; everything
//! else that is wrong is a finding, and one finding does not hide the others, unless the boot sector is unusable.

use std::io::{self, ErrorKind, Read, Seek, Write};
use std::ops::Range;

use super::boot_sector::{Fat32, Geometry};
use super::chain::{Chains, Claims};
use super::finding::Findings;
use super::table::Table;
use super::tree::Tree;
use super::{FatError, FatKind, Fault, Finding, Severity};
use crate::page_cache::SharedCache;
use crate::partitions::SECTOR;

/// Signatures of the sector with the free space information, and their offsets.
const FREE_INFO_SIGNATURES: [(usize, [u8; 4]); 3] = [
    (0, *b"RRaA"),
    (484, *b"rrAa"),
    (508, [0x00, 0x00, 0x55, 0xaa]),
];
const FREE_COUNT: usize = 488;
const NEXT_FREE: usize = 492;
/// A count or number that was left open.
const UNKNOWN: u32 = u32::MAX;

/// The state of a volume.
#[derive(Debug, Clone, Default)]
pub struct FatReport {
    /// Width of the table, unless the boot sector is unusable.
    pub kind: Option<FatKind>,
    /// Bytes of a cluster.
    pub cluster_bytes: u32,
    /// Clusters for files.
    pub clusters: u32,
    /// Those that no file has.
    pub free: u32,
    /// Files and directories.
    pub files: usize,
    /// What is wrong, by order of the check.
    pub findings: Vec<Finding>,
    /// Findings left out of the list because it had become too long.
    pub omitted: usize,
}

impl FatReport {
    /// The first finding that forbids using the volume.
    #[must_use]
    pub fn damage(&self) -> Option<&Finding> {
        self.findings
            .iter()
            .find(|finding| finding.fault.severity() == Severity::Damage)
    }
}

/// Checks the volume in the bytes `window` of `disk`.
///
/// # Errors
/// [`FatError::Read`] when the disk fails. That the image ends too early is a finding.
pub fn check<D: Read + Write + Seek>(disk: D, window: &Range<u64>) -> Result<FatReport, FatError> {
    check_cached(&SharedCache::new(disk, window), window)
}

/// Checks the volume behind `cache`, which is at the bytes `window` of the disk.
pub(super) fn check_cached<D: Read + Write + Seek>(
    cache: &SharedCache<D>,
    window: &Range<u64>,
) -> Result<FatReport, FatError> {
    let mut report = FatReport::default();
    let mut findings = Findings::new(window.start);
    let room = window.end.saturating_sub(window.start);
    match run(cache, room, &mut report, &mut findings) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            findings.add(0, None, Fault::Truncated);
        }
        result => result.map_err(FatError::Read)?,
    }
    (report.findings, report.omitted) = findings.finish();
    Ok(report)
}

fn run<D: Read + Write + Seek>(
    volume: &SharedCache<D>,
    room: u64,
    report: &mut FatReport,
    findings: &mut Findings,
) -> io::Result<()> {
    let mut sector = [0; SECTOR as usize];
    volume.read_at(0, &mut sector)?;
    let geometry = match Geometry::parse(&sector, room) {
        Ok(geometry) => geometry,
        Err((at, fault)) => {
            let root = matches!(fault, Fault::Start(_)).then_some("/");
            findings.add(at, root, fault);
            return Ok(());
        }
    };
    report.kind = Some(geometry.kind);
    report.cluster_bytes = geometry.cluster_bytes;
    report.clusters = geometry.clusters;
    // Nothing else may ever read the end.
    volume.read_at(geometry.end - 1, &mut [0])?;

    if geometry.is_dirty() {
        findings.add(geometry.status.1, None, Fault::Dirty);
    }
    let table = Table::new(&geometry, 0);
    for number in 0..geometry.tables {
        // What both tables say is said once.
        let state = Table::new(&geometry, number).state(volume, geometry.media)?;
        for (at, fault) in state {
            if !findings.has(&fault) {
                findings.add(at, None, fault);
            }
        }
    }
    if geometry.tables == 2
        && let Some((cluster, entries)) = table.differences(Table::new(&geometry, 1), volume)?
    {
        let fault = Fault::TablesDiffer { cluster, entries };
        findings.add(table.offset(cluster), None, fault);
    }
    let chains = Chains {
        volume,
        geometry: &geometry,
        table,
        claims: Claims::new(&geometry),
    };
    let mut tree = Tree::new(chains, findings);
    tree.walk()?;
    report.files = tree.files;
    let all_seen = !tree.cut_short;
    let claims = tree.chains.claims;
    report.free = lost_clusters(volume, table, &claims, all_seen, findings)?;
    if let Some(fat32) = &geometry.fat32 {
        free_info(volume, &geometry, fat32, report.free, findings)?;
        backup(volume, &sector, &geometry, fat32, findings)?;
    }
    Ok(())
}

/// Looks for clusters that are in use and in no file. Returns the number of free ones.
fn lost_clusters<D: Read + Write + Seek>(
    volume: &SharedCache<D>,
    table: Table,
    claims: &Claims,
    all_seen: bool,
    findings: &mut Findings,
) -> io::Result<u32> {
    let mut lost: Option<(u32, u32)> = None;
    let free = table.visit_used(volume, |cluster, link| {
        if link != super::table::Link::Bad && !claims.contains(cluster) {
            lost.get_or_insert((cluster, 0)).1 += 1;
        }
    })?;
    // Behind other damage the owner may just not have been found.
    if let Some((first, clusters)) = lost
        && all_seen
        && !findings.any_damage()
    {
        let fault = Fault::LostClusters { first, clusters };
        findings.add(table.offset(first), None, fault);
    }
    Ok(free)
}

fn free_info<D: Read + Write + Seek>(
    volume: &SharedCache<D>,
    geometry: &Geometry,
    fat32: &Fat32,
    found: u32,
    findings: &mut Findings,
) -> io::Result<()> {
    let mut sector = [0; SECTOR as usize];
    volume.read_at(fat32.free_info, &mut sector)?;
    for (at, signature) in FREE_INFO_SIGNATURES {
        if !sector[at..].starts_with(&signature) {
            let at = fat32.free_info + at as u64;
            findings.add(at, None, Fault::FreeInfoSignature);
            return Ok(());
        }
    }
    let number = |at: usize| {
        let bytes = sector[at..].first_chunk();
        bytes.map_or(UNKNOWN, |bytes| u32::from_le_bytes(*bytes))
    };
    let recorded = number(FREE_COUNT);
    // Behind damage to the tables it is the tables that are wrong.
    if recorded != UNKNOWN && recorded != found && !findings.any_damage() {
        let at = fat32.free_info + FREE_COUNT as u64;
        findings.add(at, None, Fault::FreeCount { recorded, found });
    }
    let next = number(NEXT_FREE);
    if next != UNKNOWN && !geometry.has_cluster(next) {
        let at = fat32.free_info + NEXT_FREE as u64;
        findings.add(at, None, Fault::NextFree(next));
    }
    Ok(())
}

fn backup<D: Read + Write + Seek>(
    volume: &SharedCache<D>,
    sector: &[u8; SECTOR as usize],
    geometry: &Geometry,
    fat32: &Fat32,
    findings: &mut Findings,
) -> io::Result<()> {
    let Some(at) = fat32.backup else {
        return Ok(());
    };
    let mut copy = [0; SECTOR as usize];
    volume.read_at(at, &mut copy)?;
    // Mounting a volume marks only the boot sector proper.
    copy[geometry.status.1 as usize] = geometry.status.0;
    if copy != *sector {
        findings.add(at, None, Fault::BackupDiffers);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
