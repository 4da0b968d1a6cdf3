//! `shakedown e2e`: which runs are meant, and what they are made of.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use shakedown_common::{COULD_NOT_RUN, err, errln};
use shakedown_fixtures::Kit;
use shakedown_harness::board::Board;
use shakedown_harness::plan::Lab;
use shakedown_harness::project::{Project, Runs, affected, fitting};
use shakedown_harness::report::bisect_status;
use shakedown_harness::scenario::{Scenario, Tier};
use shakedown_harness::shell::{OurCommand, word};

use super::args::{Args, Command, TierArg};
use super::results::carry_out;
use super::runs::{Execution, Planned};
use super::seeds::Seeds;
use crate::globals::Globals;
use crate::{defects, list, repro};

/// Runs the command; the exit status is 0 when all passed, 1 when one failed, 2 when one could not run, or as `git bisect run` takes it.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    match &args.command {
        Some(Command::Repro(args)) => return repro::run(args, globals),
        Some(Command::Defects(args)) => return defects::run(args, globals),
        None => {}
    }
    let status = match select_and_run(args, globals) {
        // A commit that has no such scenario cannot be tested.
        Err(error) if args.series.bisect => {
            errln!("error: {error:#}");
            COULD_NOT_RUN
        }
        status => status?,
    };
    Ok(ExitCode::from(match args.series.bisect {
        true => bisect_status(status),
        false => status,
    }))
}

/// Makes the runs that are meant, and returns the exit status.
fn select_and_run(args: &Args, globals: &Globals) -> Result<u8> {
    let project = globals.project()?;
    let lab = args.lab.as_deref().map(Lab::read).transpose()?;
    let board = match &lab {
        Some(lab) => Some(lab.board.as_str()),
        None => args.board.as_deref(),
    };
    let board = board.or(project.defaults().board.as_deref());
    let selected = match selected(args, &project, lab.is_some(), board)? {
        Ok(selected) => selected,
        Err(nothing) => {
            args.run.say(&format!("nothing was run: {nothing}"));
            return Ok(0);
        }
    };
    if args.list {
        list::run(&selected, board, &project, args.run.json)?;
        return Ok(0);
    }
    let kit = args.parts.kit(project.defaults())?;
    if let Some(warning) = kit.warning() {
        errln!("note: {warning}");
    }
    let meant = meant(args, selected, &kit)?;
    let planned = meant
        .iter()
        .map(|run| plan(args, run, &project, &kit, lab.as_ref()));
    let planned: Vec<_> = planned.collect::<Result<_>>()?;
    // There is one board.
    let jobs = lab.as_ref().map(|_| 1).or(args.jobs);
    let execution = Execution {
        jobs: Execution::jobs(jobs, &project),
        policy: args.series.policy(),
        load: args.series.load,
    };
    let made = carry_out(&project, &planned, &args.run, execution)?;
    Ok(made.status(args.series.on_flaky()))
}

/// The runs that the arguments select; `Err` says why there is nothing to do.
fn selected<'p>(
    args: &Args,
    project: &'p Project,
    is_on_desk: bool,
    board: Option<&str>,
) -> Result<Result<Runs<'p>, &'static str>> {
    let tier = match args.tier {
        TierArg::Smoke => Tier::Smoke,
        TierArg::Full => Tier::Full,
    };
    let mut selected = project.select(&args.filters, board, tier)?;
    if is_on_desk {
        selected = on_desk(selected);
    }
    if let Some(base) = &args.changed {
        let (affected, why) = affected(selected, project.root(), base.as_deref())?;
        err!("{why}");
        selected = affected;
    }
    if selected.is_empty() && is_on_desk {
        bail!("none of these scenarios can be run on a board on a desk");
    }
    if selected.is_empty() {
        return Ok(Err("nothing that has changed can affect any of these runs"));
    }
    if args.only_failed {
        selected = project.only_failed(selected);
    }
    Ok(match selected.is_empty() {
        true => Err("none of these failed when it was run last"),
        false => Ok(selected),
    })
}

/// A run that is meant: a scenario with its surroundings, on a board.
struct Meant<'p> {
    scenario: Scenario,
    board: &'p Board,
    /// What chance makes its faults of.
    seed: Option<u64>,
}

/// The selected runs that go with the image that was given, each as often as there are seeds.
fn meant<'p>(args: &Args, selected: Runs<'p>, kit: &Kit) -> Result<Vec<Meant<'p>>> {
    let selected = match kit.provisioned() {
        Some(given) => {
            let (fitting, notes) = fitting(selected, given, args.servers.has_boot_server())?;
            for note in notes {
                errln!("note: {note}");
            }
            fitting
        }
        None => selected,
    };
    let seeds: Vec<Option<u64>> = match &args.chaos {
        Some(Seeds(seeds)) => seeds.clone().map(Some).collect(),
        None => vec![None],
    };
    let mut meant = Vec::new();
    for (scenario, board) in selected {
        let scenario = args.servers.put_around(scenario, board)?;
        meant.extend(seeds.iter().map(|&seed| Meant {
            scenario: seed.map_or_else(|| scenario.clone(), |seed| scenario.with_chaos(seed)),
            board,
            seed,
        }));
    }
    Ok(meant)
}

/// A run with its parts.
fn plan<'a>(
    args: &Args,
    Meant {
        scenario,
        board,
        seed,
    }: &'a Meant<'_>,
    project: &Project,
    kit: &Kit,
    lab: Option<&'a Lab>,
) -> Result<Planned<'a>> {
    let seed = seed.map(|seed| format!(" --chaos {seed}"));
    Ok(Planned {
        scenario,
        board,
        parts: Arc::new(kit.parts_for(scenario, board)?),
        others: kit.parts_beside(scenario, board, project.boards())?,
        // A board on a desk can be neither frozen nor woken.
        checkpoints: (!args.no_checkpoints && lab.is_none()).then(|| project.checkpoints_folder()),
        lab,
        mac: None,
        is_given: args.parts.image.is_some() || project.defaults().image.is_some(),
        reproduce: format!(
            "{} {} {}{}{}{}",
            OurCommand("e2e"),
            scenario.name,
            match &args.lab {
                Some(file) => format!("--lab {}", word(&file.to_string_lossy())),
                None => format!("--board {}", board.name),
            },
            args.servers.words(),
            seed.unwrap_or_default(),
            args.parts.words()
        ),
    })
}

/// Of these runs those that a board on a desk can make; of the others it is said why not.
fn on_desk(selected: Runs<'_>) -> Runs<'_> {
    let mut possible = Vec::new();
    for (scenario, board) in selected {
        match Lab::cannot(scenario) {
            None => possible.push((scenario, board)),
            Some(reason) => errln!("note: {} is left out: {reason}", scenario.name),
        }
    }
    possible
}
