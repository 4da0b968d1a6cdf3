//! `cargo xtask replay`: a recorded run judged again in no time: a bundle of ours, or a serial log that somebody captured anywhere.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
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

/// What a log is judged by when nothing else is said.
const USUAL: &str = "alpine-https";

/// A record with what it must be judged by.
struct Case {
    recording: Recording,
    clock: Clock,
    /// What stood before the lines of a log; `None` of a bundle.
    stamps: Option<Stamps>,
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
    let bytes = fs::read(&record).with_context(|| format!("cannot read {}", record.display()))?;
    if !Bundle::is_one(&bytes) {
        let transcript = Transcript::read(&bytes);
        let project = globals.project()?;
        let scenario = args.scenario.as_deref().unwrap_or(USUAL);
        let (scenario, board) = project.one(scenario, args.board.as_deref())?;
        return Ok(Case {
            clock: transcript.clock,
            stamps: Some(transcript.stamps.clone()),
            recording: Recording::of_log(transcript),
            made_of: Definitions::of(scenario, board, &project),
        });
    }
    let bundle = Bundle::read(&record)?;
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
        made_of,
    })
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
