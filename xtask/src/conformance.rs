//! `cargo xtask conformance`: holds an initramfs to boot2container's contract, or a gateway's image to the farm's, and writes the table.

mod gateway;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use shakedown_common::{COULD_NOT_RUN, PartsArgs};
use shakedown_harness::board::Board;
use shakedown_harness::conformance::{
    Catalogue, Evidence, Made, Row, Verdict, judge, judge_compat, table,
};
use shakedown_harness::folder::{RunFolder, RunName};
use shakedown_harness::input::Library;
use shakedown_harness::project::Project;
use shakedown_harness::report::Recorded;
use shakedown_harness::scenario::Scenario;
use shakedown_harness::shell::OurCommand;

use crate::e2e::{self, Execution, Planned, RunArgs};
use crate::globals::Globals;

/// Arguments of `conformance`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which contract.
    suite: Suite,
    /// Make only the boots of these scenarios; the other checks count as not run.
    #[arg(long, value_name = "SCENARIO")]
    only: Vec<String>,
    /// Boot nothing: judge the newest recorded run of each scenario again.
    #[arg(long)]
    recorded: bool,
    /// The board.
    #[arg(long, default_value = "raspi3b")]
    board: String,
    /// Runs at a time; by default one for each core, if there is memory for as many.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Where the table is written; by default docs/conformance for our own initramfs, and beside the runs for another.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    parts: PartsArgs,
    /// Of the gateway: boot its image for arm64 on the emulated board until its REST interface answers, and make no other checks.
    #[arg(long)]
    on_board: bool,
    /// Of the gateway: boot its image for arm64 on a machine with two network cards, and from it the board behind it, and make no other checks.
    #[arg(long, conflicts_with = "on_board")]
    behind: bool,
    /// What the table says of the image.
    #[arg(long, hide = true)]
    subject: Option<String>,
    /// What the server's own tests need.
    #[arg(long, hide = true)]
    test_modules: Option<PathBuf>,
    /// This program is in a network of its own already.
    #[arg(long, hide = true)]
    in_namespace: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Suite {
    /// boot2container's command line.
    B2c,
    /// The farm's gateway: its image's own programs in network namespaces of this machine.
    Gateway,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::B2c => "b2c",
            Self::Gateway => "gateway",
        }
    }
}

/// Runs the suite; the exit status is 1 when a check differs from the contract, else 2 when not every run was made.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    if let Suite::Gateway = args.suite {
        return gateway::run(args, globals);
    }
    let project = globals.project()?;
    let name = args.suite.name();
    let docs = project.root().join("docs/conformance");
    let catalogue = Catalogue::read(&docs.join(format!("{name}.toml")))?;
    let board = project.board(&args.board)?;
    let needed = catalogue.scenarios();
    if let Some(unknown) = args
        .only
        .iter()
        .find(|only| !needed.contains(&only.as_str()))
    {
        bail!(
            "--only {unknown}: the contract needs no such scenario; it needs: {}",
            needed.join(", ")
        );
    }
    let folder = project.root().join("scenarios").join(name);
    let known = Scenario::read_all_for(Library::folder(&folder), board, project.boards())?;
    let is_wanted = |name: &&str| args.only.is_empty() || args.only.iter().any(|o| o == name);
    let scenarios: Vec<Scenario> = needed
        .into_iter()
        .filter(is_wanted)
        .map(|wanted| {
            let found = known.iter().find(|scenario| &*scenario.name == wanted);
            let no_file = || format!("{} has no scenario {wanted}", folder.display());
            found.cloned().with_context(no_file)
        })
        .collect::<Result<_>>()?;
    let began = Instant::now();
    let mut evidence = BTreeMap::new();
    for (scenario, folder) in folders(args, &project, board, &scenarios)? {
        evidence.insert(scenario, read_evidence(&folder)?);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let made = Made {
        runs: evidence.len(),
        lasted: evidence.values().map(Evidence::lasted).sum(),
        took: (!args.recorded).then(|| (began.elapsed(), cores)),
    };
    let run_of = |scenario: &str| evidence.get(scenario);
    let rows: Vec<_> = catalogue
        .checks
        .iter()
        .map(|check| Row {
            check,
            verdict: judge(check, check.scenario.as_deref().and_then(run_of)),
            compat: check
                .compat
                .as_ref()
                .map(|compat| judge_compat(compat, run_of(&compat.scenario))),
        })
        .collect();
    let given = args.parts.initramfs.as_deref();
    let subject = given.map_or("our boot2container".to_owned(), |file| {
        let file = file.file_name().unwrap_or_default();
        format!("{} as boot2container", file.to_string_lossy())
    });
    let is_whole = evidence.len() == scenarios.len();
    let text = table(&catalogue, &subject, made, &rows);
    let path = match (&args.table, given) {
        (Some(path), _) => path.clone(),
        (None, None) if args.only.is_empty() && is_whole => docs.join(format!("{name}.md")),
        _ => project.runs_folder().join(format!("conformance-{name}.md")),
    };
    fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    let mut differs = false;
    for row in &rows {
        for (verdict, with) in [
            (Some(&row.verdict), ""),
            (row.compat.as_ref(), " with B2C_COMPAT=2022"),
        ] {
            if let Some(Verdict::Differs(missing)) = verdict {
                differs = true;
                let (id, missing) = (&row.check.id, missing.join("; "));
                args.run.say(&format!("{id} differs{with}: {missing}"));
            }
        }
    }
    args.run.say(&format!("table: {}", path.display()));
    Ok(match (differs, is_whole) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::SUCCESS,
        (false, false) => {
            args.run.say("not every run was made");
            ExitCode::from(COULD_NOT_RUN)
        }
    })
}

