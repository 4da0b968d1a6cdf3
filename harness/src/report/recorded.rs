//! A run as its folder holds it: what every later look at it is made from.
//!
//! The folder's `report.json` and `timeline.jsonl` say everything; the recordings of the serial ports add colours and the pictures add
//! looks. A run without recordings, as one that was replayed from a transcript, has the lines of its timeline.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Report;
use crate::console::{Style, StyledLine, read_cast, styled_lines};
use crate::folder::RunFolder;
use crate::timeline::{BoardId, Event, Record, power_on};

/// A recorded run.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// What came of it.
    pub report: Report,
    /// Everything that happened.
    pub records: Vec<Record>,
    /// The serial ports.
    pub ports: Vec<Port>,
    /// The lines of each of them.
    pub consoles: Vec<Vec<StyledLine>>,
    /// The pictures of the framebuffer, PNG, by the name that the timeline gives them.
    pub screens: BTreeMap<String, Vec<u8>>,
    /// Names of the files in the run's folder.
    pub files: Vec<String>,
}

/// A serial port of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its board; `None` where a run has one.
    pub board: Option<BoardId>,
    /// Index in the board's order.
    pub uart: u8,
}

/// Why a folder cannot be read as a run.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A file could not be read.
    #[error("cannot read {}: {source}; is this the folder of a run?", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
}

impl Recorded {
    /// Reads a run's folder.
    ///
    /// # Errors
    /// `report.json` or `timeline.jsonl` cannot be read. Whatever else is missing is left out.
    pub fn read(folder: &Path) -> Result<Self, RecordError> {
        let report = Report::read(folder)?;
        let path = folder.join(RunFolder::TIMELINE);
        let mut records: Vec<Record> = Vec::new();
        for line in read(&path)?.lines() {
            match serde_json::from_str(line) {
                Ok(record) => records.push(record),
                Err(source) => return Err(RecordError::Json { path, source }),
            }
        }
        let screens = records.iter().filter_map(|r| match &r.event {
            Event::Screenshot { file, .. } => {
                Some((file.clone(), fs::read(folder.join(file)).ok()?))
            }
            _ => None,
        });
        let ports = ports(&records);
        Ok(Self {
            screens: screens.collect(),
            consoles: consoles(folder, &ports, &records),
            ports,
            files: files(folder),
            report,
            records,
        })
    }

    /// When the board was switched on, on the timeline's clock.
    #[must_use]
    pub fn power_on(&self) -> Duration {
        power_on(&self.records).unwrap_or_default()
    }
}

impl Report {
    /// Reads `report.json` of a run's folder.
    ///
    /// # Errors
    /// It cannot be read, or is no report.
    pub fn read(folder: &Path) -> Result<Self, RecordError> {
        let path = folder.join(RunFolder::REPORT);
        serde_json::from_str(&read(&path)?).map_err(|source| RecordError::Json { path, source })
    }
}

fn read(path: &Path) -> Result<String, RecordError> {
    fs::read_to_string(path).map_err(|source| RecordError::Read {
        path: path.into(),
        source,
    })
}

/// The serial ports that spoke, and those before them: of one board after the other.
fn ports(records: &[Record]) -> Vec<Port> {
    let mut highest: BTreeMap<Option<BoardId>, u8> = BTreeMap::new();
    for record in records {
        if let Event::Serial { uart, .. } = &record.event {
            let highest = highest.entry(record.board.clone()).or_default();
            *highest = (*uart).max(*highest);
        }
    }
    let of_board = |(board, highest): (Option<BoardId>, u8)| {
        (0..=highest).map(move |uart| Port {
            board: board.clone(),
            uart,
        })
    };
    highest.into_iter().flat_map(of_board).collect()
}

/// The lines of each of these ports: of its recording, or those of the timeline.
fn consoles(folder: &Path, ports: &[Port], records: &[Record]) -> Vec<Vec<StyledLine>> {
    let lines = |port: &Port| {
        let folder = RunFolder::of_board(folder, port.board.as_ref());
        let cast = RunFolder::of(&folder).cast(port.uart.into());
        if let Ok(cast) = fs::read_to_string(cast) {
            return styled_lines(&read_cast(&cast));
        }
        let of_port = records.iter().filter(|r| r.board == port.board);
        let line = |record: &Record| match &record.event {
            Event::Serial { uart, line } if *uart == port.uart => Some(StyledLine {
                at: record.at,
                spans: vec![(Style::default(), line.clone())],
            }),
            _ => None,
        };
        of_port.filter_map(line).collect()
    };
    ports.iter().map(lines).collect()
}

/// The names of the folder's files, sorted; folders in it are left out.
fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|t| t.is_file()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
