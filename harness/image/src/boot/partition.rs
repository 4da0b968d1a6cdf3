//! Which partition a board starts from: what its ROM finds, and where `autoboot.txt` sends it.
//!
//! Source: Raspberry Pi documentation, "config.txt", section "autoboot.txt"; "Raspberry Pi boot sequence".

use super::files::BootPartition;
use super::{CONFIG_TXT, FirmwareError, Stage};
use crate::config_txt::{self, Conditions, Config, Hardware};
use crate::partitions::Scheme;
use crate::{Disk, ImageError};

/// The file that names another partition.
const AUTOBOOT_TXT: &str = "autoboot.txt";
/// Bytes of it that are read.
const AUTOBOOT_LIMIT: usize = 512;
/// Its settings.
const AUTOBOOT_SETTINGS: [&str; 2] = [BOOT_PARTITION, "tryboot_a_b"];
const BOOT_PARTITION: &str = "boot_partition";
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
) -> Result<Boot<'a>, (Stage, FirmwareError)> {
    let of_partition = |error| (Stage::Partition, error);
    let faults = disk.table.faults.iter();
    notes.extend(faults.map(|fault| format!("the partition table is faulty: {fault}")));
    notes.extend(warning(disk).map(str::to_owned));
    let missing = || ImageError::NoPartition {
        path: disk.path().into(),
        what: "FAT partition for the firmware (type 0x0c or 0x0e in an MBR)",
    };
    let partition = disk.table.firmware().ok_or_else(missing);
    let partition = partition.map_err(|error| of_partition(error.into()))?;
    let rom = BootPartition::open(disk, partition).map_err(of_partition)?;
    let named = named(&rom, hardware, notes).map_err(|error| (Stage::Autoboot, error))?;
    let other = named
        .filter(|number| number.parse() != Ok(rom.number))
        .map(|number| open(disk, number).map_err(of_partition));
    Ok(Boot {
        rom,
        other: other.transpose()?,
    })
}

/// The partition that `autoboot.txt` names, as it is written there, if it names one.
fn named(
    rom: &BootPartition<'_>,
    hardware: &Hardware,
    notes: &mut Vec<String>,
) -> Result<Option<String>, FirmwareError> {
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
    let config = config_txt::parse_autoboot(text, AUTOBOOT_TXT, &conditions);
    let config = config.map_err(|source| FirmwareError::Config {
        partition: rom.number,
        file: AUTOBOOT_TXT,
        source,
    })?;
    notes.extend(remarks(&config));
    let Some(number) = config.number(BOOT_PARTITION).filter(|number| *number != 0) else {
        return Ok(None);
    };
    // A number that is larger than any is shown as it is written.
    let number = match config.other.get(BOOT_PARTITION) {
        Some(setting) if is_huge(number) => setting.value.clone(),
        _ => number.to_string(),
    };
    notes.push(format!(
        "{AUTOBOOT_TXT} sends the board to partition {number}, whose {CONFIG_TXT} counts"
    ));
    Ok(Some(number))
}

/// Whether a number is one that stands for all that are larger.
fn is_huge(number: i64) -> bool {
    number.checked_abs() == Some(i64::MAX)
}

/// What must be said of the file's lines.
fn remarks(config: &Config) -> Vec<String> {
    let notes = config.notes.iter();
    let notes = notes.map(|note| format!("{}: {}", note.at, note.value));
    let stray = config.other.iter();
    let stray = stray.filter(|(key, _)| !AUTOBOOT_SETTINGS.contains(&key.as_str()));
    let stray = stray
        .map(|(key, setting)| format!("{}: {AUTOBOOT_TXT} has no setting `{key}`", setting.at));
    let partition = config.other.get(BOOT_PARTITION);
    let number = config.number(BOOT_PARTITION);
    let odd = partition.zip(number).and_then(|(setting, number)| {
        let is_plain = setting.value.parse() == Ok(number) || is_huge(number);
        let read = format!(
            "{}: the firmware reads {BOOT_PARTITION}={number} of `{}`",
            setting.at, setting.value
        );
        (!is_plain).then_some(read)
    });
    notes.chain(stray).chain(odd).collect()
}

/// The partition `number`, as an MBR numbers them where there is one.
fn open(disk: &Disk, number: String) -> Result<BootPartition<'_>, FirmwareError> {
    let table = &disk.table;
    let mut all = table.mbr.iter().chain(&table.partitions);
    let found = all.find(|partition| number.parse() == Ok(partition.number));
    let opened = match found {
        Some(partition) => BootPartition::open(disk, partition).map_err(|error| error.to_string()),
        None => Err("there is no such partition".into()),
    };
    opened.map_err(|what| FirmwareError::BootPartition {
        file: AUTOBOOT_TXT,
        number,
        what,
    })
}
