//! `cargo xtask e2e`: scenarios on boards, with a live line each and a table at the end.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use shakedown_harness::board::Board;
use shakedown_harness::report::{Report, Verdict, ending_text, failure_text, summary_table};
use shakedown_harness::run::{Given, Job, Parts, Start, run as run_job};
use shakedown_harness::scenario::{Scenario, Tier};
use shakedown_harness::timeline::Timeline;
use tokio::sync::{Semaphore, watch};

use crate::COULD_NOT_RUN;
use crate::project::{PartsArgs, Project};
use crate::view::View;

/// Arguments of `e2e`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only scenarios whose name contains one of these.
    filters: Vec<String>,
    /// Run only on this board.
    #[arg(long)]
    board: Option<String>,
    /// Which scenarios.
    #[arg(long, default_value = "smoke")]
    tier: TierArg,
    /// Leave the card and the other working files of each run in its folder.
    #[arg(long)]
    keep: bool,
    /// Show the serial ports.
    #[arg(short, long)]
    verbose: bool,
    /// Runs at a time; one for every two cores by default.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    #[command(flatten)]
    parts: PartsArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum TierArg {
    /// What is run always.
    Smoke,
    /// Everything.
    Full,
}

/// A run that is to be made.
struct Planned<'a> {
    scenario: &'a Scenario,
    board: &'a Board,
    parts: Arc<Parts>,
}

/// Runs the command; the exit status is 0 when all passed, 1 when one failed, 2 when one could not run.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let project = Project::read()?;
    let tier = match args.tier {
        TierArg::Smoke => Tier::Smoke,
        TierArg::Full => Tier::Full,
    };
    let selected = project.select(&args.filters, args.board.as_deref(), tier)?;
    let kit = args.parts.kit()?;
    if let Some(warning) = kit.warning() {
        eprintln!("note: {warning}");
    }
    let selected = match kit.given() {
        Some(given) => fitting(selected, given)?,
        None => selected,
    };
    let mut planned = Vec::new();
    for (scenario, board) in selected {
        let parts = Arc::new(kit.parts(board)?);
        planned.push(Planned {
            scenario,
            board,
            parts,
        });
    }
    if let Some(planned) = planned.iter().find(|p| p.parts.container.stand_in) {
        eprintln!("note: {}", planned.parts.container.source);
    }
    let jobs = args.jobs.unwrap_or_else(default_jobs).max(1);
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let reports = runtime.block_on(run_all(&project, &planned, args, jobs));
    // Threads of the matcher may still wait for the text of a port that has ended.
    runtime.shutdown_background();
    println!("\n{}", summary_table(&reports));
    for report in &reports {
        if let Some(failure) = &report.failure {
            println!("{}", failure_text(report, failure));
        }
        if let Some(ending) = &report.ending {
            println!("{}", ending_text(report, ending));
        }
    }
    Ok(exit_code(&reports))
}

/// The scenarios that a provisioned image can boot in. What is left out, and what a run cannot show, is said.
fn fitting<'a>(
    selected: Vec<(&'a Scenario, &'a Board)>,
    given: &Given,
) -> Result<Vec<(&'a Scenario, &'a Board)>> {
    let fits = |(scenario, _): &(&Scenario, &Board)| scenario.boot.transport == given.transport();
    let (fitting, others): (Vec<_>, Vec<_>) = selected.into_iter().partition(fits);
    if let Given::Https { server, .. } = given {
        eprintln!(
            "note: the image is provisioned for {server}; the run plays this server, and a copy of the image trusts its CA"
        );
    }
    for untested in given.untested() {
        eprintln!("note: not tested: {untested}");
    }
    for (scenario, _) in others {
        eprintln!(
            "note: {} is left out: the image is provisioned for another way to boot",
            scenario.name
        );
    }
    if fitting.is_empty() {
        bail!(
            "the image is provisioned for another way to boot than that of any of these scenarios; give the prebuilt image"
        );
    }
    Ok(fitting)
}

async fn run_all(
    project: &Project,
    planned: &[Planned<'_>],
    args: &Args,
    jobs: usize,
) -> Vec<Report> {
    let view = View::new(args.verbose);
    let permits = Semaphore::new(jobs);
    let (stop_tx, stop) = watch::channel(false);
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop_tx.send_replace(true);
        }
        std::future::pending::<()>().await;
    };
    let runs = futures_util::future::join_all(planned.iter().map(|planned| {
        let (stop, view, permits) = (stop.clone(), &view, &permits);
        async move {
            let _permit = permits.acquire().await;
            run_one(project, planned, args, view, stop).await
        }
    }));
    tokio::select! {
        reports = runs => reports,
        () = interrupt => Vec::new(),
    }
}

async fn run_one(
    project: &Project,
    planned: &Planned<'_>,
    args: &Args,
    view: &View,
    mut stop: watch::Receiver<bool>,
) -> Report {
    let Planned {
        scenario,
        board,
        parts,
    } = planned;
    let folder = project.run_folder(scenario, board);
    let job = Job {
        board,
        scenario,
        parts,
        start: Start::Card,
        folder: folder.clone(),
        keep: args.keep,
        reproduce: format!("cargo xtask e2e {} --board {}", scenario.name, board.name),
    };
    let line = view.run(
        format!("{} on {}", scenario.name, board.name),
        job.stages().len(),
    );
    let timeline = Timeline::start();
    let stopped = async {
        // The sender lives as long as the runs.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let report = tokio::select! {
        report = run_job(&job, &timeline, stopped) => report,
        () = line.follow(timeline.clone()) => unreachable!("the view follows for ever"),
    };
    line.finish(&format!("{}  {}", verdict(&report), folder.display()));
    report
}

/// The verdict in a few words.
fn verdict(report: &Report) -> String {
    if let (Verdict::Passed, Some(ending)) = (report.verdict, &report.ending) {
        return match &ending.refused_before {
            Some(stage) => format!("passed: refused before \"{stage}\", as expected"),
            None => "passed: ended where it was to".into(),
        };
    }
    match report.verdict {
        Verdict::Passed => {
            let system = report
                .container_system
                .as_deref()
                .unwrap_or("the container");
            let stand_in = if report.stand_in {
                " (a stand-in, not Alpine)"
            } else {
                ""
            };
            let version = report
                .container_version
                .as_ref()
                .map(|v| format!(", VERSION_ID={v},"));
            let nonce = report.nonce.as_deref().unwrap_or_default();
            format!(
                "passed: {system}{stand_in}{} said its nonce {nonce}",
                version.unwrap_or_default()
            )
        }
        Verdict::Failed => "FAILED".into(),
        Verdict::CouldNotRun => "COULD NOT RUN".into(),
    }
}

fn exit_code(reports: &[Report]) -> ExitCode {
    let any = |verdict| reports.iter().any(|r| r.verdict == verdict);
    if any(Verdict::CouldNotRun) {
        ExitCode::from(COULD_NOT_RUN)
    } else if any(Verdict::Failed) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get() / 2)
}
