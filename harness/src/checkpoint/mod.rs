//! Checkpoints: boards that have come to a stage, kept for later runs that are given the same until then.
//!
//! A board that stands still is a file of QEMU's ([`save_memory`](crate::machine::save_memory)), its card's overlay, and what its run
//! knew: the hardware address, the key of the authority that its guest trusts, and what had happened to it. Two things cannot be kept,
//! and must not be there: a connection, whose other end is in this process, and a USB transfer under way. A guest that has not touched
//! its NIC since it was last plugged in has neither.
//!
//! A checkpoint is found by everything that can have had an influence on the board: its definition, its parts, the boot script, what the
//! initramfs is extended by, and the program that plays its surroundings.

mod key;
mod writer;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

pub(crate) use writer::Writer;

use crate::error::RunError;
use crate::mac::Mac;
use crate::machine::Machine;
use crate::plan::{Job, Start};
use crate::report::StageTime;
use crate::timeline::{Event, Record, Timeline};

/// Files of a checkpoint.
const BOARD: &str = "board.json";
const MEMORY: &str = "memory";
const CARD: &str = "card.qcow2";

/// Where the checkpoint of a run is, or would be.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// The stage that its board has reached.
    stage: String,
    /// Registers that are zero while the board can be saved.
    registers: Vec<u64>,
    folder: PathBuf,
}

/// A board to go on from.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    folder: PathBuf,
    board: Saved,
}

/// What a run knew of its board, as `board.json` holds it.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    /// The name of the run's folder.
    run: String,
    mac: Mac,
    /// PKCS#8 in PEM.
    authority_key: String,
    /// The clock of the run's timeline when the board stood still.
    at: Duration,
    /// What had happened to the board.
    records: Vec<Record>,
    stages: Vec<StageTime>,
}

impl Slot {
    /// Where the checkpoint of this run is, if it may have one.
    pub(crate) fn of(job: &Job<'_>) -> Option<Self> {
        let (root, stage) = (job.checkpoints.as_ref()?, job.scenario.checkpoint.as_ref()?);
        let extras = &job.extras;
        let quirk = job.board.quirks.freeze_when_no_irq.as_ref()?;
        let is_usual = job.start == Start::Card
            && !extras.gdb
            && extras.mac.is_none()
            && job.scenario.services.are_played()
            && job.parts.files.is_empty();
        is_usual.then(|| Self {
            stage: stage.clone(),
            registers: quirk.registers.clone(),
            folder: root.join(key::key(job, stage)),
        })
    }

    /// The checkpoint, if there is one.
    pub(crate) fn find(&self) -> Result<Option<Checkpoint>, RunError> {
        let file = self.folder.join(BOARD);
        let text = match fs::read(&file) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read,
        };
        let board = text.and_then(|text| Ok(serde_json::from_slice(&text)?));
        let board = board.map_err(|source| RunError::BadCheckpoint {
            folder: self.folder.clone(),
            source: Box::new(source),
        })?;
        // It is only a little more likely to be removed if this fails.
        let _ = File::open(&self.folder).and_then(|f| f.set_modified(SystemTime::now()));
        Ok(Some(Checkpoint {
            folder: self.folder.clone(),
            board,
        }))
    }
}

impl Checkpoint {
    /// The board's hardware address.
    pub(crate) fn mac(&self) -> Mac {
        self.board.mac
    }

    /// The private key of the authority that the guest trusts, in PEM.
    pub(crate) fn authority_key(&self) -> &str {
        &self.board.authority_key
    }

    /// Makes the overlay of the board's card.
    pub(crate) fn copy_card(&self, overlay: &Path) -> Result<(), RunError> {
        let copied = fs::copy(self.folder.join(CARD), overlay);
        copied.map(drop).map_err(|source| self.bad(source))
    }

    /// Brings a machine that waits for it to where the board stood.
    pub(crate) async fn load(&self, machine: &Machine) -> Result<(), RunError> {
        let loaded = machine.load_memory(&self.folder.join(MEMORY)).await;
        loaded.map_err(|source| self.bad(source))
    }

    /// Lets the timeline of a run that goes on from here begin with what had happened to the board.
    pub(crate) fn begin(&self, timeline: &Timeline) {
        timeline.go_on_from(self.board.records.clone(), self.board.at);
        let last = self.board.stages.last();
        timeline.emit(Event::Restored {
            stage: last.map_or_else(String::new, |stage| stage.name.clone()),
            run: self.board.run.clone(),
        });
    }

    /// What a run that goes on from here has not gone through itself.
    pub(crate) fn restored(&self) -> Restored {
        Restored {
            run: self.board.run.clone(),
        }
    }

    /// Why a run cannot go on from here.
    fn bad(&self, source: impl std::error::Error + Send + Sync + 'static) -> RunError {
        RunError::BadCheckpoint {
            folder: self.folder.clone(),
            source: Box::new(source),
        }
    }
}

/// What another run went through in slot of this one.
#[derive(Debug)]
pub(crate) struct Restored {
    /// The name of its folder.
    pub(crate) run: String,
}
