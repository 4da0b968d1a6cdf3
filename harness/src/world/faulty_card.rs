//! A card that does wrong what the scenario's faults say, while the board runs: what the emulator's reads and writes are answered from.
//!
//! Life cycle: [`FaultPlaces::find`] before the board is switched on, which says where on the card the faults are; [`FaultyCard::new`] for its
//! first boot; then for each boot [`FaultyCard::begin_boot`], the emulator's requests,
//! [`FaultyCard::power_fails`] and [`FaultyCard::loses_power`]. What is written goes to
//! the same overlay as QEMU's writes do where a card has no faults.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use shakedown_target::disk::{Answer, Disk, Refused};
use tokio::sync::watch;

use super::card::window_of;
use super::last_write::LastWrite;
use crate::error::RunError;
use crate::fault::{CardDefect, CardTrouble, Defect, Faults};
use crate::image::fat::places_of_file;
use crate::image::source::{Qcow2Error, WrittenCard};
use crate::machine::MachineError;
use crate::scenario::{PlannedFault, Scenario};
use crate::timeline::{BoardId, Event, HostTrouble};

/// Bytes of a sector.
const SECTOR: u64 = 512;
/// What chance is asked about a sector: which bit is wrong.
const BIT: u64 = 0;

/// Where on a card its faults are: of each the places, in bytes; `None` stands for all of the card.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultPlaces(Vec<(CardDefect, Option<Vec<Range<u64>>>)>);

impl FaultPlaces {
    /// Finds the partitions and files of a scenario's faults on the card of a board.
    ///
    /// # Errors
    /// The card has no such partition or file.
    pub(crate) fn find(
        card: &Path,
        scenario: &Scenario,
        board: Option<&BoardId>,
    ) -> Result<Self, RunError> {
        let mut found = Vec::new();
        for planned in &scenario.faults {
            if let PlannedFault::Running { fault, .. } = planned
                && let Defect::Card(defect) = &fault.defect
                && fault.is_of(board)
            {
                found.push((defect.clone(), places(card, defect)?));
            }
        }
        Ok(Self(found))
    }

    /// The card has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&self, defect: &CardDefect) -> Option<&[Range<u64>]> {
        let found = self.0.iter().find(|(of, _)| of == defect);
        found.and_then(|(_, places)| places.as_deref())
    }
}

fn places(card: &Path, defect: &CardDefect) -> Result<Option<Vec<Range<u64>>>, RunError> {
    let Some(partition) = defect.partition else {
        return Ok(None);
    };
    let window = window_of(card, partition)?;
    let Some(path) = &defect.file else {
        return Ok(Some(vec![window]));
    };
    let failed = |what: &dyn std::fmt::Display| RunError::Damage {
        partition,
        what: what.to_string(),
    };
    let file = File::open(card).map_err(|error| failed(&error))?;
    let places = places_of_file(&file, &window, path).map_err(|error| failed(&error))?;
    Ok(Some(places))
}

/// A card with faults.
pub(crate) struct FaultyCard {
    card: WrittenCard,
    places: FaultPlaces,
    faults: Faults,
    last: LastWrite,
    /// The power is going away: from here on the emulator flushes its files of its own accord.
    power_fails: bool,
    is_read_only: bool,
    /// Bytes of the clusters that were written to, for who waits for them.
    written: watch::Sender<u64>,
}

/// A read or a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Read,
    Write,
}

impl FaultyCard {
    /// The card of the raw image `base`, with an overlay over it that takes what is written.
    ///
    /// # Errors
    /// A file cannot be opened, or the overlay is damaged.
    pub(crate) fn new(
        base: &Path,
        overlay: &Path,
        places: FaultPlaces,
        faults: Faults,
    ) -> Result<Self, RunError> {
        let io = MachineError::io;
        let below = File::open(base).map_err(io("open", base))?;
        let above = OpenOptions::new().read(true).write(true).open(overlay);
        let above = above.map_err(io("open", overlay))?;
        let card = WrittenCard::new(below, above).map_err(|error| {
            let error = std::io::Error::other(error.to_string());
            io("read", overlay)(error)
        })?;
        let (written, _) = watch::channel(card.written());
        Ok(Self {
            card,
            places,
            faults,
            last: LastWrite::default(),
            power_fails: false,
            is_read_only: false,
            written,
        })
    }

    /// How many bytes of clusters of 64 KiB the board has written to.
    pub(crate) fn written(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }

    /// A boot begins, of a board to which the faults show like this.
    pub(crate) fn begin_boot(&mut self, faults: Faults) {
        self.faults = faults;
        self.last = LastWrite::default();
        self.power_fails = false;
        let mut at_work = self.faults.at_work();
        self.is_read_only = at_work.any(|(index, defect)| {
            let is_it = matches!(defect, Defect::Card(card) if card.does == CardTrouble::ReadOnly);
            is_it && self.faults.fires(index, "card, read-only")
        });
    }

    /// The power is about to go away: the guest flushes nothing any more.
    pub(crate) fn power_fails(&mut self) {
        self.power_fails = true;
    }

    /// The power has gone away in the middle of what the board did: a write may be torn.
    pub(crate) fn loses_power(&mut self) {
        let last = std::mem::take(&mut self.last);
        let faults = self.faults.clone();
        for (index, defect) in faults.at_work() {
            let Defect::Card(defect) = defect else {
                continue;
            };
            let places = self.places.of(defect);
            if defect.does != CardTrouble::TornWrite
                || last.bytes().is_empty()
                || !touches(places, &last.bytes())
                || faults.count(index).is_none()
            {
                continue;
            }
            let (at, before) = last.second_half();
            match self.card.write_at(before, at) {
                Ok(()) => _ = faults.fires(index, &place(Way::Write, &last.bytes())),
                Err(error) => self.tell(&error),
            }
        }
    }

