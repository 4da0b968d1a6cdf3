//! A run that was recorded before, judged again in no time, by the judge of live runs.
//!
//! A serial log alone proves the stages that a serial port proves; the others are not in it.

use crate::board::Board;
use crate::console::{Clock, Transcript};
use crate::folder::RunFolder;
use crate::judge::{JudgePlan, JudgedBoard, Source, Verdict, judge};
use crate::plan::Lab;
use crate::report::Failure;
use crate::report::bundle::Bundle;
use crate::scenario::{Forward, Scenario};
use crate::timeline::{BoardId, Event, Record};

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
            #[serde(default)]
            version: u32,
            nonce: Option<String>,
            #[serde(default)]
            layers: Vec<String>,
            #[serde(default)]
            on_desk: bool,
        }
        let file = |name| bundle.run_file(name).unwrap_or_default();
        let bad = |file| move |source| BadRecord { file, source };
        let Known {
            version,
            nonce,
            mut layers,
            on_desk,
        } = serde_json::from_slice(file(RunFolder::REPORT)).map_err(bad(RunFolder::REPORT))?;
        if layers.is_empty() {
            // A report of before they were written down; a scenario may have had them packed in another way.
            layers.clone_from(&bundle.manifest.container.layers);
        }
        let records: Result<_, _> = serde_json::Deserializer::from_slice(file(RunFolder::TIMELINE))
            .into_iter::<Record>()
            .collect();
        Ok(Self {
            records: records.map_err(bad(RunFolder::TIMELINE))?,
            origin: Origin::Run {
                version,
                nonce,
                layers,
                on_desk,
            },
        })
    }

    /// A serial log from wherever.
    #[must_use]
    pub fn of_log(transcript: Transcript) -> Self {
        Self {
            origin: Origin::SerialLog {
                has_times: transcript.clock == Clock::Seconds,
            },
            records: transcript.records,
        }
    }
}

/// Where the events of a recording come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A run of ours, with its whole timeline.
    Run {
        /// The version of its report and its timeline.
        version: u32,
        /// The nonce of that run, if it had come to have one.
        nonce: Option<String>,
        /// Digests of the container image's layers.
        layers: Vec<String>,
        /// It was made on the board of a desk.
        on_desk: bool,
    },
    /// A serial log, with nothing of the network and no bounds that its board knew of.
    SerialLog {
        /// Its times are times, not numbers of lines.
        has_times: bool,
    },
}

/// What came of judging a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// What the judge says.
    pub verdict: Verdict,
    /// Its finding with the last signs of life, for people.
    pub failure: Option<Failure>,
}

/// The scenario with the servers that the run of these records had: the command line may have named others than the file.
fn with_services_of(records: &[Record], scenario: &Scenario) -> Scenario {
    let mut scenario = scenario.clone();
    for record in records {
        if let Event::Forwarding { service, to } = &record.event
            && let Ok(forwarded) = to.parse()
        {
            scenario.services.set(*service, Forward::to(forwarded));
        }
    }
    scenario
}

