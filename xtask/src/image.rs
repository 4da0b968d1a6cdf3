//! `cargo xtask image`: build, inspect, provision and verify disk images. docs/image-spec.md says what they are held to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, Result};
use clap::ValueEnum;
use shakedown_fixtures::{Kit, KitOptions};
use shakedown_harness::board::Board;
use shakedown_harness::image::config_txt::BoardModel;
use shakedown_harness::image::credentials::CredentialError;
use shakedown_harness::image::partitions::Scheme;
use shakedown_harness::image::prebuilt::Cache;
use shakedown_harness::image::script::{BootSource, CustomScript, Server};
use shakedown_harness::image::{credentials, provision, source};
use shakedown_harness::survey::{ImageKind, Level, Verification, VerifyOptions, inspect, verify};

use shakedown_common::{errln, out, outln};
use shakedown_harness::{untrusted, untrusted_json};

use crate::globals::Globals;

/// Permissions of an image that holds no key; the umask narrows them.
const PUBLIC: u32 = 0o666;

/// Arguments of `image`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Build a prebuilt image: firmware, boot loader and iPXE, without an identity.
    Build(BuildArgs),
    /// Show what is in an image, the private key excepted.
    Inspect(InspectArgs),
    /// Make a netboot image: add identity, trusted CA and boot script to a prebuilt image.
    Provision(ProvisionArgs),
    /// Hold an image to every rule of the specification. Ends with 1 when it does not conform.
    Verify(VerifyArgs),
}

#[derive(clap::Args)]
struct BuildArgs {
    /// The board that it is for.
    #[arg(long)]
    board: String,
    /// The image to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The kind of partition table; by default the board's.
    #[arg(long)]
    table: Option<TableArg>,
    /// Leave the cache partition empty, for a boot2container that formats it.
    #[arg(long)]
    empty_cache: bool,
    /// Use only what has been fetched before.
    #[arg(long)]
    offline: bool,
}

