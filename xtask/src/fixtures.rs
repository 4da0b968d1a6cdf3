//! `cargo xtask fixtures`: fetch, list and check the foreign parts; fill the cache with the real container image.

use std::process::ExitCode;

use anyhow::Result;
use shakedown_harness::board::Board;

use crate::project::{PartsArgs, Project};

/// Arguments of `fixtures`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Fetch and build everything that runs need.
    Fetch(PartsArgs),
    /// List every part with version and digest.
    List(PartsArgs),
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let project = Project::read()?;
    let (parts, list) = match &args.command {
        Command::Fetch(parts) => (parts, false),
        Command::List(parts) => (parts, true),
    };
    let kit = parts.kit()?;
    for board in project.boards() {
        fetch(&kit, board, list)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn fetch(kit: &shakedown_fixtures::Kit, board: &Board, list: bool) -> Result<()> {
    let parts = kit.parts(board)?;
    if list {
        for part in &parts.versions {
            println!(
                "{:12} {:28} {}",
                &part.sha256[..12],
                part.name,
                part.version
            );
        }
    }
    println!(
        "{}: {} parts; container image: {}",
        board.name,
        parts.versions.len(),
        parts.container.source
    );
    Ok(())
}
