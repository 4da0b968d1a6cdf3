//! A run that was recorded before, judged again by the sequencer of live runs, in no time.
//!
//! What happened is on the record's timeline, so nothing is waited for. A serial log alone proves the stages that a serial port proves;
//! the others are not in it.

use std::sync::Arc;
use std::time::Duration;

use super::course::failure;
use super::judge::{Bounds, Facts, GiveUp};
use super::stages::Sequencer;
use super::watchdog::Watchdog;
use crate::board::{Board, Evidence, Stage};
use crate::console::{Transcript, recorded};
use crate::input::Pattern;
use crate::report::bundle::Bundle;
use crate::report::{Class, Failure, StageTime};
use crate::timeline::{Event, Record, Timeline, power_on};

/// What was recorded, and what is known of it.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The events, in order.
    pub records: Vec<Record>,
    /// Where they come from.
    pub origin: Origin,
}

/// What a bundle lacks to be judged again.
#[derive(Debug, thiserror::Error)]
#[error("the bundle's {file} cannot be read: {source}")]
pub struct BadRecord {
    file: &'static str,
    source: serde_json::Error,
}

impl Recording {
    /// The run that a bundle holds.
    ///
    /// # Errors
    /// Its timeline or its report is missing or damaged.
    pub fn of_bundle(bundle: &Bundle) -> Result<Self, BadRecord> {
        /// What has to be known of the report.
        #[derive(serde::Deserialize)]
        struct Known {
            nonce: Option<String>,
            #[serde(default)]
            layers: Vec<String>,
            host_scale: f64,
        }
        let file = |name| bundle.run_file(name).unwrap_or_default();
        let bad = |file| move |source| BadRecord { file, source };
        let Known {
            nonce,
            mut layers,
            host_scale,
        } = serde_json::from_slice(file("report.json")).map_err(bad("report.json"))?;
        if layers.is_empty() {
            // A report of before they were written down; a scenario may have had them packed in another way.
            layers.clone_from(&bundle.manifest.container.layers);
        }
        let records: Result<_, _> = serde_json::Deserializer::from_slice(file("timeline.jsonl"))
            .into_iter::<Record>()
            .collect();
        Ok(Self {
            records: records.map_err(bad("timeline.jsonl"))?,
            origin: Origin::Run {
                nonce,
                layers,
                host_scale,
            },
        })
    }

    /// A serial log from wherever.
    #[must_use]
    pub fn of_log(transcript: Transcript) -> Self {
        Self {
            records: transcript.records,
            origin: Origin::SerialLog,
        }
    }
}

/// Where the events of a recording come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// A run of ours, with its whole timeline.
    Run {
        /// The nonce of that run, if it had one.
        nonce: Option<String>,
        /// Digests of the container image's layers.
        layers: Vec<String>,
        /// How many times slower than the reference host its host was.
        host_scale: f64,
    },
    /// A serial log, with nothing of the network and no bounds that its board knew of.
    SerialLog,
}

/// A stage of a recorded run.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayedStage {
    /// The stage's name.
    pub name: String,
    /// What is known of it.
    pub outcome: Outcome,
}

/// What a recording says of a stage.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was reached, and when.
    Reached(StageTime),
    /// It was not.
    NotReached,
    /// The recording cannot say.
    NotRecorded,
}

/// What came of judging a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// Every stage, in order.
    pub stages: Vec<ReplayedStage>,
    /// Why the last stage that the recording could prove was not reached.
    pub failure: Option<Failure>,
}

/// Judges a recording of `board` by the evidence of `stages`; an alarm by a line that one of `harmless` matches is none. Needs a tokio
/// runtime.
pub async fn replay(
    recording: &Recording,
    board: &Board,
    stages: &[Stage],
    harmless: &[Pattern],
) -> Replay {
    let (bounds, mut facts) = match &recording.origin {
        Origin::Run {
            nonce,
            layers,
            host_scale,
        } => {
            let facts = Facts {
                nonce: nonce.clone().unwrap_or_default(),
                layers: layers.clone(),
                ..Facts::default()
            };
            (Bounds::new(&board.limits, *host_scale), facts)
        }
        Origin::SerialLog => {
            let bounds = Bounds::new(&board.limits, 1.0).without_budgets();
            (bounds, Facts::default())
        }
    };
    facts.harmless = harmless.to_vec();
    let may_prove = |s: &&Stage| recording.may_prove(&s.evidence);
    let mut provable: Vec<_> = stages.iter().filter(may_prove).cloned().collect();
    let judged = async |stages: &[Stage]| {
        let (bounds, facts) = (bounds.clone(), facts.clone());
        judge_records(&recording.records, stages, bounds, facts).await
    };
    let (mut reached, mut failure) = judged(&provable).await;
    // Boot loaders change ports on their way, and a log may be of one port: what is missing there and followed by more was said
    // elsewhere.
    let mut missing = 1;
    while let Some(rest) = provable.get(reached.len() + missing..)
        && recording.is_log()
        && !rest.is_empty()
    {
        let others = [provable.get(..reached.len()).unwrap_or_default(), rest].concat();
        let (more, later) = judged(&others).await;
        if more.len() > reached.len() {
            (provable, reached, failure) = (others, more, later);
            missing = 1;
        } else {
            missing += 1;
        }
    }
    let outcome = |stage: &Stage| {
        let time = reached.iter().find(|t| t.name == stage.name);
        match time {
            Some(time) => Outcome::Reached(time.clone()),
            None if provable.iter().any(|s| s.name == stage.name) => Outcome::NotReached,
            None => Outcome::NotRecorded,
        }
    };
    Replay {
        stages: stages
            .iter()
            .map(|stage| ReplayedStage {
                name: stage.name.clone(),
                outcome: outcome(stage),
            })
            .collect(),
        failure,
    }
}

