//! `card` of a `[[fault]]`: damage that is there before the board is switched on, and what a card does wrong while the board runs.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::board::Board;
use crate::fault::{CardDefect, CardTrouble};
use crate::input::ByteSize;
use crate::machine::DiskKind;

/// What becomes of a part of a card, or of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardAct {
    /// It holds the pattern of a block that was never written: bytes 0xff.
    Erase,
    /// The second half is missing, as after a write that was cut short. Of a file alone.
    Halve,
    /// It is gone. Of a file alone.
    Remove,
}

/// Damage that a card has before the board is switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardDamage {
    /// The partition's number.
    pub partition: u32,
    /// A file of its FAT file system. Without it, the partition's first 4 KiB are meant.
    pub file: Option<String>,
    /// What was done.
    pub does: Damage,
}

/// What was done to a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Something became of a part of it.
    Act(CardAct),
    /// The FAT file system has no room any more.
    Fill,
}

/// What is wrong with the card, or disk: damage that is there before the board is switched on (`erase`, `halve`, `remove`, `fill`), or what it does while the board runs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CardFaultTable {
    /// The partition's number. What is done while the board runs is done everywhere without it.
    partition: Option<u32>,
    /// A file of the partition's FAT file system. Damage without it is of the partition's first 4 KiB. What is done while the board runs is done to
    /// the sectors that the file has when the run begins.
    file: Option<String>,
    /// What happens.
    does: CardDoes,
}

/// What happens to the card, or what it does.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum CardDoes {
    /// Before the board is switched on: the file, or the partition's beginning, holds the pattern of a block that was never written, bytes 0xff.
    Erase,
    /// Before the board is switched on: the second half of the file is missing, as after a write that was cut short.
    Halve,
    /// Before the board is switched on: the file is gone.
    Remove,
    /// Before the board is switched on: the partition's FAT file system has no room any more.
    Fill,
    /// It reads and writes so many bytes a second.
    Slow(ByteSize),
    /// What is read has one wrong bit in each sector of 512 bytes, always the same.
    CorruptReads,
    /// Reading fails with an input/output error. Not of an SD card.
    FailReads,
    /// Writing fails with an input/output error. Not of an SD card.
    FailWrites,
    /// A write is accepted and not kept, as worn-out cards do: what is read later is what was there before.
    LoseWrites,
    /// Whenever the power goes away, the second half of what was written last, in one stretch, is as it was before.
    TornWrite,
    /// It says that it cannot be written to, for whole boots. Not of an SD card.
    ReadOnly,
}

/// When a card's fault is there.
enum Kind {
    /// Before the board is switched on.
    Damage(Damage),
    /// While it runs.
    Trouble(CardTrouble),
}

impl CardDoes {
    fn kind(self) -> Kind {
        match self {
            Self::Erase => Kind::Damage(Damage::Act(CardAct::Erase)),
            Self::Halve => Kind::Damage(Damage::Act(CardAct::Halve)),
            Self::Remove => Kind::Damage(Damage::Act(CardAct::Remove)),
            Self::Fill => Kind::Damage(Damage::Fill),
            Self::Slow(rate) => Kind::Trouble(CardTrouble::Slow(rate)),
            Self::CorruptReads => Kind::Trouble(CardTrouble::CorruptReads),
            Self::FailReads => Kind::Trouble(CardTrouble::FailReads),
            Self::FailWrites => Kind::Trouble(CardTrouble::FailWrites),
            Self::LoseWrites => Kind::Trouble(CardTrouble::LoseWrites),
            Self::TornWrite => Kind::Trouble(CardTrouble::TornWrite),
            Self::ReadOnly => Kind::Trouble(CardTrouble::ReadOnly),
        }
    }
}

/// A card's fault, checked.
#[derive(Debug)]
pub(super) enum CardFault {
    Before(CardDamage),
    Running(CardDefect),
}

impl CardFaultTable {
    /// Checks it against the boards that it is for; the error is a message for its place.
    pub(super) fn check(self, boards: &[&Board]) -> Result<CardFault, String> {
        let Self {
            partition,
            file,
            does,
        } = self;
        if file.is_some() && partition.is_none() {
            return Err("say in which partition the file is: partition = 2".into());
        }
        let damage = match does.kind() {
            Kind::Damage(damage) => damage,
            Kind::Trouble(does) => return running(partition, file, does, boards),
        };
        let Some(partition) = partition else {
            return Err("say which partition of the card: partition = 2".into());
        };
        match (damage, &file) {
            (Damage::Act(CardAct::Halve | CardAct::Remove), None) => {
                return Err("say which file of the card".into());
            }
            (Damage::Fill, Some(_)) => {
                return Err("a whole partition is filled: leave `file` out".into());
            }
            _ => {}
        }
        Ok(CardFault::Before(CardDamage {
            partition,
            file,
            does: damage,
        }))
    }
}

/// A fault of a card while the board runs, if every board's disk can show it.
fn running(
    partition: Option<u32>,
    file: Option<String>,
    does: CardTrouble,
    boards: &[&Board],
) -> Result<CardFault, String> {
    let mut on_card = boards.iter().filter(|b| b.disk.kind == DiskKind::Sd);
    if let (Some(why), Some(board)) = (cannot_on_card(does), on_card.next()) {
        return Err(format!("board {} cannot show this: {why}", board.name));
    }
    if does == CardTrouble::Slow(ByteSize(0)) {
        return Err("a card that carries nothing never answers: say 1 or more".into());
    }
    if does == CardTrouble::ReadOnly && partition.is_some() {
        return Err("a disk is read-only as a whole: leave `partition` out".into());
    }
    Ok(CardFault::Running(CardDefect {
        partition,
        file,
        does,
    }))
}

/// Why an SD card in QEMU cannot show this. Source: QEMU's hw/sd/sd.c, `sd_blk_read`, `sd_blk_write`, `sd_realize`; measured with version 10.0.
fn cannot_on_card(does: CardTrouble) -> Option<&'static str> {
    match does {
        CardTrouble::FailReads => Some(
            "QEMU's SD card tells no guest that reading has failed, the guest gets the sector before once more; say \"corrupt-reads\", or take a board with another disk",
        ),
        CardTrouble::FailWrites => Some(
            "QEMU's SD card tells no guest that writing has failed; say \"lose-writes\", which is what happens then, or take a board with another disk",
        ),
        CardTrouble::ReadOnly => Some(
            "QEMU does not start with an SD card that is read-only; say \"lose-writes\", or take a board with another disk",
        ),
        CardTrouble::Slow(_)
        | CardTrouble::CorruptReads
        | CardTrouble::LoseWrites
        | CardTrouble::TornWrite => None,
    }
}
