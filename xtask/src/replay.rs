//! `cargo xtask replay`: a recorded run judged again in no time: a bundle of ours, or a serial log that somebody captured anywhere.

use std::fmt::Write;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use shakedown_common::{COULD_NOT_RUN, say};
use shakedown_harness::board::Board;
use shakedown_harness::console::{Clock, Stamps, Transcript};
use shakedown_harness::folder::RunFolder;
use shakedown_harness::judge::{Outcome, StageOutcome};
use shakedown_harness::project::Project;
use shakedown_harness::replay::{Recording, Replay, replay};
use shakedown_harness::report::bundle::Bundle;
use shakedown_harness::scenario::Scenario;
use shakedown_harness::timeline::Event;
use shakedown_harness::{untrusted, untrusted_lines};

use crate::globals::Globals;

/// Arguments of `replay`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A bundle, a serial log (plain, or stamped by tio, ts or grabserial), or a run's folder.
    #[arg(value_name = "BUNDLE|TRANSCRIPT|FOLDER")]
    pub(crate) record: PathBuf,
    /// Judge by this scenario as it is now; by default a bundle is judged by its own, a log by `alpine-https`.
    #[arg(long)]
    scenario: Option<String>,
    /// Judge by this board as it is now.
    #[arg(long)]
    board: Option<String>,
}

/// Bytes of a log that are read at most.
const LARGEST_LOG: u64 = 256 << 20;
/// Bytes by which a bundle is known.
const MAGIC_LENGTH: u64 = 4;

/// What a log is judged by when nothing else is said.
const USUAL: &str = "alpine-https";

/// A record with what it must be judged by.
struct Case {
    recording: Recording,
    clock: Clock,
    /// What stood before the lines of a log; `None` of a bundle.
    stamps: Option<Stamps>,
    /// The log began with its last line.
    is_reversed: bool,
    made_of: Definitions,
}

/// Runs the command; the exit status is that of `e2e`: 1 when the run failed, 2 when it could not take place.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let case = case(args, globals)?;
    let Definitions {
        scenario,
        board,
        others,
    } = &case.made_of;
    let replay = replay(&case.recording, scenario, board, others);
    let lines = case.recording.records.iter();
    let lines = lines.filter(|r| matches!(r.event, Event::Serial { .. }));
    let head = format!(
        "{}: {} serial lines, judged by {} on {}\n",
        args.record.display(),
        lines.count(),
        scenario.name,
        board.name
    );
    if let Some(stamps) = &case.stamps {
        say(false, &format!("{stamps}"));
    }
    if case.is_reversed {
        say(
            false,
            "the log runs backwards; it was read from its end to its beginning",
        );
    }
    say(false, &head);
    say(false, text(&replay, case.clock).trim_end());
    Ok(ExitCode::from(match replay.verdict.outcome {
        Outcome::Passed | Outcome::NotJudged => 0,
        Outcome::Failed => 1,
        Outcome::CouldNotRun => COULD_NOT_RUN,
    }))
}

fn case(args: &Args, globals: &Globals) -> Result<Case> {
    let record = record(&args.record);
    let bundle = match read(&record)? {
        Contents::Bundle(bundle) => *bundle,
        Contents::Log(transcript) => return log_case(transcript, args, globals),
    };
    let made_of = if args.scenario.is_some() || args.board.is_some() {
        let project = globals.project()?;
        let name = args.scenario.as_deref();
        let name = name.unwrap_or(&bundle.manifest.scenario);
        let (scenario, board) = project.one(name, args.board.as_deref())?;
        Definitions::of(scenario, board, &project)
    } else {
        definitions(&bundle)?
    };
    Ok(Case {
        recording: Recording::of_bundle(&bundle)?,
        clock: Clock::Seconds,
        stamps: None,
        is_reversed: false,
        made_of,
    })
}

fn log_case(transcript: Transcript, args: &Args, globals: &Globals) -> Result<Case> {
    let project = globals.project()?;
    let scenario = args.scenario.as_deref().unwrap_or(USUAL);
    let (scenario, board) = project.one(scenario, args.board.as_deref())?;
    Ok(Case {
        clock: transcript.clock,
        stamps: Some(transcript.stamps.clone()),
        is_reversed: transcript.is_reversed,
        recording: Recording::of_log(transcript),
        made_of: Definitions::of(scenario, board, &project),
    })
}

/// What a file holds.
#[derive(Debug)]
enum Contents {
    Bundle(Box<Bundle>),
    Log(Transcript),
}