/// Judges a recording of a scenario on a board, and on others where the scenario names other kinds.
#[must_use]
pub fn replay(
    recording: &Recording,
    scenario: &Scenario,
    board: &Board,
    others: &[Board],
) -> Replay {
    let (source, nonce, layers, is_on_desk) = match &recording.origin {
        Origin::Run {
            version,
            nonce,
            layers,
            on_desk,
        } => {
            let source = Source::Run { version: *version };
            (source, nonce.as_deref(), layers.as_slice(), *on_desk)
        }
        Origin::SerialLog { has_times } => {
            let has_times = *has_times;
            (Source::SerialLog { has_times }, None, [].as_slice(), false)
        }
    };
    let scenario = &with_services_of(&recording.records, scenario);
    let judged = |id: Option<BoardId>| {
        let mut several = scenario.several.iter();
        let named = several.find(|named| Some(&named.id) == id.as_ref());
        let kind = named.and_then(|named| named.kind_among(board, others.iter()));
        let board = kind.unwrap_or(board);
        let stages = match is_on_desk {
            true => Lab::stages(scenario.stages(board)),
            false => scenario.stages(board),
        };
        JudgedBoard { id, board, stages }
    };
    let boards: Vec<_> = scenario.board_ids().into_iter().map(judged).collect();
    let plan = JudgePlan::of_boards(scenario, &boards, source).knowing(nonce, layers);
    let verdict = judge(&plan, &recording.records);
    let failure = verdict.finding.as_ref().map(|finding| {
        let until = |r: &&Record| r.at <= finding.at;
        let seen: Vec<_> = recording.records.iter().filter(until).cloned().collect();
        Failure::of(finding, &seen)
    });
    Replay { verdict, failure }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::judge::{Outcome, StageOutcome};

    fn replayed(log: &str) -> (String, Replay) {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let board = Board::read(&project.join("boards"), "raspi3b").unwrap();
        let path = project.join("scenarios/alpine-https.toml");
        let scenario = Scenario::read_for(&path, &board).unwrap();
        let recording = Recording::of_log(Transcript::read(log.as_bytes()));
        let replay = replay(&recording, &scenario, &board, &[]);
        let line = |(name, outcome): (&String, StageOutcome)| match outcome {
            StageOutcome::Reached { at, .. } => format!("{name} {}\n", at.as_secs_f64()),
            StageOutcome::NotReached => format!("{name} -\n"),
            StageOutcome::NotJudged => String::new(),
        };
        let stages = replay.verdict.stages.iter().map(|s| (&s.name, s.outcome));
        (stages.map(line).collect(), replay)
    }

    #[test]
    fn what_the_firmware_of_a_board_on_a_desk_does_is_no_stage() {
        let board = crate::scenario::testing::raspi3b();
        let scenario = crate::scenario::testing::extended("alpine-http", "").unwrap();
        let first = |on_desk| {
            let recording = Recording {
                records: Vec::new(),
                origin: Origin::Run {
                    version: crate::timeline::TIMELINE_VERSION,
                    nonce: None,
                    layers: Vec::new(),
                    on_desk,
                },
            };
            let replay = replay(&recording, &scenario, &board, &[]);
            replay.verdict.stages[0].name.clone()
        };
        assert_eq!([false, true].map(first), ["firmware", "U-Boot"]);
    }

    #[test]
    fn a_log_from_elsewhere_shows_how_far_its_board_came() {
        let log = "[10:00:00.000] U-Boot 2025.01\n[10:00:04.000] iPXE initialising devices...ok\n\
                   [10:00:20.500] [    0.000000] Booting Linux on physical CPU 0x0\n\
                   [10:00:22.000] [    1.500000] Kernel panic - not syncing: VFS\n\
                   [10:00:30.000] [    9.500000] Run /init as init process\n";
        let (stages, replay) = replayed(log);
        insta::assert_snapshot!(stages, @r"
        U-Boot 0
        iPXE 4
        Linux 20.5
        /init -
        container started -
        ");
        let failure = replay.failure.unwrap();
        assert!(
            failure
                .cause
                .starts_with("stage \"/init\" was not reached: kernel panic on the console: "),
            "{}",
            failure.cause
        );
        assert_eq!(failure.stage_reached.as_deref(), Some("Linux"));
        let last = failure.last_serial.last().unwrap();
        assert!(last.contains("Kernel panic"), "{last}");
    }

    #[test]
    fn what_another_port_said_is_not_missing() {
        let log = "Core: 67 devices\niPXE initialising devices...ok\nhttp... Not found (https://ipxe.org/2d0c618e)\n";
        let (stages, replay) = replayed(log);
        insta::assert_snapshot!(stages, @r"
        iPXE 2
        Linux -
        /init -
        container started -
        ");
        let cause = replay.failure.unwrap().cause;
        assert!(cause.contains("\"Linux\" was not reached"), "{cause}");
    }

    #[test]
    fn a_log_may_begin_late() {
        let (stages, _) = replayed("[    1.000000] Run /init as init process\n");
        assert!(stages.starts_with("/init 1\n"), "{stages}");
    }

    #[test]
    fn a_log_that_ends_early_says_so() {
        let (_, replay) = replayed("U-Boot 2025.01\r\nNet: eth0\r\n");
        assert!(
            replay
                .failure
                .unwrap()
                .cause
                .ends_with("the record ends before")
        );
    }

    #[test]
    fn a_log_that_shows_everything_it_can_has_not_passed() {
        let log = "U-Boot 2025.01\niPXE initialising devices...\nBooting Linux on physical CPU 0x0\n\
                   Run /init as init process\nNAME=\"Alpine Linux\"\n";
        let (_, replay) = replayed(log);
        assert_eq!(replay.verdict.outcome, Outcome::NotJudged);
        assert!(
            replay
                .verdict
                .not_judged
                .iter()
                .any(|n| n.contains("nonce said"))
        );
    }
}
