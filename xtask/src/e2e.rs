//! `cargo xtask e2e`: scenarios on boards, with a live line each and a table at the end.

use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result};
use clap::ValueEnum;
use shakedown_common::view::{RunLine, Show, View};
use shakedown_common::{PartsArgs, say};
use shakedown_harness::board::Board;
use shakedown_harness::folder::RunFolder;
use shakedown_harness::host::{on_own_core, runs_at_a_time};
use shakedown_harness::mac::Mac;
use shakedown_harness::plan::{Extras, ImageCheck, Job, Parts, Start};
use shakedown_harness::pool;
use shakedown_harness::project::{Project, affected, fitting};
use shakedown_harness::report::html::write_index;
use shakedown_harness::report::{
    Report, bundle, ending_text, exit_status, failure_text, github, junit, limitations_text,
    summary_table,
};
use shakedown_harness::run::run as run_job;
use shakedown_harness::scenario::{Scenario, Tier};
use shakedown_harness::shell::OurCommand;
use shakedown_harness::timeline::{Cursor, Event, Record, StoppedBy, Timeline};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::globals::Globals;
use crate::{defects, list, repro};

/// Arguments of `e2e`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Run only the scenarios of these names, or those of the tier whose names contain them; `tag:WORD` are those with that tag, and `!` before
    /// either leaves those out.
    filters: Vec<String>,
    /// Run only on this board.
    #[arg(long)]
    board: Option<String>,
    /// Which scenarios.
    #[arg(long, default_value = "smoke")]
    tier: TierArg,
    /// Of these, run only what has changed since this commit can affect, uncommitted work included; by default since the branch began.
    #[arg(long, value_name = "BASE")]
    changed: Option<Option<String>>,
    /// Run nothing: show what would be run, as JSON with `--json`.
    #[arg(long, visible_alias = "dry-run")]
    list: bool,
    /// Boot every board in whole: neither go on from checkpoints nor keep any.
    #[arg(long)]
    no_checkpoints: bool,
    #[command(flatten)]
    run: RunArgs,
    /// Runs at a time; by default one for each core, if there is memory for as many.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    #[command(flatten)]
    parts: PartsArgs,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make the run of a bundle once more, by the definitions in it.
    Repro(repro::Args),
    /// Put known defects in, one at a time, and say whether the runs find them.
    Defects(defects::Args),
}

/// Options that say what becomes of runs.
#[derive(clap::Args)]
pub(crate) struct RunArgs {
    /// Leave the card and the other working files of each run in its folder, and the board of a failed run on until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Put the disk image into the bundle of each failed run.
    #[arg(long)]
    bundle_image: bool,
    /// Boot an image given by --image although it breaks the specification.
    #[arg(long)]
    boot_anyway: bool,
    /// Show the serial ports.
    #[arg(short, long)]
    verbose: bool,
    /// Write every event as a line of JSON to standard output, and what people read to standard error.
    #[arg(long)]
    json: bool,
    /// Where to write the results as JUnit's XML, by default below `target/shakedown`.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl RunArgs {
    /// How wide the lines may be that people read.
    fn width(&self) -> usize {
        /// What a file or a pipeline's log has room for.
        const USUAL: u16 = 120;
        let term = if self.json {
            console::Term::stderr()
        } else {
            console::Term::stdout()
        };
        term.size_checked().map_or(USUAL, |(_, width)| width).into()
    }

    /// Says something to people: on standard output, unless that belongs to the JSON.
    pub(crate) fn say(&self, text: &str) {
        say(self.json, text);
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum TierArg {
    /// What is run always.
    Smoke,
    /// Everything.
    Full,
}

/// A run that is to be made.
pub(crate) struct Planned<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) board: &'a Board,
    pub(crate) parts: Arc<Parts>,
    /// Where checkpoints are kept, if they may be used.
    pub(crate) checkpoints: Option<PathBuf>,
    /// The image is not one of ours.
    pub(crate) is_given: bool,
    /// The board's hardware address, where it is that of another run.
    pub(crate) mac: Option<Mac>,
    /// The command that runs the same again.
    pub(crate) reproduce: String,
}