/// Reads a bundle or a log.
fn read(path: &Path) -> Result<Contents> {
    let failed = || format!("cannot read {}", path.display());
    let mut file = open(path)?;
    let size = file.metadata().with_context(failed)?.len();
    let mut start = Vec::new();
    let mut beginning = file.by_ref().take(MAGIC_LENGTH);
    beginning.read_to_end(&mut start).with_context(failed)?;
    let is_bundle = Bundle::is_one(&start);
    // What has been taken from a pipe does not come again.
    let whole = Cursor::new(start).chain(file);
    if is_bundle {
        return bundle(path, whole);
    }
    let bytes = match size > LARGEST_LOG {
        true => None,
        false => bounded(whole).with_context(failed)?,
    };
    let Some(bytes) = bytes else {
        bail!(
            "{} has more than the {} MiB that are read of a log: cut the boot out of it, for example with `split --bytes=200M`",
            path.display(),
            LARGEST_LOG >> 20
        );
    };
    let transcript = Transcript::read_log(&bytes);
    let transcript = transcript.with_context(|| format!("cannot judge {}", path.display()))?;
    Ok(Contents::Log(transcript))
}

/// Opens a file or a pipe.
fn open(path: &Path) -> Result<File> {
    let failed = || format!("cannot read {}", path.display());
    // Opening a serial port may wait for its other end.
    if fs::metadata(path)
        .with_context(failed)?
        .file_type()
        .is_char_device()
    {
        bail!(
            "{} is a device, which never ends: record it into a file of at most {} MiB, for example with `picocom --logfile`, and give that",
            path.display(),
            LARGEST_LOG >> 20
        );
    }
    File::open(path).with_context(failed)
}

fn bundle(path: &Path, packed: impl Read) -> Result<Contents> {
    let bundle = Bundle::parse(path, packed).map_err(|error| {
        anyhow!(
            "{error}; if it is a log packed with zstd, unpack it with `zstd -d {}`, and give the log",
            path.display()
        )
    });
    Ok(Contents::Bundle(Box::new(bundle?)))
}

/// The bytes of a log; `None` if there are more than [`LARGEST_LOG`].
fn bounded(log: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    log.take(LARGEST_LOG + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= LARGEST_LOG).then_some(bytes))
}

/// The file that holds the record: of a run's folder its bundle, or else its transcript.
fn record(path: &Path) -> PathBuf {
    let in_folder = [RunFolder::BUNDLE, RunFolder::TRANSCRIPT].map(|file| path.join(file));
    let found = in_folder.into_iter().find(|p| p.is_file());
    found.unwrap_or_else(|| path.to_owned())
}

/// The scenario and the board that a bundle's run was made of, as they were then.
pub(crate) fn definitions(bundle: &Bundle) -> Result<Definitions> {
    let folder = tempfile::tempdir()?;
    bundle.write_project(folder.path())?;
    let boards = folder.path().join("boards");
    let board = Board::read(&boards, &bundle.manifest.board)?;
    let mut others = Board::read_all(&boards)?;
    let scenario = format!("scenarios/{}.toml", bundle.manifest.scenario);
    let scenario = folder.path().join(scenario);
    let scenario = Scenario::read_among(&scenario, &board, Some(&others))?;
    let scenario = bundle.manifest.with_faults_of(scenario);
    others.retain(|other| other.name != board.name);
    Ok(Definitions {
        scenario,
        board,
        others,
    })
}

/// What the run of a bundle was made of.
pub(crate) struct Definitions {
    pub(crate) scenario: Scenario,
    pub(crate) board: Board,
    /// The other boards that the scenario names.
    pub(crate) others: Vec<Board>,
}

impl Definitions {
    /// As a project has them.
    fn of(scenario: &Scenario, board: &Board, project: &Project) -> Self {
        Self {
            scenario: scenario.clone(),
            board: board.clone(),
            others: project.boards().to_vec(),
        }
    }
}

