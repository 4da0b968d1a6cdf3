//! `cargo xtask replay`: a recorded run judged again in no time: a bundle of ours, or a serial log that somebody captured anywhere.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use shakedown_harness::board::Board;
use shakedown_harness::console::{Clock, Transcript};
use shakedown_harness::report::bundle::{self, Bundle};
use shakedown_harness::run::{Outcome, Recording, Replay, replay};
use shakedown_harness::scenario::Scenario;
use shakedown_harness::timeline::Event;

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

/// What a log is judged by when nothing else is said.
const USUAL: &str = "alpine-https";

/// A record with what it is to be judged by.
struct Case {
    recording: Recording,
    clock: Clock,
    scenario: Scenario,
    board: Board,
}

/// Runs the command; the exit status is 1 when a stage was not reached.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let case = case(args, globals)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let stages = case.scenario.stages(&case.board);
    let harmless = &case.scenario.harmless;
    let replay = runtime.block_on(replay(&case.recording, &case.board, &stages, harmless));
    runtime.shutdown_background();
    let lines = case.recording.records.iter();
    let lines = lines.filter(|r| matches!(r.event, Event::Serial { .. }));
    println!(
        "{}: {} serial lines, judged by {} on {}\n",
        args.record.display(),
        lines.count(),
        case.scenario.name,
        case.board.name
    );
    print!("{}", text(&replay, case.clock));
    Ok(match replay.failure {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    })
}

fn case(args: &Args, globals: &Globals) -> Result<Case> {
    let record = record(&args.record);
    let bytes = fs::read(&record).with_context(|| format!("cannot read {}", record.display()))?;
    if !Bundle::is_one(&bytes) {
        let transcript = Transcript::read(&bytes);
        let project = globals.project()?;
        let scenario = args.scenario.as_deref().unwrap_or(USUAL);
        let (scenario, board) = project.one(scenario, args.board.as_deref())?;
        return Ok(Case {
            clock: transcript.clock,
            recording: Recording::of_log(transcript),
            scenario: scenario.clone(),
            board: board.clone(),
        });
    }
    let bundle = Bundle::read(&record)?;
    let (scenario, board) = if args.scenario.is_some() || args.board.is_some() {
        let project = globals.project()?;
        let name = args.scenario.as_ref().unwrap_or(&bundle.manifest.scenario);
        let (scenario, board) = project.one(name, args.board.as_deref())?;
        (scenario.clone(), board.clone())
    } else {
        definitions(&bundle)?
    };
    Ok(Case {
        recording: Recording::of_bundle(&bundle)?,
        clock: Clock::Seconds,
        scenario,
        board,
    })
}

/// The file that holds the record: of a run's folder its bundle, or else its transcript.
fn record(path: &Path) -> PathBuf {
    let in_folder = [bundle::FILE_NAME, "transcript.log"].map(|file| path.join(file));
    let found = in_folder.into_iter().find(|p| p.is_file());
    found.unwrap_or_else(|| path.to_owned())
}

/// The scenario and the board that a bundle's run was made of, as they were then.
pub(crate) fn definitions(bundle: &Bundle) -> Result<(Scenario, Board)> {
    let folder = tempfile::tempdir()?;
    bundle.write_project(folder.path())?;
    let board = Board::read(&folder.path().join("boards"), &bundle.manifest.board)?;
    let scenario = format!("scenarios/{}.toml", bundle.manifest.scenario);
    let scenario = Scenario::read_for(&folder.path().join(scenario), &board)?;
    Ok((scenario, board))
}

/// What a replay shows, for people.
fn text(replay: &Replay, clock: Clock) -> String {
    let widest = replay.stages.iter().map(|s| s.name.chars().count()).max();
    let width = widest.unwrap_or(0);
    let mut out = String::new();
    for stage in &replay.stages {
        let outcome = match (&stage.outcome, clock) {
            (Outcome::Reached(time), Clock::Seconds) => format!("{:8.1} s", time.reached),
            (Outcome::Reached(time), Clock::Lines) => format!("line {:5.0}", time.reached),
            (Outcome::NotReached, _) => "   not reached".into(),
            (Outcome::NotRecorded, _) => "   not in a transcript".into(),
        };
        let _ = writeln!(out, "  {:width$}  {outcome}", stage.name);
    }
    let Some(failure) = &replay.failure else {
        return out + "\nevery stage that the record can prove was reached\n";
    };
    let _ = writeln!(out, "\n{}", failure.cause);
    if let Some(awaited) = &failure.awaited {
        let _ = writeln!(out, "awaited: {awaited}");
    }
    out += "last serial lines:\n";
    for line in &failure.last_serial {
        // Without times there is one port, and the stamps are numbers of lines.
        let line = match (clock, line.split_once(": ")) {
            (Clock::Lines, Some((_, said))) => said,
            _ => line,
        };
        let _ = writeln!(out, "  {line}");
    }
    out
}

#[cfg(test)]
mod tests {
    use shakedown_harness::report::{Class, Failure, StageTime};
    use shakedown_harness::run::ReplayedStage;

    use super::*;

    #[test]
    fn a_replay_says_what_it_cannot_know() {
        let stage = |name: &str, outcome| ReplayedStage {
            name: name.into(),
            outcome,
        };
        let reached = StageTime {
            name: "U-Boot".into(),
            reached: 12.0,
            took: 12.0,
            cpu: None,
            restored: false,
        };
        let mut failure = Failure::new(
            Class::Board,
            "stage \"/init\" was not reached: no".into(),
            &[],
        );
        failure.last_serial = vec!["[   14.00] uart0: hm".into()];
        let replay = Replay {
            stages: vec![
                stage("U-Boot", Outcome::Reached(reached)),
                stage("DHCP", Outcome::NotRecorded),
                stage("/init", Outcome::NotReached),
            ],
            failure: Some(failure),
        };
        insta::assert_snapshot!(text(&replay, Clock::Lines), @r#"
          U-Boot  line    12
          DHCP       not in a transcript
          /init      not reached

        stage "/init" was not reached: no
        last serial lines:
          hm
        "#);
    }
}
