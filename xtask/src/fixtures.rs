//! `cargo xtask fixtures`: fetch, list and check the foreign parts; fill the cache with the real container image.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use shakedown_fixtures::gateway::{self, Arch, Gateway};
use shakedown_fixtures::initramfs::Contents;
use shakedown_fixtures::{FETCH_COMMAND, Fixtures, Kit, KitOptions, Options, alpine};
use shakedown_harness::architecture::Architecture;
use shakedown_harness::board::Board;
use shakedown_harness::scenario::Tier;

use crate::globals::Globals;
use shakedown_common::{PartsArgs, out, outln};

/// Arguments of `fixtures`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Fetch and build everything that runs need. Packages that stand in for locked ones are looked for again.
    Fetch(BoardParts),
    /// List every part with version and digest.
    List(BoardParts),
    /// Lock every package set to the newest packages on the mirror, and show what changes. The lock is built into the program.
    Update(UpdateArgs),
    /// Read the whole cache again, and remove what is damaged.
    Verify,
    /// Say what containers are made of. With `--pull`, get the real Alpine from Docker Hub first; nothing else contacts it.
    Alpine(AlpineArgs),
    /// Build the gateway's container image: the farm's published software on Debian's packages.
    Gateway(GatewayArgs),
}

#[derive(clap::Args)]
struct BoardParts {
    /// Those of this board; by default those of the boards that are always tried.
    #[arg(long)]
    board: Option<String>,
    #[command(flatten)]
    parts: PartsArgs,
}

#[derive(clap::Args)]
struct UpdateArgs {
    /// Where the lock is written; by default `fixtures/parts.lock` of the project, which must be Shakedown's own.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only these sets of `fixtures/parts.toml`; the others stay as they are.
    #[arg(long = "set", value_name = "SET")]
    sets: Vec<String>,
}

#[derive(clap::Args)]
struct AlpineArgs {
    /// Pull the newest `docker.io/library/alpine:latest` for linux/arm64 into the cache.
    #[arg(long)]
    pull: bool,
    /// Use only what has been fetched before.
    #[arg(long)]
    offline: bool,
    /// A folder in OCI image layout to use as the container image.
    #[arg(long, value_name = "FOLDER")]
    container: Option<PathBuf>,
}

