//! One trial per scenario and board: `scenario::board`. `cargo test` and `cargo nextest run` find and run them.
//!
//! The smoke tier runs by default; `SHAKEDOWN_TIER=full` adds the rest. A trial whose parts cannot be had fails.

use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use libtest_mimic::{Arguments, Failed, Trial};
use shakedown_fixtures::{Kit, KitOptions};
use shakedown_harness::board::Board;
use shakedown_harness::report::{Verdict, ending_text, failure_text};
use shakedown_harness::run::{Job, Start, run};
use shakedown_harness::scenario::{Scenario, Tier};
use shakedown_harness::timeline::Timeline;

/// Trials of one process take turns: each needs more than a core, and nextest, which starts a process per trial, has its own setting.
static TURN: Mutex<()> = Mutex::new(());

fn main() -> Result<ExitCode> {
    let arguments = Arguments::from_args();
    let root = shakedown_tests::project_root();
    let boards = Board::read_all(&root.join("boards"))?;
    let scenarios = Scenario::read_all(&root.join("scenarios"), &boards)?;
    let tier = match std::env::var("SHAKEDOWN_TIER").as_deref() {
        Ok("full") => Tier::Full,
        Ok("smoke") | Err(_) => Tier::Smoke,
        Ok(other) => bail!("SHAKEDOWN_TIER is `{other}`; it may be `smoke` or `full`"),
    };
    let mut trials = Vec::new();
    for scenario in scenarios {
        for board in boards.iter().filter(|b| scenario.boards.contains(&b.name)) {
            let (scenario, board) = (scenario.clone(), board.clone());
            let ignored = scenario.tier > tier;
            let name = format!("{}::{}", scenario.name, board.name);
            let trial = Trial::test(name, move || trial(&scenario, &board).map_err(failed));
            trials.push(trial.with_ignored_flag(ignored));
        }
    }
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

fn trial(scenario: &Scenario, board: &Board) -> Result<()> {
    let _turn = TURN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let parts = Kit::open(KitOptions::default())?.parts(board)?;
    let folder = shakedown_tests::project_root()
        .join("target/shakedown/trials")
        .join(format!("{}-{}", scenario.name, board.name));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("cannot remove the record of the last trial")?;
    }
    let job = Job {
        board,
        scenario,
        parts: &parts,
        start: Start::Card,
        folder,
        keep: false,
        reproduce: format!("cargo xtask e2e {} --board {}", scenario.name, board.name),
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(run(&job, &Timeline::start(), std::future::pending()));
    // Threads of the matcher may still wait for the text of a port that has ended.
    runtime.shutdown_background();
    match &report.ending {
        Some(ending) => print!("{}", ending_text(&report, ending)),
        None => {
            let system = report.container_system.as_deref().unwrap_or("nothing");
            println!(
                "{}: the container says it is {system}; {}",
                scenario.name, report.container_source
            );
        }
    }
    match (&report.failure, report.verdict) {
        (None, Verdict::Passed) => Ok(()),
        (Some(failure), _) => bail!("{}", failure_text(&report, failure)),
        (None, verdict) => bail!("{verdict:?} without a reason"),
    }
}

/// The whole chain of causes, which `Failed` would cut to its first link.
fn failed(error: anyhow::Error) -> Failed {
    Failed::from(format!("{error:#}"))
}
