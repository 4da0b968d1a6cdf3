//! `cargo xtask conformance gateway`: the gateway's image in network namespaces of this machine.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use shakedown_common::PartsArgs;
use shakedown_fixtures::gateway::{self, Arch};
use shakedown_fixtures::{Fixtures, Options};
use shakedown_gateway::{Outcome, Visitor, checks, namespace, table};
use shakedown_harness::plan::HostForward;
use shakedown_harness::project::Project;
use shakedown_harness::report::Verdict;
use shakedown_harness::scenario::Scenario;
use shakedown_harness::services::OciImage;
use shakedown_harness::shell::OurCommand;

use super::Args;
use crate::e2e::{self, Execution, Planned, RunArgs};
use crate::globals::Globals;

/// Runs the suite; the exit status is 1 when a check differs from the contract.
pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    if args.on_board {
        return on_board(args, globals);
    }
    if args.behind {
        return behind(args, globals);
    }
    let arch = host_arch()?;
    if args.in_namespace {
        return inside(args, arch);
    }
    for program in namespace::PROGRAMS {
        let found = std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        });
        ensure!(
            found,
            "{program} is not on this machine: the gateway runs in network namespaces (packages util-linux, iproute2, coreutils)"
        );
    }
    let project = globals.project()?;
    let (layout, subject, modules) = match &args.parts.container {
        Some(layout) => {
            let name = layout.file_name().unwrap_or_default().to_string_lossy();
            (
                fs::canonicalize(layout).with_context(|| layout.display().to_string())?,
                format!("{name}, linux/{arch}"),
                None,
            )
        }
        None => {
            let fixtures = fixtures(&args.parts, &project)?;
            let gateway = gateway::build(&fixtures, arch)?;
            let subject = format!(
                "our image for linux/{arch}, {:.1} MB compressed",
                gateway.size as f64 / 1e6
            );
            let modules = gateway::test_modules(&fixtures, arch)?;
            (gateway.layout, subject, Some(modules))
        }
    };
    let table = match (&args.table, &args.parts.container) {
        (Some(path), _) => path.clone(),
        (None, None) => project.root().join("docs/conformance/gateway.md"),
        (None, Some(_)) => project.runs_folder().join("conformance-gateway.md"),
    };
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    let mut words: Vec<String> = [
        "conformance",
        "gateway",
        "--in-namespace",
        "--subject",
        &subject,
        "--container",
        &text(&layout),
        "--table",
        &text(&std::path::absolute(&table)?),
    ]
    .map(str::to_owned)
    .into();
    if let Some(modules) = modules {
        words.extend(["--test-modules".to_owned(), text(&modules)]);
    }
    let status = namespace::enter(&words)?;
    Ok(ExitCode::from(
        u8::try_from(status.code().unwrap_or(2)).unwrap_or(2),
    ))
}