#[derive(clap::Args)]
struct GatewayArgs {
    /// The architecture.
    #[arg(long, value_name = "ARCH", default_value = "arm64")]
    arch: Arch,
    /// Copy the image, a folder in OCI image layout, to this new folder.
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// List every package and wheel in the image with its licence.
    #[arg(long)]
    licences: bool,
    /// Build nothing: lock the wheels to the newest that PyPI has. The lock is built into the program.
    #[arg(long, conflicts_with_all = ["output", "licences", "offline"])]
    update_wheels: bool,
    /// Use only what has been fetched before.
    #[arg(long)]
    offline: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let (args, list) = match &args.command {
        Command::Fetch(args) => (args, false),
        Command::List(args) => (args, true),
        Command::Update(args) => return update(args, globals),
        Command::Verify => return verify(),
        Command::Alpine(args) => return alpine(args),
        Command::Gateway(args) => return gateway(args, globals),
    };
    let project = globals.project()?;
    let kit = Kit::open(KitOptions {
        retry: !list,
        ..args.parts.options(project.defaults())
    })?;
    let named = args.board.as_deref();
    let boards: Vec<_> = match named {
        Some(name) => vec![project.board(name)?],
        None => {
            let all = project.boards().iter();
            all.filter(|board| board.tier == Tier::Smoke).collect()
        }
    };
    for board in boards {
        fetch(&kit, board, list)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn fetch(kit: &shakedown_fixtures::Kit, board: &Board, list: bool) -> Result<()> {
    let parts = kit.parts(board)?;
    if list {
        for part in &parts.versions {
            outln!(
                "{:12} {:28} {}",
                &part.sha256[..12],
                part.name,
                part.version
            );
        }
    }
    outln!(
        "{}: {} parts; container image: {}",
        board.name,
        parts.versions.len(),
        parts.container.source
    );
    if list && let Some(contents) = Contents::of(&parts.initramfs) {
        out!("{}", sizes(&contents));
    }
    Ok(())
}

/// What an initramfs is made of, for people.
fn sizes(contents: &Contents) -> String {
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let mut text = format!(
        "  initramfs: {:.1} MiB, {:.1} MiB unpacked\n",
        mebibytes(contents.size),
        mebibytes(contents.unpacked)
    );
    for (part, bytes) in &contents.parts {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:9.2} MiB  {part}", mebibytes(*bytes));
    }
    text
}

/// Writes the lock and shows what changes.
fn update(args: &UpdateArgs, globals: &Globals) -> Result<ExitCode> {
    let file = match &args.output {
        Some(file) => file.clone(),
        None => {
            let file = globals.project()?.root().join("fixtures/parts.lock");
            let none = "there is no such file: name one by --output";
            ensure!(file.is_file(), "{}: {none}", file.display());
            file
        }
    };
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let now = now.replace(['-', ':'], "");
    let (text, changes) = Fixtures::open(Options::default())?.update_lock(&now, &args.sets)?;
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    for change in &changes {
        outln!("{change}");
    }
    match changes.len() {
        0 => outln!("{} was up to date", file.display()),
        some => outln!(
            "{}: {some} changes; build again, run the trials, commit it",
            file.display()
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the cache again; the exit status is 1 when something was damaged.
fn verify() -> Result<ExitCode> {
    let damaged = Fixtures::open(Options::default())?.store().verify()?;
    for damage in &damaged {
        outln!("removed {}: {}", damage.path.display(), damage.detail);
    }
    if damaged.is_empty() {
        outln!("everything in the cache is as it was stored");
        return Ok(ExitCode::SUCCESS);
    }
    outln!("`{FETCH_COMMAND}` brings it back");
    Ok(ExitCode::FAILURE)
}

/// Pulls the image if that is wanted, and says which one runs would use.
fn alpine(args: &AlpineArgs) -> Result<ExitCode> {
    let fixtures = Fixtures::open(Options {
        offline: args.offline,
        ..Options::default()
    })?;
    if args.pull {
        let pulled = fixtures.pull_alpine()?;
        outln!(
            "alpine:latest for linux/arm64 is in the cache, manifest sha256:{}",
            pulled.manifest
        );
    }
    match alpine::available(
        fixtures.store(),
        args.container.as_deref(),
        Architecture::default(),
    )? {
        Some(rootfs) => outln!("container image: {}", rootfs.source),
        None => outln!(
            "container image: a stand-in, not Alpine; {}",
            alpine::how_to_get_real()
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the image and says what it is, or locks the wheels.
fn gateway(args: &GatewayArgs, globals: &Globals) -> Result<ExitCode> {
    let fixtures = Fixtures::open(Options {
        offline: args.offline,
        ..Options::default()
    })?;
    if args.update_wheels {
        let file = globals
            .project()?
            .root()
            .join("fixtures/gateway/wheels.lock");
        let text = fixtures.newest_wheels()?.text()?;
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        outln!("{}: written; build again, commit it", file.display());
        return Ok(ExitCode::SUCCESS);
    }
    let gateway = gateway::build(&fixtures, args.arch)?;
    outln!(
        "the gateway for linux/{}: manifest {}, {:.1} MB compressed",
        args.arch,
        gateway.image.digest(),
        gateway.size as f64 / 1e6
    );
    if args.licences {
        for licence in Gateway::licences(&fixtures, args.arch)? {
            outln!(
                "{:40} {:36} {}",
                licence.part,
                licence.version,
                licence.licence
            );
        }
    }
    match &args.output {
        Some(folder) => {
            ensure!(
                !folder.exists(),
                "{}: it is there already",
                folder.display()
            );
            gateway.image.write_layout(folder, "gateway")?;
            outln!("{}", folder.display());
        }
        None => outln!("{}", gateway.layout.display()),
    }
    Ok(ExitCode::SUCCESS)
}
