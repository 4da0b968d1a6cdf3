//! `cargo xtask e2e defects`: known defects put in one at a time, and whether the runs find them.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use shakedown_common::{COULD_NOT_RUN, PartsArgs};
use shakedown_harness::board::Board;
use shakedown_harness::defect::{
    Defect, DefectCatalogue, Observed, TamperError, assess, table, tamper, totals,
};
use shakedown_harness::host::runs_at_a_time;
use shakedown_harness::plan::Parts;
use shakedown_harness::pool;
use shakedown_harness::project::Project;
use shakedown_harness::shell::{OurCommand, word};

use crate::e2e::{self, Execution, Planned, RunArgs};
use crate::globals::Globals;

/// Arguments of `e2e defects`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only the defects whose names contain one of these.
    filters: Vec<String>,
    /// Another catalogue than the one in the scenarios' folder.
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// The board.
    #[arg(long, default_value = "raspi3b")]
    board: String,
    /// Where the table is written; without it and with all defects it is docs/defects.md, else beside the runs.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    /// Runs at a time; by default one for each core, if there is memory for as many.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    #[command(flatten)]
    parts: PartsArgs,
}

/// Runs the command; the exit status is 1 when a defect was missed or a harmless change was taken for one.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let project = globals.project()?;
    let board = project.board(&args.board)?;
    let own = project.scenarios_folder().join("defects/catalogue.toml");
    let path = args.catalogue.as_ref().unwrap_or(&own);
    let catalogue = DefectCatalogue::read(path)?;
    let is_wanted = |defect: &&Defect| {
        args.filters.is_empty()
            || args
                .filters
                .iter()
                .any(|f| defect.name.contains(f.as_str()))
    };
    let wanted: Vec<_> = catalogue.defects.iter().filter(is_wanted).collect();
    if wanted.is_empty() {
        bail!("no defect of {} has such a name", path.display());
    }
    let parts = args.parts.kit(project.defaults())?.parts(board)?;
    let jobs = args.jobs.or(NonZero::new(runs_at_a_time()));
    let stopped = AtomicBool::new(false);
    let made = pool::each(
        &wanted,
        jobs.unwrap_or(NonZero::<usize>::MIN),
        || stopped.load(Ordering::Relaxed),
        |defect| {
            let folder = project.scratch_folder()?;
            let observed = observe(defect, &project, board, &parts, folder.path(), args)?;
            let observed = observed.seen_from(folder.path());
            // A user who stops one run wants no other.
            if observed.is_of_host() {
                stopped.store(true, Ordering::Relaxed);
            }
            anyhow::Ok((*defect, observed))
        },
    );
    let rows = made.into_iter().collect::<Result<Vec<_>>>()?;
    let mut all_caught = true;
    for (defect, observed) in &rows {
        let right = assess(&defect.expect, observed);
        all_caught &= right.caught;
        let word = match right.is_right() {
            true => "as it must be",
            false => "NOT as it must be",
        };
        args.run.say(&format!("{}: {word}", defect.name));
    }
    let could_run = rows.iter().all(|(_, observed)| !observed.is_of_host());
    let all_made = could_run && rows.len() == wanted.len();
    let is_whole = args.filters.is_empty() && args.catalogue.is_none() && all_made;
    let file = match &args.table {
        Some(file) => file.clone(),
        None if is_whole => project.root().join("docs/defects.md"),
        None => project.runs_folder().join("defects.md"),
    };
    fs::write(&file, table(&rows, &board.name))
        .with_context(|| format!("cannot write {}", file.display()))?;
    args.run
        .say(&format!("{}\ntable: {}", totals(&rows), file.display()));
    Ok(match (all_caught, all_made) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::from(COULD_NOT_RUN),
    })
}

/// Puts one defect in, with files in `folder`, and runs it. Each is put in when its turn comes: a copy of the image for each of them would fill
/// the disk.
fn observe(
    defect: &Defect,
    project: &Project,
    board: &Board,
    parts: &Parts,
    folder: &Path,
    args: &Args,
) -> Result<Observed> {
    let library = project.scenario_library();
    let scenario = match defect.scenario(library, folder, board) {
        Ok(scenario) => scenario,
        Err(error) => return Ok(Observed::Refused(error.to_string())),
    };
    let parts = match tamper(defect, parts, folder) {
        Ok(parts) => parts,
        Err(TamperError::Container(error)) => return Ok(Observed::Refused(error.to_string())),
        Err(error) => {
            let what = format!("the defect {} cannot be put in", defect.name);
            return Err(error).context(what);
        }
    };
    let planned = Planned {
        scenario: &scenario,
        board,
        parts: Arc::new(parts),
        others: Vec::new(),
        checkpoints: None,
        lab: None,
        is_given: defect.changes_image(),
        mac: None,
        reproduce: format!(
            "{} {} --board {}{}{}",
            OurCommand("e2e defects"),
            defect.name,
            board.name,
            match &args.catalogue {
                Some(file) => format!(" --catalogue {}", word(&file.to_string_lossy())),
                None => String::new(),
            },
            args.parts.words()
        ),
    };
    let begun = Instant::now();
    let made = e2e::run_all(project, &[planned], &args.run, Execution::plain())?;
    match made.runs.first() {
        Some(run) => Ok(Observed::of(&run.last, begun.elapsed().as_secs_f64())),
        None => made.all().and_then(|_| bail!("stopped")),
    }
}