    /// This machine could not read or write what is the card's: the guest gets an error, and the run says nothing of its board.
    fn tell(&self, error: &Qcow2Error) {
        let is_full =
            matches!(error, Qcow2Error::Io(error) if error.kind() == ErrorKind::StorageFull);
        self.faults.timeline().emit(Event::Host {
            trouble: match is_full {
                true => HostTrouble::DiskFull,
                false => HostTrouble::Other,
            },
            text: format!("what the board reads and writes cannot be answered: {error}"),
        });
    }

    fn answer(&self, fate: Fate, done: Result<(), Qcow2Error>) -> Answer {
        if let Err(error) = &done {
            self.tell(error);
        }
        Answer {
            takes: fate.takes,
            result: match (fate.fails, done) {
                (false, Ok(())) => Ok(()),
                _ => Err(Refused::Io),
            },
        }
    }

    /// What the faults make of a read or a write.
    fn spoiled(&self, way: Way, bytes: &Range<u64>) -> Spoiled<'_> {
        let mut spoiled = Spoiled::default();
        for (index, defect) in self.faults.at_work() {
            let Defect::Card(defect) = defect else {
                continue;
            };
            let shows = match defect.does {
                CardTrouble::Slow(_) => true,
                CardTrouble::CorruptReads | CardTrouble::FailReads => way == Way::Read,
                CardTrouble::FailWrites | CardTrouble::LoseWrites => way == Way::Write,
                CardTrouble::TornWrite | CardTrouble::ReadOnly => false,
            };
            let places = self.places.of(defect);
            if !shows
                || !touches(places, bytes)
                || self.faults.count(index).is_none()
                || !self.faults.fires(index, &place(way, bytes))
            {
                continue;
            }
            match defect.does {
                CardTrouble::Slow(rate) => {
                    let seconds = (bytes.end - bytes.start) as f64 / rate.0 as f64;
                    spoiled.fate.takes += Duration::from_secs_f64(seconds);
                }
                CardTrouble::CorruptReads => spoiled.corrupt.push((index, places)),
                CardTrouble::FailReads | CardTrouble::FailWrites => spoiled.fate.fails = true,
                CardTrouble::LoseWrites => spoiled.fate.is_lost = true,
                CardTrouble::TornWrite | CardTrouble::ReadOnly => {}
            }
        }
        spoiled
    }
}

/// What the faults make of a read or a write.
#[derive(Default)]
struct Spoiled<'a> {
    fate: Fate,
    /// The faults that turn bits over, and where.
    corrupt: Vec<(usize, Option<&'a [Range<u64>]>)>,
}

/// What becomes of a request, whatever its bytes are.
#[derive(Debug, Clone, Copy, Default)]
struct Fate {
    takes: Duration,
    fails: bool,
    is_lost: bool,
}

impl Disk for FaultyCard {
    fn size(&self) -> u64 {
        self.card.size()
    }

    fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    fn read(&mut self, bytes: &mut [u8], at: u64) -> Answer {
        let range = at..at + bytes.len() as u64;
        let spoiled = self.spoiled(Way::Read, &range);
        let done = self.card.read_at(bytes, at);
        for (index, places) in &spoiled.corrupt {
            let sectors = bytes.chunks_mut(SECTOR as usize);
            for (sector, bytes) in (at / SECTOR..).zip(sectors) {
                let start = sector * SECTOR;
                if touches(*places, &(start..start + SECTOR)) {
                    // A worn cell is always the same.
                    turn_over(bytes, self.faults.draw(*index, sector, BIT));
                }
            }
        }
        self.answer(spoiled.fate, done)
    }

    fn write(&mut self, bytes: &[u8], at: u64) -> Answer {
        let range = at..at + bytes.len() as u64;
        let fate = self.spoiled(Way::Write, &range).fate;
        if fate.fails || fate.is_lost {
            return self.answer(fate, Ok(()));
        }
        let is_torn = |(_, defect): (usize, &CardDefect)| defect.does == CardTrouble::TornWrite;
        if self.faults.of_card().any(is_torn) {
            let mut before = vec![0; bytes.len()];
            if let Err(error) = self.card.read_at(&mut before, at) {
                return self.answer(fate, Err(error));
            }
            self.last.write(at, &before);
        }
        let done = self.card.write_at(bytes, at);
        self.written.send_replace(self.card.written());
        self.answer(fate, done)
    }

    fn flush(&mut self) -> Answer {
        if !self.power_fails {
            self.last = LastWrite::default();
        }
        Answer::DONE
    }
}

/// Some of the places are among these bytes.
fn touches(places: Option<&[Range<u64>]>, bytes: &Range<u64>) -> bool {
    let touches = |place: &Range<u64>| place.start < bytes.end && bytes.start < place.end;
    places.is_none_or(|places| places.iter().any(touches))
}

/// Where a fault has shown, for people.
fn place(way: Way, bytes: &Range<u64>) -> String {
    let what = match way {
        Way::Read => "read",
        Way::Write => "write",
    };
    let (first, behind) = (bytes.start / SECTOR, bytes.end.div_ceil(SECTOR));
    match behind - first {
        0 | 1 => format!("card, {what} of sector {first}"),
        _ => format!("card, {what} of sectors {first} to {}", behind - 1),
    }
}

/// Turns one bit over.
fn turn_over(bytes: &mut [u8], draw: u64) {
    if let Some(bit) = draw.checked_rem(bytes.len() as u64 * 8)
        && let Some(byte) = bytes.get_mut((bit / 8) as usize)
    {
        *byte ^= 1 << (bit % 8);
    }
}

#[cfg(test)]
mod tests;
