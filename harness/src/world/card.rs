//! Damage to the card before the board is switched on, as worn flash and writes that were cut short leave it.

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::RunError;
use crate::image::Disk;
use crate::image::fat::{FatError, FatVolume};
use crate::image::source;
use crate::scenario::{CardAct, CardDamage, PlannedFault, Scenario};
use crate::timeline::{Event, Timeline};

/// Bytes at the beginning of a partition that are erased with it.
const BEGINNING: usize = 4096;
/// Longest file that is damaged.
const LONGEST: u64 = 64 << 20;

/// Does to the card what the scenario's faults say. Each is told on the timeline.
///
/// # Errors
/// The card has no such partition or file.
pub(crate) fn damage_card(
    card: &Path,
    scenario: &Scenario,
    timeline: &Timeline,
) -> Result<(), RunError> {
    for planned in &scenario.faults {
        let PlannedFault::Card { name, damage } = planned else {
            continue;
        };
        apply(card, damage)?;
        let file = damage.file.as_deref().unwrap_or("beginning");
        timeline.emit(Event::Fault {
            name: name.clone(),
            place: format!("card, partition {}, {file}", damage.partition),
            nth: 1,
        });
    }
    Ok(())
}

fn apply(card: &Path, damage: &CardDamage) -> Result<(), RunError> {
    let failed = |what: &dyn std::fmt::Display| RunError::Damage {
        partition: damage.partition,
        what: what.to_string(),
    };
    let disk = Disk::of(&source::open(card)?)?;
    let mut partitions = disk.table.partitions.iter();
    let partition = partitions.find(|partition| partition.number == damage.partition);
    let window = partition.map(|partition| partition.bytes());
    let window = window.ok_or_else(|| failed(&"there is no such partition"))?;
    let file = OpenOptions::new().read(true).write(true).open(card);
    let file = file.map_err(|error| failed(&error))?;
    match &damage.file {
        None => file
            .write_all_at(&[0xff; BEGINNING], window.start)
            .map_err(|error| failed(&error)),
        Some(path) => damage_file(&file, &window, path, damage.does).map_err(|e| failed(&e)),
    }
}

fn damage_file(
    file: &File,
    window: &Range<u64>,
    path: &str,
    does: CardAct,
) -> Result<(), FatError> {
    let volume = FatVolume::open(file, window)?;
    let contents = volume.read(path, LONGEST)?;
    match does {
        CardAct::Erase => volume.write(path, &vec![0xff; contents.len()][..])?,
        CardAct::Halve => {
            let half = contents.get(..contents.len() / 2).unwrap_or_default();
            volume.write(path, half)?;
        }
        CardAct::Remove => volume.remove(path)?,
    }
    volume.finish()
}