/// Goes through stages by what was recorded.
async fn judge_records(
    records: &[Record],
    stages: &[Stage],
    bounds: Bounds,
    facts: Facts,
) -> (Vec<StageTime>, Option<Failure>) {
    // Stages are judged anew.
    let is_stage = |r: &Record| matches!(r.event, Event::Stage { .. });
    let before: Vec<_> = records.iter().filter(|r| !is_stage(r)).cloned().collect();
    let (expectations, records) = recorded(&before);
    let power_on = power_on(&records).unwrap_or_default();
    let end = records.last().map_or(Duration::ZERO, |r| r.at);
    let ended = async { GiveUp::new(end, Class::Board, "the record ends before") };
    let timeline = Timeline::of_records(records);
    let mut watchdog = Watchdog::new(Arc::new(|| 0), &bounds);
    let mut sequencer =
        Sequencer::new(timeline.clone(), expectations, bounds, facts).since(power_on);
    let never = std::future::pending();
    let (reached, outcome) = sequencer.go(stages, &mut watchdog, ended, never).await;
    let failure = outcome.err().map(|not_reached| {
        let until = not_reached.why.at;
        let mut seen = timeline.snapshot();
        seen.retain(|r| r.at <= until || is_stage(r));
        failure(&not_reached, &seen)
    });
    (reached, failure)
}

impl Recording {
    /// It is a serial log, which may be of one of several ports.
    fn is_log(&self) -> bool {
        self.origin == Origin::SerialLog
    }

    /// The recording has what proves such a stage, if it was reached.
    fn may_prove(&self, evidence: &Evidence) -> bool {
        match &self.origin {
            Origin::Run { nonce, .. } => !matches!(evidence, Evidence::Nonce) || nonce.is_some(),
            Origin::SerialLog => matches!(evidence, Evidence::Serial(_) | Evidence::Container(_)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn raspi3b() -> Board {
        let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards");
        Board::read(&boards, "raspi3b").unwrap()
    }

    async fn replayed(log: &str) -> (String, Option<Failure>) {
        let board = raspi3b();
        let recording = Recording::of_log(Transcript::read(log.as_bytes()));
        let replay = replay(&recording, &board, &board.stages, &[]).await;
        let line = |s: &ReplayedStage| match &s.outcome {
            Outcome::Reached(time) => format!("{} {}\n", s.name, time.reached),
            Outcome::NotReached => format!("{} -\n", s.name),
            Outcome::NotRecorded => String::new(),
        };
        (replay.stages.iter().map(line).collect(), replay.failure)
    }

    #[tokio::test]
    async fn a_log_from_elsewhere_shows_how_far_its_board_came() {
        let log = "[10:00:00.000] U-Boot 2025.01\n[10:00:04.000] iPXE initialising devices...ok\n\
                   [10:00:20.500] [    0.000000] Booting Linux on physical CPU 0x0\n\
                   [10:00:22.000] [    1.5] Kernel panic - not syncing: VFS\n\
                   [10:00:30.000] [    9.5] Run /init as init process\n";
        let (stages, failure) = replayed(log).await;
        insta::assert_snapshot!(stages, @r"
        U-Boot 0
        iPXE 4
        Linux 20.5
        /init -
        container started -
        ");
        let failure = failure.unwrap();
        assert_eq!(
            failure.cause,
            "stage \"/init\" was not reached: kernel panic on the console: [    1.5] Kernel panic - not syncing: VFS"
        );
        assert_eq!(failure.stage_reached.as_deref(), Some("Linux"));
        let last = failure.last_serial.last().unwrap();
        assert!(last.contains("Kernel panic"), "{last}");
    }

    #[tokio::test]
    async fn what_another_port_said_is_not_missing() {
        let log = "Core: 67 devices\niPXE initialising devices...ok\nhttp... Not found (https://ipxe.org/2d0c618e)\n";
        let (stages, failure) = replayed(log).await;
        insta::assert_snapshot!(stages, @r"
        iPXE 2
        Linux -
        /init -
        container started -
        ");
        assert!(
            failure
                .unwrap()
                .cause
                .contains("\"Linux\" was not reached: iPXE error")
        );
    }

    #[tokio::test]
    async fn a_log_may_begin_late() {
        let (stages, _) = replayed("[    1.0] Run /init as init process\n").await;
        assert!(stages.starts_with("/init 1\n"), "{stages}");
    }

    #[tokio::test]
    async fn a_log_that_ends_early_says_so() {
        let (_, failure) = replayed("U-Boot 2025.01\r\nNet: eth0\r\n").await;
        assert!(failure.unwrap().cause.ends_with("the record ends before"));
    }

    #[tokio::test]
    async fn the_budgets_of_a_run_hold_for_its_record_too() {
        let board = raspi3b();
        let line = |at, line: &str| {
            Record::new(
                Duration::from_secs(at),
                Event::Serial {
                    uart: 0,
                    line: line.into(),
                },
            )
        };
        let recording = Recording {
            records: vec![
                line(1, "U-Boot 2025.01"),
                line(122, "iPXE initialising devices"),
            ],
            origin: Origin::Run {
                nonce: None,
                layers: vec![],
                host_scale: 1.0,
            },
        };
        let stages: Vec<_> = board
            .stages
            .iter()
            .filter(|s| s.name == "U-Boot" || s.name == "iPXE")
            .cloned()
            .collect();
        let failure = replay(&recording, &board, &stages, &[])
            .await
            .failure
            .unwrap();
        assert!(
            failure.cause.contains("budget of 120 s"),
            "{}",
            failure.cause
        );
    }
}