#[derive(clap::Args)]
struct InspectArgs {
    /// Raw, xz, zstd, gzip or qcow2; `-` reads standard input.
    image: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct ProvisionArgs {
    /// The prebuilt image: raw, xz, zstd, gzip or qcow2; `-` reads standard input. It is never written to.
    image: PathBuf,
    /// The boot server, for example https://boot.example.
    #[arg(long, value_name = "URL")]
    server: Server,
    /// The machine's certificate, PEM.
    #[arg(long, value_name = "FILE")]
    client_cert: PathBuf,
    /// Its private key, PEM, RSA, not encrypted.
    #[arg(long, value_name = "FILE")]
    client_key: PathBuf,
    /// The certificate of the CA that has signed the boot server's, PEM.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// A boot script in place of the usual one, which asks the server until a boot succeeds.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// The boot script as upstream's generator embeds it, for comparison: it needs iPXE's command `ntp`, which Debian's iPXE lacks.
    #[arg(long, conflicts_with = "script")]
    like_upstream: bool,
    /// The netboot image to write, readable for its owner only.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(clap::Args)]
struct VerifyArgs {
    /// Raw, xz, zstd, gzip or qcow2; `-` reads standard input.
    image: PathBuf,
    /// Hold it to the rules of this board too.
    #[arg(long)]
    board: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum TableArg {
    /// A classic partition table.
    Mbr,
    /// A GUID partition table.
    Gpt,
    /// A GUID partition table whose MBR names the firmware partition too.
    Hybrid,
}

/// Runs the command.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    match &args.command {
        Command::Build(args) => build(args, globals),
        Command::Inspect(args) => show(args),
        Command::Provision(args) => provision(args),
        Command::Verify(args) => check(args, globals),
    }
}

fn build(args: &BuildArgs, globals: &Globals) -> Result<ExitCode> {
    let project = globals.project()?;
    let board = project.board(&args.board)?;
    let scheme = match args.table {
        None => board.image.table,
        Some(TableArg::Mbr) => Scheme::Mbr,
        Some(TableArg::Gpt) => Scheme::Gpt,
        Some(TableArg::Hybrid) => Scheme::Hybrid,
    };
    let kit = Kit::open(KitOptions {
        offline: args.offline,
        ..KitOptions::default()
    })?;
    let cache = match args.empty_cache {
        true => Cache::Empty,
        false => Cache::Ext4,
    };
    let image = kit.prebuilt(board, scheme, cache)?;
    source::open(&image)?.save(&args.output, PUBLIC)?;
    if board.image.rom_reads_mbr_only && scheme == Scheme::Gpt {
        errln!(
            "note: the ROM of a {} reads an MBR only and will not find this image; --table hybrid makes one that it finds",
            board.title
        );
    }
    outln!(
        "{}: a prebuilt image for {}, {}",
        args.output.display(),
        board.title,
        scheme.name()
    );
    Ok(ExitCode::SUCCESS)
}

fn show(args: &InspectArgs) -> Result<ExitCode> {
    let found = inspect::inspect(&source::open(&args.image)?)?;
    match args.json {
        true => outln!("{}", untrusted_json(&serde_json::to_string_pretty(&found)?)),
        false => out!("{found}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn provision(args: &ProvisionArgs) -> Result<ExitCode> {
    let read =
        |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let script = args.script.as_deref().map(|path| {
        let script = CustomScript::parse(&read(path)?);
        script.with_context(|| format!("{} is no boot script", path.display()))
    });
    let upstreams = || {
        args.like_upstream
            .then(|| CustomScript::like_upstream(&args.server))
    };
    let script = script.transpose()?.or_else(upstreams);
    let identity = credentials::identity(&read(&args.client_cert)?, &read(&args.client_key)?);
    let identity = identity.map_err(|error| {
        let (certificate, key) = (args.client_cert.display(), args.client_key.display());
        let at_fault = match &error {
            CredentialError::Mismatch => format!("{certificate} and {key}"),
            CredentialError::NoCertificate(_) | CredentialError::Several(_) => {
                certificate.to_string()
            }
            _ => key.to_string(),
        };
        anyhow::Error::new(error).context(at_fault)
    })?;
    let trusted_ca = credentials::authority(&read(&args.ca)?);
    let boot = BootSource::Https {
        server: args.server.clone(),
        identity: Some(identity),
        trusted_ca: trusted_ca.with_context(|| args.ca.display().to_string())?,
    };
    let image = source::open(&args.image)?;
    provision::provision(&image, &boot, script.as_ref(), &args.output)?;
    for note in doubts(&args.output)? {
        errln!("note: {}", untrusted(&note));
    }
    outln!(
        "{}: a netboot image that boots from {}; it holds a private key",
        args.output.display(),
        args.server
    );
    Ok(ExitCode::SUCCESS)
}

/// What is wrong with identity, trust or script of an image that was just made, or should be known.
fn doubts(image: &Path) -> Result<Vec<String>> {
    let options = VerifyOptions {
        models: &[],
        rom_reads_mbr_only: false,
        now: SystemTime::now(),
    };
    let found = verify(&source::open(image)?, &options)?;
    let chapters = ["R-IPXE", "R-VAR", "R-SCRIPT", "R-ID", "R-TRUST"];
    let violations = found.violations.into_iter();
    let violations = violations.filter(|v| chapters.iter().any(|name| v.rule.starts_with(name)));
    let violations = violations.map(|violation| violation.to_string());
    Ok(violations.chain(found.notes).collect())
}

fn check(args: &VerifyArgs, globals: &Globals) -> Result<ExitCode> {
    let project = globals.project()?;
    let board = args
        .board
        .as_deref()
        .map(|name| project.board(name))
        .transpose()?;
    let models = match board {
        Some(board) => Vec::from_iter(board.firmware.model()),
        None => BoardModel::ALL.to_vec(),
    };
    let options = VerifyOptions {
        models: &models,
        rom_reads_mbr_only: board.is_some_and(|board| board.image.rom_reads_mbr_only),
        now: SystemTime::now(),
    };
    let found = verify(&source::open(&args.image)?, &options)?;
    match args.json {
        true => outln!("{}", untrusted_json(&serde_json::to_string_pretty(&found)?)),
        false => print_verification(&found, board, &args.image),
    }
    Ok(match found.conforms() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn print_verification(found: &Verification, board: Option<&Board>, image: &Path) {
    for violation in &found.violations {
        let level = match violation.level {
            Level::Must => "",
            Level::Should => " (advice)",
        };
        outln!("{:10} {}{level}", violation.rule, violation.place);
        outln!("           {}", violation.what);
        outln!("           -> {}", violation.remedy);
    }
    for note in &found.notes {
        outln!("note       {}", untrusted(note));
    }
    let kind = match found.kind {
        Some(ImageKind::Prebuilt) => "a prebuilt image",
        Some(ImageKind::Netboot) => "a netboot image",
        None => "an image of unknown kind",
    };
    let verdict = match found.conforms() {
        true => "conforms to",
        false => "breaks",
    };
    let whose = board.map_or_else(String::new, |board| format!(" for {}", board.title));
    outln!(
        "{}: {kind}, which {verdict} version 1 of the specification{whose}",
        image.display()
    );
}
