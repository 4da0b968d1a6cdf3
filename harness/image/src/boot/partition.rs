//! Which partition a board starts from: what its ROM finds, and where `autoboot.txt` sends it.
//!
//! Source: Raspberry Pi documentation, "config.txt", section "autoboot.txt"; "Raspberry Pi boot sequence".

use super::files::BootPartition;
use super::{CONFIG_TXT, FirmwareError};
use crate::config_txt::{self, Conditions, Hardware};
use crate::partitions::Scheme;
use crate::{Disk, ImageError};

/// The file that names another partition.
const AUTOBOOT_TXT: &str = "autoboot.txt";
/// Bytes of it that are read.
const AUTOBOOT_LIMIT: usize = 512;
/// What must be said about a disk whose firmware partition is in its GPT alone.
pub(super) const NO_MBR: &str = "the disk has a GPT and no MBR beside it that names a FAT partition: the ROM of a real Raspberry Pi 3 reads MBR \
    entries only and would not find this image; build it with `--table hybrid`. Here the first FAT partition of the GPT is taken";

/// Where a board finds its files.
pub(super) struct Boot<'a> {
    /// What the ROM loads `bootcode.bin` from.
    pub(super) rom: BootPartition<'a>,
    /// What everything else is loaded from, where that is another partition.
    other: Option<BootPartition<'a>>,
}

impl<'a> Boot<'a> {
    /// The partition of `config.txt` and all that follows from it.
    pub(super) fn partition(&self) -> &BootPartition<'a> {
        self.other.as_ref().unwrap_or(&self.rom)
    }
}

/// What must be said of an image that starts here and would not on a real Raspberry Pi 3.
#[must_use]
pub fn warning(disk: &Disk) -> Option<&'static str> {
    let table = &disk.table;
    (table.scheme != Scheme::Mbr && table.mbr_firmware().is_none()).then_some(NO_MBR)
}

/// Finds the partitions. Faults of the table that the ROM does not see, since it reads four entries and no more, are notes.
pub(super) fn find<'a>(
    disk: &'a Disk,
    hardware: &Hardware,
    notes: &mut Vec<String>,
) -> Result<Boot<'a>, FirmwareError> {
    let faults = disk.table.faults.iter();
    notes.extend(faults.map(|fault| format!("the partition table is faulty: {fault}")));
    notes.extend(warning(disk).map(str::to_owned));
    let missing = || ImageError::NoPartition {
        path: disk.path().into(),
        what: "FAT partition for the firmware (type 0x0c or 0x0e in an MBR)",
    };
    let partition = disk.table.firmware().ok_or_else(missing)?;
    let rom = BootPartition::open(disk, partition)?;
    let other = match named(&rom, hardware, notes)? {
        Some(number) if number != rom.number => Some(open(disk, number)?),
        _ => None,
    };
    Ok(Boot { rom, other })
}

/// The partition that `autoboot.txt` names, if it names one.
fn named(
    rom: &BootPartition<'_>,
    hardware: &Hardware,
    notes: &mut Vec<String>,
) -> Result<Option<u32>, FirmwareError> {
    let Some(text) = rom.read_optional(AUTOBOOT_TXT, super::TEXT_LIMIT)? else {
        return Ok(None);
    };
    let text = match text.get(..AUTOBOOT_LIMIT) {
        Some(first) if text.len() > AUTOBOOT_LIMIT => {
            let note = format!("{AUTOBOOT_TXT}: only its first {AUTOBOOT_LIMIT} bytes are read");
            notes.push(note);
            first
        }
        _ => &text,
    };
    let conditions = Conditions {
        hardware: *hardware,
        partition: rom.number,
    };
    let config = config_txt::parse(text, AUTOBOOT_TXT, &conditions, &mut |_| None);
    let config = config.map_err(|source| FirmwareError::Config {
        partition: rom.number,
        file: AUTOBOOT_TXT,
        source,
    })?;
    let Some(number) = config
        .number("boot_partition")
        .filter(|number| *number != 0)
    else {
        return Ok(None);
    };
    notes.push(format!(
        "{AUTOBOOT_TXT} sends the board to partition {number}, whose {CONFIG_TXT} counts"
    ));
    // No partition has a number that is no u32.
    Ok(Some(u32::try_from(number).unwrap_or(u32::MAX)))
}

/// The partition `number`, as an MBR numbers them where there is one.
fn open(disk: &Disk, number: u32) -> Result<BootPartition<'_>, FirmwareError> {
    let table = &disk.table;
    let mut all = table.mbr.iter().chain(&table.partitions);
    let refused = |what: String| FirmwareError::BootPartition {
        file: AUTOBOOT_TXT,
        number,
        what,
    };
    let partition = all
        .find(|partition| partition.number == number)
        .ok_or_else(|| refused("there is no such partition".into()))?;
    BootPartition::open(disk, partition).map_err(|error| refused(error.to_string()))
}
