//! The classic partition table in sector 0 of a disk: four primary entries and a disk signature.
//!
//! Layout: UEFI specification 2.10, section 5.2.1 "Legacy Master Boot Record". The sectors that chain logical partitions have it too.

use super::{PartitionType, TableFault, TableProblem};

const SIGNATURE_OFFSET: usize = 440;
const TABLE_OFFSET: usize = 446;
const ENTRY_LENGTH: usize = 16;
const BOOT_SIGNATURE: [u8; 2] = [0x55, 0xaa];

/// A used entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MbrEntry {
    pub(super) kind: u8,
    pub(super) bootable: bool,
    pub(super) first: u32,
    pub(super) sectors: u32,
}

impl MbrEntry {
    pub(super) fn kind(&self) -> PartitionType {
        PartitionType::Mbr(self.kind)
    }
}

/// The table of one sector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mbr {
    pub(super) disk_signature: u32,
    pub(super) entries: [Option<MbrEntry>; 4],
}

impl Mbr {
    /// Reads a sector that starts at byte `offset` of the disk.
    pub(super) fn parse(sector: &[u8; 512], offset: u64) -> Result<Self, TableFault> {
        if !sector.ends_with(&BOOT_SIGNATURE) {
            return Err(TableFault::new(offset + 510, TableProblem::NoSignature));
        }
        let mut entries = [None; 4];
        let raw = sector[TABLE_OFFSET..].as_chunks::<ENTRY_LENGTH>().0;
        for (number, (slot, entry)) in (1..).zip(entries.iter_mut().zip(raw)) {
            *slot = parse_entry(entry, number)
                .map_err(|problem| TableFault::new(offset + entry_offset(number), problem))?;
        }
        let signature = sector[SIGNATURE_OFFSET..].first_chunk();
        Ok(Self {
            disk_signature: signature.map_or(0, |bytes| u32::from_le_bytes(*bytes)),
            entries,
        })
    }

    /// The sector, without boot code: the boards that these images are for do not run any.
    pub(super) fn to_bytes(&self) -> [u8; 512] {
        let mut sector = [0; 512];
        sector[SIGNATURE_OFFSET..SIGNATURE_OFFSET + 4]
            .copy_from_slice(&self.disk_signature.to_le_bytes());
        let slots = sector[TABLE_OFFSET..].as_chunks_mut::<ENTRY_LENGTH>().0;
        for (slot, entry) in slots.iter_mut().zip(&self.entries) {
            if let Some(entry) = entry {
                *slot = entry_bytes(entry);
            }
        }
        sector[510..].copy_from_slice(&BOOT_SIGNATURE);
        sector
    }

    /// The used entries with their numbers from 1.
    pub(super) fn used(&self) -> impl Iterator<Item = (u32, MbrEntry)> {
        (1..)
            .zip(self.entries)
            .filter_map(|(number, entry)| Some((number, entry?)))
    }
}

/// Byte offset of entry `number`, from 1, in its sector.
pub(super) fn entry_offset(number: u32) -> u64 {
    TABLE_OFFSET as u64 + u64::from(number.saturating_sub(1)) * ENTRY_LENGTH as u64
}

fn parse_entry(entry: &[u8; ENTRY_LENGTH], number: u32) -> Result<Option<MbrEntry>, TableProblem> {
    let [
        status,
        _,
        _,
        _,
        kind,
        _,
        _,
        _,
        f0,
        f1,
        f2,
        f3,
        n0,
        n1,
        n2,
        n3,
    ] = *entry;
    match (status, kind) {
        (0 | 0x80, 0) => return Ok(None),
        (0 | 0x80, _) => {}
        (status, _) => return Err(TableProblem::BadStatus { number, status }),
    }
    Ok(Some(MbrEntry {
        kind,
        bootable: status == 0x80,
        first: u32::from_le_bytes([f0, f1, f2, f3]),
        sectors: u32::from_le_bytes([n0, n1, n2, n3]),
    }))
}

fn entry_bytes(entry: &MbrEntry) -> [u8; ENTRY_LENGTH] {
    let [a0, a1, a2] = chs(entry.first);
    let [b0, b1, b2] = chs(entry.first.saturating_add(entry.sectors.saturating_sub(1)));
    let [f0, f1, f2, f3] = entry.first.to_le_bytes();
    let [n0, n1, n2, n3] = entry.sectors.to_le_bytes();
    let status = if entry.bootable { 0x80 } else { 0 };
    [
        status, a0, a1, a2, entry.kind, b0, b1, b2, f0, f1, f2, f3, n0, n1, n2, n3,
    ]
}

/// Cylinder, head, sector in the geometry that every tool assumes (255 heads, 63 sectors). Nothing here reads these fields,
/// but partitioning tools complain when they contradict the LBA ones.
fn chs(lba: u32) -> [u8; 3] {
    let (track, sector) = (lba / 63, lba % 63 + 1);
    let (cylinder, head) = (track / 255, track % 255);
    if cylinder > 1023 {
        return [254, 0xff, 0xff];
    }
    let [low, high, ..] = cylinder.to_le_bytes();
    let [sector, ..] = sector.to_le_bytes();
    let [head, ..] = head.to_le_bytes();
    [head, sector | high << 6, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: u8, first: u32, sectors: u32) -> Option<MbrEntry> {
        Some(MbrEntry {
            kind,
            bootable: false,
            first,
            sectors,
        })
    }

    #[test]
    fn bytes_are_the_ones_that_sfdisk_writes() {
        let mbr = Mbr {
            disk_signature: 0x1234_5678,
            entries: [
                entry(0x0c, 8192, 131_072),
                entry(0x83, 16_777_216, 2048),
                None,
                None,
            ],
        };
        let sector = mbr.to_bytes();
        assert_eq!(hex::encode(&sector[440..446]), "785634120000");
        // Sector 8192 is cylinder 0, head 130, sector 3; sector 16777216 lies behind what CHS can say.
        assert_eq!(
            hex::encode(&sector[446..462]),
            "008203000caa22080020000000000200"
        );
        assert_eq!(
            hex::encode(&sector[462..478]),
            "00feffff83feffff0000000100080000"
        );
        assert_eq!(Mbr::parse(&sector, 0), Ok(mbr));
    }

    #[test]
    fn bad_sectors_are_named_with_their_place() {
        let fault = |sector: &[u8; 512]| Mbr::parse(sector, 1024).unwrap_err();
        assert_eq!(
            fault(&[0; 512]),
            TableFault::new(1534, TableProblem::NoSignature)
        );
        let mut status = Mbr::default().to_bytes();
        status[462] = 0x41;
        let problem = TableProblem::BadStatus {
            number: 2,
            status: 0x41,
        };
        assert_eq!(fault(&status), TableFault::new(1024 + 462, problem));
    }
}
