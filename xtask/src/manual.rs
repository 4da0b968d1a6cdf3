//! `shakedown manual`: man pages, made of the same definitions as the help texts.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory;
use shakedown_common::outln;

/// Arguments of `manual`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder to write them into, for example ~/.local/share/man/man1.
    folder: PathBuf,
}

/// Writes a page for the program and one for each command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let folder = &args.folder;
    let failed = || format!("cannot write into {}", folder.display());
    fs::create_dir_all(folder).with_context(failed)?;
    let command = crate::Cli::command().bin_name("shakedown");
    clap_mangen::generate_to(command, folder).with_context(failed)?;
    outln!("wrote the pages into {}", folder.display());
    Ok(ExitCode::SUCCESS)
}