/// The runs to be judged: each scenario's name with its run's folder.
fn folders(
    args: &Args,
    project: &Project,
    board: &Board,
    scenarios: &[Scenario],
) -> Result<Vec<(String, PathBuf)>> {
    if args.recorded {
        let found = scenarios.iter().map(|scenario| {
            let newest = newest_run(project.runs_folder(), &scenario.name, &board.name)?;
            Ok(newest.map(|folder| (scenario.name.to_string(), folder)))
        });
        return found.filter_map(Result::transpose).collect();
    }
    let kit = args.parts.kit(project.defaults())?;
    let plan = |scenario| -> Result<_> {
        Ok(Planned {
            scenario,
            board,
            parts: Arc::new(kit.parts_for(scenario, board)?),
            others: kit.parts_beside(scenario, board, project.boards())?,
            checkpoints: None,
            lab: None,
            is_given: kit.provisioned().is_some(),
            mac: None,
            reproduce: format!(
                "{} {} --board {} --only {}{}",
                OurCommand("conformance"),
                args.suite.name(),
                board.name,
                scenario.name,
                args.parts.words()
            ),
        })
    };
    let planned: Vec<_> = scenarios.iter().map(plan).collect::<Result<_>>()?;
    let execution = Execution {
        jobs: Execution::jobs(args.jobs, project),
        ..Execution::plain()
    };
    let made = e2e::run_all(project, &planned, &args.run, execution)?;
    if let Some(error) = made.unable {
        args.run.say(&format!("a run could not begin: {error}"));
    }
    Ok(made
        .runs
        .into_iter()
        .map(|run| (run.last.scenario, run.folder))
        .collect())
}

/// The newest run of a scenario on a board.
fn newest_run(runs: &Path, scenario: &str, board: &str) -> Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in fs::read_dir(runs).with_context(|| format!("cannot read {}", runs.display()))? {
        let folder = entry?.path();
        let Some(name) = RunName::of(&folder) else {
            continue;
        };
        let is_whole = folder.join(RunFolder::REPORT).is_file();
        if name.of == format!("{scenario}-{board}") && is_whole {
            newest = newest.max(Some((name.began, folder)));
        }
    }
    Ok(newest.map(|(_, folder)| folder))
}

/// What a run has left in its folder.
fn read_evidence(folder: &Path) -> Result<Evidence> {
    let recorded = Recorded::read(folder)?;
    let mut bytes = Vec::new();
    for uart in 0.. {
        let Ok(raw) = fs::read(RunFolder::of(folder).raw(uart)) else {
            break;
        };
        bytes.push(String::from_utf8_lossy(&raw).into_owned());
    }
    Ok(Evidence {
        nonce: recorded.report.nonce.unwrap_or_default(),
        records: recorded.records,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_run_of_a_scenario_is_found() {
        let folder = tempfile::tempdir().unwrap();
        for (name, whole) in [
            ("100-9-pipeline-raspi3b", true),
            ("99-8-pipeline-raspi3b", true),
            ("300-7-pipeline-raspi3b", false),
            ("200-7-extra-pipeline-raspi3b", true),
            ("junk", true),
        ] {
            let run = folder.path().join(name);
            fs::create_dir(&run).unwrap();
            if whole {
                fs::write(run.join("report.json"), "{}").unwrap();
            }
        }
        let newest = newest_run(folder.path(), "pipeline", "raspi3b").unwrap();
        assert_eq!(
            newest.unwrap(),
            folder.path().join("100-9-pipeline-raspi3b")
        );
        assert_eq!(newest_run(folder.path(), "line", "raspi3b").unwrap(), None);
    }
}
