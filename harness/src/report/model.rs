//! The report's data, as `report.json` holds it.

use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Boot, Failure, Fault, SincePassed, Turn};
use crate::folder::RunFolder;
use crate::mac::Mac;

/// What came of a run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The version of this format ([`Report::VERSION`]); 1 in reports of before it was written down.
    #[serde(default = "Report::first_version")]
    pub version: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// What the scenario shows, in a few words.
    #[serde(default)]
    pub title: String,
    /// Name of the board.
    pub board: String,
    /// Names of the board's serial ports, in the order of their numbers.
    #[serde(default)]
    pub uarts: Vec<String>,
    /// What the emulated board lacks of the real one, each with its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cannot: Vec<String>,
    /// The board's hardware address: of all that chance decides in a run the one thing that the board goes by.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub mac: Option<Mac>,
    /// When the run began, for example `2026-11-24T23:15:00Z`; empty in reports of before this was written down.
    #[serde(default)]
    pub started: String,
    /// Which of several runs of the same it is; a first attempt of a first repetition is not written down.
    #[serde(default, skip_serializing_if = "Turn::is_first")]
    pub turn: Turn,
    /// The outcome.
    pub verdict: Verdict,
    /// The folder of another run, by its name, if this one went on from a checkpoint of its board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<String>,
    /// The run was made on the board of a desk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_desk: bool,
    /// Names of the stages that the run should go through, in order.
    #[serde(default)]
    pub chain: Vec<String>,
    /// What was done to the board on purpose.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What chance was made of in a run with faults: the same seed does the same to the same frames, requests and sectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Every stage that was reached, in order.
    pub stages: Vec<StageTime>,
    /// Every boot that began, of a run that has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boots: Vec<Boot>,
    /// Why it did not pass.
    pub failure: Option<Failure>,
    /// What differs since the last run of the same that passed; nothing of a run that passed, or where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_passed: Option<SincePassed>,
    /// How it ended, where it should end before its chain.
    #[serde(default)]
    pub ending: Option<Ending>,
    /// What the container says of its own system, for example `Alpine Linux v3.20`.
    pub container_system: Option<String>,
    /// The `VERSION_ID` that the container says, for example `3.20.3`.
    pub container_version: Option<String>,
    /// The random number that the registry put into the image; the run passed only if the container said it.
    pub nonce: Option<String>,
    /// Digests of the layers that the registry served; empty in reports of before they were written down.
    #[serde(default)]
    pub layers: Vec<String>,
    /// What the registry served, and whether it is a stand-in for the real image.
    pub container_source: String,
    /// The container image is a stand-in.
    pub stand_in: bool,
    /// Seconds of CPU time that QEMU used.
    pub qemu_cpu_seconds: f64,
    /// Seconds of CPU time that this process used during the run, runs beside it included.
    pub harness_cpu_seconds: f64,
    /// How many times slower than the reference host this one was; bounds were multiplied by it.
    pub host_scale: f64,
    /// Every foreign part with version and digest.
    pub parts: Vec<PartVersion>,
    /// The command that runs the same again.
    pub reproduce: String,
    /// Evidence that could not be kept, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
}

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every stage was reached.
    Passed,
    /// A stage was not reached, or something appeared that must not.
    Failed,
    /// The run could not take place; it says nothing of the image.
    CouldNotRun,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::CouldNotRun => "could not run",
        }
    }
}

/// The end of a run that should end before its chain, and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ending {
    /// The stage before which the board was refused; `None` for a run that should go no further than it went.
    pub refused_before: Option<String>,
    /// What was seen of the proofs, with seconds, in the order of the scenario.
    pub proofs: Vec<String>,
}

/// A stage that was reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageTime {
    /// The stage's name.
    pub name: String,
    /// Seconds from power-on to the evidence.
    pub reached: f64,
    /// Seconds since the stage before it.
    pub took: f64,
    /// What the CPU did meanwhile; unknown of recorded runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuSeconds>,
    /// Another run went through it, and this one goes on from a checkpoint behind it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restored: bool,
}

/// Seconds of CPU time that a run has cost its host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuSeconds {
    /// QEMU's.
    pub qemu: f64,
    /// This process's, runs beside it included.
    pub harness: f64,
}

impl std::ops::Sub for CpuSeconds {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            qemu: self.qemu - earlier.qemu,
            harness: self.harness - earlier.harness,
        }
    }
}

/// A foreign part of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PartVersion {
    /// For example `u-boot-rpi`.
    pub name: String,
    /// The package's or file's version.
    pub version: String,
    /// SHA-256 of the package or file, hex.
    pub sha256: String,
}

impl Report {
    /// The version of `report.json`. Version 1 has no version, and its verdicts were of other rules; it still reads.
    pub const VERSION: u32 = 2;

    fn first_version() -> u32 {
        1
    }

    /// Writes `report.json` into the run's folder; readers see the whole file or none.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.persist(folder.join(RunFolder::REPORT))?;
        Ok(())
    }

    /// Power-on to the last stage; of a run that went on from a checkpoint, from there.
    #[must_use]
    pub fn whole(&self) -> Duration {
        let reached = |stage: Option<&StageTime>| stage.map_or(0.0, |s| s.reached);
        let whole = reached(self.stages.last()) - reached(self.last_restored());
        Duration::try_from_secs_f64(whole).unwrap_or_default()
    }

    /// The stages that the run went through itself.
    pub fn own_stages(&self) -> impl Iterator<Item = &StageTime> {
        self.stages.iter().filter(|stage| !stage.restored)
    }

    /// The stages of the chain behind the last one that was reached. A boot that a step ends early leaves some out, which are not missed.
    #[must_use]
    pub fn missed(&self) -> &[String] {
        let place = |stage: &StageTime| self.chain.iter().position(|name| *name == stage.name);
        let last = self.stages.iter().filter_map(place).max();
        let behind = last.map_or(0, |last| last + 1);
        self.chain.get(behind..).unwrap_or_default()
    }

    /// The stage at which a checkpoint was made that this run went on from.
    #[must_use]
    pub fn last_restored(&self) -> Option<&StageTime> {
        self.stages.iter().rfind(|stage| stage.restored)
    }
}