/// Makes the checks, in a network of our own.
fn inside(args: &Args, arch: Arch) -> Result<ExitCode> {
    let layout = args.parts.container.as_ref().context("no image")?;
    let path = args.table.as_ref().context("no table")?;
    let image = OciImage::from_layout(layout, &arch.platform()).context(
        "the gateway's programs run on this machine, so its image must be for this architecture",
    )?;
    let found = checks::run(&image, args.test_modules.as_deref(), &|what| {
        args.run.say(what)
    })?;
    for (process, bytes) in &found.memory {
        args.run
            .say(&format!("{:6.1} MB  {process}", *bytes as f64 / 1e6));
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let subject = args.subject.as_deref().unwrap_or("an image");
    fs::write(path, table::table(subject, &found))
        .with_context(|| format!("cannot write {}", path.display()))?;
    let mut differs = false;
    for check in &found.checks {
        match &check.outcome {
            Outcome::Differs(seen) => {
                differs = true;
                args.run.say(&format!("{} differs: {seen}", check.id));
            }
            Outcome::Holds(seen) => args.run.say(&format!("{} holds: {seen}", check.id)),
            Outcome::NotRun(why) => args.run.say(&format!("{} not run: {why}", check.id)),
        }
    }
    args.run.say(&format!("table: {}", path.display()));
    Ok(if differs {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The fixtures as these options and the project's defaults want them.
fn fixtures(parts: &PartsArgs, project: &Project) -> Result<Fixtures> {
    let options = parts.options(project.defaults());
    Ok(Fixtures::open(Options {
        offline: options.offline,
        locked: options.locked,
        cache: options.cache,
        ..Options::default()
    })?)
}

/// Boots the image for arm64 on a machine with two cards, and lets it boot the board behind it.
fn behind(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let passed = boot(args, globals, "behind", |project, planned| {
        passes(project, planned, &args.run)
    })?;
    Ok(ExitCode::from(u8::from(!passed)))
}

/// Boots the image for arm64 on the emulated board, by the whole chain, until its REST interface has answered a client of the LAN.
fn on_board(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let (passed, answered) = boot(args, globals, "up", |project, planned| {
        let mut run = args.run.clone();
        let forward = HostForward {
            host_port: free_port()?,
            port: 80,
        };
        run.forward.push(forward);
        let visitor = Visitor::start(forward.host_port);
        let passed = passes(project, planned, &run);
        let answered = visitor.end();
        Ok((passed?, answered))
    })?;
    match &answered {
        Some(answered) => args.run.say(&format!(
            "the REST interface answered a client of the LAN with {} bytes, {:.0} s after it began to ask; a registration {}",
            answered.bytes,
            answered.after.as_secs_f64(),
            answered.registered.map_or_else(
                || "was sent".to_owned(),
                |status| format!("was answered with {status}")
            )
        )),
        None => args
            .run
            .say("the REST interface did not answer a client of the LAN"),
    }
    Ok(ExitCode::from(u8::from(!(passed && answered.is_some()))))
}

/// Hands `go` the run of a scenario of `scenarios/gateway`, whose container is the gateway's image for arm64.
fn boot<T>(
    args: &Args,
    globals: &Globals,
    scenario: &str,
    go: impl FnOnce(&Project, Planned<'_>) -> Result<T>,
) -> Result<T> {
    let project = globals.project()?;
    let board = project.board(&args.board)?;
    let mut parts = args.parts.clone();
    if parts.container.is_none() {
        let fixtures = fixtures(&parts, &project)?;
        parts.container = Some(gateway::build(&fixtures, Arch::Arm64)?.layout);
    }
    let kit = parts.kit(project.defaults())?;
    let folder = project.root().join("scenarios/gateway");
    let path = folder.join(format!("{scenario}.toml"));
    let scenario = Scenario::read_among(&path, board, Some(project.boards()))?;
    let option = match args.behind {
        true => "--behind",
        false => "--on-board",
    };
    let planned = Planned {
        scenario: &scenario,
        board,
        parts: Arc::new(kit.parts_for(&scenario, board)?),
        others: kit.parts_beside(&scenario, board, project.boards())?,
        checkpoints: None,
        lab: None,
        is_given: kit.provisioned().is_some(),
        mac: None,
        reproduce: format!(
            "{} gateway {option} --board {}{}",
            OurCommand("conformance"),
            board.name,
            args.parts.words()
        ),
    };
    go(&project, planned)
}

/// Makes a run; `true` if it passed.
fn passes(project: &Project, planned: Planned<'_>, run: &RunArgs) -> Result<bool> {
    let runs = e2e::run_all(project, &[planned], run, Execution::plain())?.all()?;
    Ok(runs.iter().all(|run| run.last.verdict == Verdict::Passed))
}

/// A port of the loopback interface that nobody has at the moment.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

fn host_arch() -> Result<Arch> {
    match std::env::consts::ARCH {
        "x86_64" => Ok(Arch::Amd64),
        "aarch64" => Ok(Arch::Arm64),
        other => anyhow::bail!("there is no gateway for {other}"),
    }
}
