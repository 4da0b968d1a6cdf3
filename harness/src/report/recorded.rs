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
use crate::timeline::{Event, Record, power_on};

/// A recorded run.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// What came of it.
    pub report: Report,
    /// Everything that happened.
    pub records: Vec<Record>,
    /// The lines of each serial port.
    pub consoles: Vec<Vec<StyledLine>>,
    /// The pictures of the framebuffer, PNG, by the name that the timeline gives them.
    pub screens: BTreeMap<String, Vec<u8>>,
    /// Names of the files in the run's folder.
    pub files: Vec<String>,
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
        Ok(Self {
            screens: screens.collect(),
            consoles: consoles(folder, &records),
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

/// The lines of every serial port: of its recording, or those of the timeline.
fn consoles(folder: &Path, records: &[Record]) -> Vec<Vec<StyledLine>> {
    let mut consoles: Vec<Vec<StyledLine>> = Vec::new();
    for record in records {
        if let Event::Serial { uart, line } = &record.event {
            let uart = usize::from(*uart);
            if consoles.len() <= uart {
                consoles.resize_with(uart + 1, Vec::new);
            }
            if let Some(lines) = consoles.get_mut(uart) {
                lines.push(StyledLine {
                    at: record.at,
                    spans: vec![(Style::default(), line.clone())],
                });
            }
        }
    }
    for (uart, lines) in consoles.iter_mut().enumerate() {
        if let Ok(cast) = fs::read_to_string(RunFolder::of(folder).cast(uart)) {
            *lines = styled_lines(&read_cast(&cast));
        }
    }
    consoles
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