/// Runs the command; the exit status is 0 when all passed, 1 when one failed, 2 when one could not run.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    match &args.command {
        Some(Command::Repro(args)) => return repro::run(args, globals),
        Some(Command::Defects(args)) => return defects::run(args, globals),
        None => {}
    }
    let project = globals.project()?;
    let tier = match args.tier {
        TierArg::Smoke => Tier::Smoke,
        TierArg::Full => Tier::Full,
    };
    let selected = project.select(
        &args.filters,
        args.board
            .as_deref()
            .or(project.defaults().board.as_deref()),
        tier,
    )?;
    let selected = match &args.changed {
        Some(base) => {
            let (affected, why) = affected(selected, project.root(), base.as_deref())?;
            eprint!("{why}");
            affected
        }
        None => selected,
    };
    if selected.is_empty() {
        args.run
            .say("nothing was run: nothing that has changed can affect any of these runs");
        return Ok(ExitCode::SUCCESS);
    }
    if args.list {
        return list::run(&selected, &project, args.run.json);
    }
    let kit = args.parts.kit(project.defaults())?;
    if let Some(warning) = kit.warning() {
        eprintln!("note: {warning}");
    }
    let selected = match kit.provisioned() {
        Some(given) => {
            let (fitting, notes) = fitting(selected, given)?;
            for note in notes {
                eprintln!("note: {note}");
            }
            fitting
        }
        None => selected,
    };
    let mut planned = Vec::new();
    for (scenario, board) in selected {
        let parts = Arc::new(kit.parts(board)?);
        planned.push(Planned {
            scenario,
            board,
            parts,
            checkpoints: (!args.no_checkpoints).then(|| project.checkpoints_folder()),
            mac: None,
            is_given: args.parts.image.is_some() || project.defaults().image.is_some(),
            reproduce: format!(
                "{} {} --board {}{}",
                OurCommand("e2e"),
                scenario.name,
                board.name,
                args.parts.words()
            ),
        });
    }
    let jobs = args.jobs.or(project.defaults().jobs);
    let jobs = jobs.unwrap_or_else(runs_at_a_time).max(1);
    let reports = carry_out(&project, &planned, &args.run, jobs)?;
    Ok(exit_code(&reports))
}

/// Makes the runs, shows them, and says what came of them.
pub(crate) fn carry_out(
    project: &Project,
    planned: &[Planned<'_>],
    args: &RunArgs,
    jobs: usize,
) -> Result<Vec<Report>> {
    if let Some(planned) = planned.iter().find(|p| p.parts.container.stand_in) {
        eprintln!("note: {}", planned.parts.container.source);
    }
    if let Err(e) = RunFolder::prune(project.runs_folder(), SystemTime::now())
        && e.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!("note: old runs cannot be removed: {e}");
    }
    let begun = Instant::now();
    let (runs, failed) = run_all(project, planned, args, jobs)?;
    let took = begun.elapsed().as_secs_f64();
    let runs_folder = project.runs_folder();
    let junit_file = args.junit.clone();
    let junit_file = junit_file.unwrap_or_else(|| runs_folder.join("junit.xml"));
    std::fs::write(&junit_file, junit(&runs, project.root())?)
        .with_context(|| format!("cannot write {}", junit_file.display()))?;
    annotate(project, &runs)?;
    let index = write_index(runs_folder)?;
    let reports: Vec<_> = runs.into_iter().map(|(report, _)| report).collect();
    let mut text = format!("\n{}\n", summary_table(&reports, args.width()));
    for report in &reports {
        if let Some(failure) = &report.failure {
            text += &failure_text(report, failure);
            text.push('\n');
        }
        if let Some(ending) = &report.ending {
            text += &ending_text(report, ending);
            text.push('\n');
        }
    }
    if reports.len() > 1 {
        text += &format!("{took:.0} s, {jobs} at a time\n");
    }
    text += &limitations_text(&reports);
    text += &format!("all runs: {}", index.display());
    args.say(&text);
    match failed {
        None => Ok(reports),
        Some(error) => Err(error).context("a run could not begin"),
    }
}

/// Runs with their folders, and why one could not begin.
pub(crate) type Made = (Vec<(Report, PathBuf)>, Option<std::io::Error>);

