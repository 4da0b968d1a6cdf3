//! Damage to the card before the board is switched on, as worn flash and writes that were cut short leave it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::RunError;
use crate::image::Disk;
use crate::image::fat::{FatError, FatVolume};
use crate::image::source;
use crate::scenario::{CardAct, CardDamage, Damage, PlannedFault, Scenario};
use crate::timeline::{Event, Timeline};

/// Bytes at the beginning of a partition that are erased with it.
const BEGINNING: usize = 4096;
/// What takes the room of a file system that is filled.
const FILLER: &str = "FILLER.BIN";
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
    let board = timeline.board();
    let its = scenario.faults.iter();
    for planned in its.filter(|planned| planned.is_of(board.as_ref())) {
        let PlannedFault::Card { name, damage, .. } = planned else {
            continue;
        };
        apply(card, damage)?;
        let whole = match damage.does {
            Damage::Fill => "file system",
            Damage::Act(_) => "beginning",
        };
        let file = damage.file.as_deref().unwrap_or(whole);
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
    let window = window_of(card, damage.partition)?;
    let file = OpenOptions::new().read(true).write(true).open(card);
    let file = file.map_err(|error| failed(&error))?;
    match (damage.does, &damage.file) {
        (Damage::Fill, _) => fill(&file, &window).map_err(|e| failed(&e)),
        (Damage::Act(_), None) => file
            .write_all_at(&[0xff; BEGINNING], window.start)
            .map_err(|error| failed(&error)),
        (Damage::Act(does), Some(path)) => {
            damage_file(&file, &window, path, does).map_err(|e| failed(&e))
        }
    }
}

/// Where a partition of a card is, in bytes.
///
/// # Errors
/// The card has no such partition.
pub(super) fn window_of(card: &Path, partition: u32) -> Result<Range<u64>, RunError> {
    let disk = Disk::of(&source::open(card)?)?;
    let mut partitions = disk.table.partitions.iter();
    let found = partitions.find(|found| found.number == partition);
    found
        .map(|found| found.bytes())
        .ok_or_else(|| RunError::Damage {
            partition,
            what: "there is no such partition".into(),
        })
}

/// Leaves no room in a file system: one more file has all of it.
fn fill(file: &File, window: &Range<u64>) -> Result<(), FatError> {
    let volume = FatVolume::open(file, window)?;
    let free = volume.free_bytes()?;
    volume.write(FILLER, io::repeat(0xff).take(free))?;
    volume.finish()
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
