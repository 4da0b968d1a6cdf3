//! `shakedown report`: pages for people, made again from the folders of runs, and the runs of several folders made one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use shakedown_common::{errln, outln, say};
use shakedown_harness::report::html::{write_index, write_page};
use shakedown_harness::report::{
    Events, Recorded, exit_status, failure_text, junit, merge, statistics_table, summary_table,
};
use shakedown_harness::untrusted_lines;

use crate::e2e::FlakyArg;
use crate::globals::Globals;

/// Arguments of `report`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Folders of runs whose page is written again; without one only the index of all runs is made.
    folders: Vec<PathBuf>,
    /// Make the index of the runs in this folder or some levels below, as where a pipeline's artifacts were unpacked; by default of `target/shakedown`.
    #[arg(long, value_name = "FOLDER")]
    index: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make one folder of the runs of several, with one index and one JUnit file, and exit as the run of all of them would.
    Merge(MergeArgs),
    /// Say what happened in a run, without times; or of two runs where they differ, exit status 1 then. Two runs of one seed have the same events.
    Events(EventsArgs),
}

#[derive(clap::Args)]
struct EventsArgs {
    /// A run's folder.
    #[arg(value_name = "FOLDER")]
    run: PathBuf,
    /// The folder of the run to compare it with.
    #[arg(value_name = "OTHER")]
    other: Option<PathBuf>,
}

#[derive(clap::Args)]
struct MergeArgs {
    /// Folders with runs in them, as the parts of a pipeline have left them.
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// The folder to copy the runs into.
    #[arg(long, value_name = "FOLDER")]
    into: PathBuf,
    /// What flaky runs are for the exit status.
    #[arg(long, value_name = "WHAT", default_value = "pass")]
    flaky: FlakyArg,
}

/// Runs the command and says where the pages are; the exit status is 1 when one could not be made.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    match &args.command {
        Some(Command::Merge(args)) => return merge_all(args, globals),
        Some(Command::Events(args)) => return tell_events(args),
        None => {}
    }
    let mut failed = false;
    for folder in &args.folders {
        match write_page(folder) {
            Ok(page) => outln!("{}", page.display()),
            Err(e) => {
                failed = true;
                errln!("error: {e}");
            }
        }
    }
    let index = match &args.index {
        Some(folder) => folder.clone(),
        None => globals.project()?.runs_folder().to_path_buf(),
    };
    outln!("{}", write_index(&index)?.display());
    Ok(match failed {
        false => ExitCode::SUCCESS,
        true => ExitCode::FAILURE,
    })
}

/// Says what happened in a run, or where two differ.
fn tell_events(args: &EventsArgs) -> Result<ExitCode> {
    let events = |folder: &Path| -> Result<Events> {
        let recorded = Recorded::read(folder)?;
        Ok(Events::of(&recorded.records))
    };
    let run = events(&args.run)?;
    let (lines, code) = match &args.other {
        None => (run.lines().collect(), ExitCode::SUCCESS),
        Some(other) => match run.differences(&events(other)?) {
            same if same.is_empty() => {
                let count = run.lines().count();
                let line = format!("the same {count} events in both runs");
                (vec![line], ExitCode::SUCCESS)
            }
            differences => (differences, ExitCode::FAILURE),
        },
    };
    say(false, &untrusted_lines(&lines.join("\n")));
    Ok(code)
}

/// Copies the runs and shows them as if one command had made them.
fn merge_all(args: &MergeArgs, globals: &Globals) -> Result<ExitCode> {
    /// What a file or a pipeline's log has room for.
    const WIDTH: usize = 120;
    let known = globals.project()?.known_failures()?;
    let mut runs = merge(&args.folders, &args.into)?;
    let notes = known.mark_today(&mut runs);
    let root = std::env::var_os("CI_PROJECT_DIR").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new("").into());
    let file = args.into.join("junit.xml");
    std::fs::write(&file, junit(&runs, &root)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    let mut text = summary_table(&runs, WIDTH) + "\n";
    let all: Vec<_> = runs.iter().flat_map(|run| run.all()).collect();
    text += &statistics_table(&all);
    for run in &runs {
        if let Some(failure) = &run.last.failure {
            text += &failure_text(&run.last, failure);
            text.push('\n');
        }
    }
    text += &notes;
    text += &format!("all runs: {}", write_index(&args.into)?.display());
    say(false, &text);
    Ok(ExitCode::from(exit_status(&runs, args.flaky.into())))
}