/// Makes the runs, `jobs` at a time, each on a core of its own. One that cannot even begin does not hide what came of the others.
pub(crate) fn run_all(
    project: &Project,
    planned: &[Planned<'_>],
    args: &RunArgs,
    jobs: usize,
) -> Result<Made> {
    let view = View::new(Show {
        console: args.verbose,
        json: args.json,
        several: planned.len() > 1,
    });
    let (stop_tx, stop) = watch::channel(None);
    let signals = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let stopped = signals.block_on(async { stop_signal() })?;
    signals.spawn(async move {
        stop_tx.send_replace(Some(stopped.await));
        // Keep the task alive so that waiters never see a closed channel.
        stop_tx.closed().await;
    });
    let at_a_time = NonZero::new(jobs).unwrap_or(NonZero::<usize>::MIN);
    let made = pool::each(
        planned,
        at_a_time,
        || stop.borrow().is_some(),
        |planned| {
            let stop = stop.clone();
            on_own_core(async |_| run_one(project, planned, args, &view, stop).await)
        },
    );
    let (mut runs, mut failed) = (Vec::new(), None);
    for made in made {
        match made {
            Ok(run) => runs.push(run),
            Err(error) => failed = Some(error),
        }
    }
    Ok((runs, failed))
}

async fn run_one(
    project: &Project,
    planned: &Planned<'_>,
    args: &RunArgs,
    view: &View,
    mut stop: watch::Receiver<Option<StoppedBy>>,
) -> (Report, PathBuf) {
    let Planned {
        scenario,
        board,
        parts,
        checkpoints,
        mac,
        reproduce,
        is_given: _,
    } = planned;
    let folder = project.run_folder(scenario, board);
    let job = Job {
        board,
        scenario,
        parts,
        start: Start::Card,
        folder: folder.clone(),
        keep: args.keep,
        checkpoints: checkpoints.clone(),
        extras: Extras {
            bundle_image: args.bundle_image,
            image_check: match (planned.is_given, args.boot_anyway) {
                (false, _) => ImageCheck::None,
                (true, true) => ImageCheck::BootAnyway,
                (true, false) => ImageCheck::Must,
            },
            mac: *mac,
            ..Extras::default()
        },
        reproduce: reproduce.clone(),
    };
    let line = view.run(format!("{} on {}", scenario.name, board.name), job.stages());
    let timeline = Timeline::start();
    let stopped = async {
        // The sender lives as long as the runs.
        let by = stop.wait_for(Option::is_some).await;
        by.ok().and_then(|by| *by).unwrap_or(StoppedBy::User)
    };
    let report = tokio::select! {
        report = run_job(&job, &timeline, stopped) => report,
        () = line.follow(timeline.clone()) => unreachable!("the view follows for ever"),
        () = announce_hold(&timeline, &line, &folder) => unreachable!("it waits for ever after"),
    };
    line.finish(&report, &folder);
    let bundle = folder.join(bundle::FILE_NAME);
    if bundle.is_file() {
        line.print(&format!(
            "  to run it again anywhere: {} {}",
            OurCommand("e2e repro"),
            bundle.display()
        ));
    }
    (report, folder)
}

/// Completes when the user (Ctrl-C) or the system (SIGTERM, SIGHUP) wants the runs to end.
fn stop_signal() -> Result<impl Future<Output = StoppedBy>> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => StoppedBy::User,
            _ = terminate.recv() => StoppedBy::Signal,
            _ = hang_up.recv() => StoppedBy::Signal,
        }
    })
}

/// Says that a failed board stays on, if one does, and how to get at it.
async fn announce_hold(timeline: &Timeline, line: &RunLine, folder: &Path) {
    let mut cursor = Cursor::default();
    let on_hold = |r: &Record| matches!(r.event, Event::Held { .. });
    let record = timeline.wait_for(&mut cursor, on_hold).await;
    if let Event::Held { cause } = record.event {
        line.print(&format!(
            "FAILED: {cause}\nthe board stays on until Ctrl-C; to sit at it:\n  {} {}",
            OurCommand("console --attach"),
            folder.display()
        ));
    }
    std::future::pending().await
}

/// Tells GitHub, if it is who runs this: a summary of the job, and an annotation at the scenario of each run that did not pass.
fn annotate(project: &Project, runs: &[(Report, PathBuf)]) -> Result<()> {
    let reports: Vec<_> = runs.iter().map(|(report, _)| report).collect();
    if let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty()) {
        let opened = std::fs::File::options()
            .append(true)
            .create(true)
            .open(&file);
        let written =
            opened.and_then(|mut file| file.write_all(github::summary(&reports).as_bytes()));
        written.with_context(|| format!("cannot write {}", file.display()))?;
    }
    if std::env::var("GITHUB_ACTIONS").as_deref() == Ok("true") {
        for report in reports {
            let file = project
                .scenarios_folder()
                .join(format!("{}.toml", report.scenario));
            let relative = file.strip_prefix(project.root()).unwrap_or(&file);
            if let Some(line) = github::annotation(report, relative) {
                eprintln!("{line}");
            }
        }
    }
    Ok(())
}

pub(crate) fn exit_code(reports: &[Report]) -> ExitCode {
    ExitCode::from(exit_status(reports))
}