/// What a replay shows, for people.
fn text(replay: &Replay, clock: Clock) -> String {
    let stages = replay.verdict.stages.iter();
    let widest = stages.map(|s| s.name.chars().count()).max();
    let width = widest.unwrap_or(0);
    let mut out = String::new();
    for stage in &replay.verdict.stages {
        let outcome = match (stage.outcome, clock) {
            (StageOutcome::Reached { at, .. }, Clock::Seconds) => {
                format!("{:8.1} s", at.as_secs_f64())
            }
            (StageOutcome::Reached { at, .. }, Clock::Lines) => {
                format!("line {:5.0}", at.as_secs_f64())
            }
            (StageOutcome::NotReached, _) => "   not reached".into(),
            (StageOutcome::NotJudged, _) => "   not judged".into(),
        };
        let name = untrusted(&stage.name).to_string();
        let _ = writeln!(out, "  {name:width$}  {outcome}");
    }
    let Some(failure) = &replay.failure else {
        if replay.verdict.outcome == Outcome::Passed {
            return out + "\npassed\n";
        }
        let _ = writeln!(
            out,
            "\nnothing in the record speaks against the run; it cannot show: {}",
            untrusted(&replay.verdict.not_judged.join(", "))
        );
        return out;
    };
    let _ = writeln!(
        out,
        "\n{}\nclass: {}",
        untrusted_lines(&failure.cause),
        failure.class.name()
    );
    if let Some(awaited) = &failure.awaited {
        let _ = writeln!(out, "awaited: {}", untrusted(awaited));
    }
    out += "last serial lines:\n";
    for line in &failure.last_serial {
        // Without times there is one port, and the stamps are numbers of lines.
        let line = match (clock, line.split_once(": ")) {
            (Clock::Lines, Some((_, said))) => said,
            _ => line,
        };
        let _ = writeln!(out, "  {}", untrusted(line));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shakedown_harness::judge::{Finding, JudgedStage, Verdict};
    use shakedown_harness::report::{Class, Failure};

    use super::*;

    #[test]
    fn what_is_no_log_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            let refusal = format!("{:#}", read(&path).unwrap_err());
            assert!(refusal.contains(name), "{refusal}");
            refusal
        };
        assert!(refusal("empty.log", b"").contains("the file is empty"));
        assert!(refusal("blank.log", b"\r\n \n\0\n").contains("no line in it"));
        assert!(refusal("a.gz", b"\x1f\x8b\x08rest").contains("`gzip -d FILE`"));
        assert!(refusal("a.zip", b"PK\x03\x04rest").contains("a zip archive"));
        assert!(refusal("a.zst", b"\x28\xb5\x2f\xfdrest").contains("`zstd -d "));
        let path = folder.path().join("U-Boot.log");
        fs::write(&path, "U-Boot 2025.01\n").unwrap();
        assert!(matches!(read(&path), Ok(Contents::Log(_))));
    }

    #[test]
    fn what_is_read_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.log");
        File::create(&path)
            .unwrap()
            .set_len(LARGEST_LOG + 1)
            .unwrap();
        for path in [path.as_path(), Path::new("/dev/zero")] {
            let refusal = format!("{:#}", read(path).unwrap_err());
            assert!(refusal.contains("256 MiB"), "{refusal}");
        }
        // A pipe does not say how much is in it.
        assert_eq!(bounded(io::repeat(b'\n')).unwrap(), None);
    }

    #[test]
    fn a_replay_says_what_it_cannot_know() {
        let stage = |name: &str, outcome| JudgedStage {
            board: None,
            boot: 0,
            name: name.into(),
            outcome,
        };
        let at = Duration::from_secs(12);
        let reached = StageOutcome::Reached {
            at,
            took: at,
            restored: false,
        };
        let finding = Finding {
            class: Class::Board,
            cause: "stage \"/init\" was not reached: \x1b]0;no\u{9b}".into(),
            at,
            stage_reached: None,
            awaited: None,
            waited: Duration::ZERO,
            advice: None,
        };
        let mut failure = Failure::of(&finding, &[]);
        failure.last_serial = vec!["[   14.00] uart0: hm\x1b[2J\u{202e}".into()];
        let replay = Replay {
            verdict: Verdict {
                outcome: Outcome::Failed,
                stages: vec![
                    stage("U-Boot", reached),
                    stage("DHCP", StageOutcome::NotJudged),
                    stage("/init", StageOutcome::NotReached),
                ],
                finding: Some(finding),
                ending: None,
                not_judged: vec!["stage \"DHCP\"".into()],
            },
            failure: Some(failure),
        };
        insta::assert_snapshot!(text(&replay, Clock::Lines), @r#"
          U-Boot  line    12
          DHCP       not judged
          /init      not reached

        stage "/init" was not reached: \x1b]0;no\u{9b}
        class: board
        last serial lines:
          hm\x1b[2J\u{202e}
        "#);
    }
}
