//! `cargo xtask completions`: what a shell needs to complete these commands.
//!
//! A shell completes programs, and `cargo xtask` is an alias of cargo's. So the script is for a program called `xtask`, which an alias of
//! the shell's makes of it: `alias xtask='cargo xtask'`.

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

/// The name that is completed.
const NAME: &str = "xtask";

/// Arguments of `completions`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

/// Writes the script to standard output.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut command = crate::Cli::command().bin_name(NAME);
    clap_complete::generate(args.shell, &mut command, NAME, &mut std::io::stdout());
    eprintln!("note: these are for `{NAME}`: alias {NAME}='cargo xtask'");
    Ok(ExitCode::SUCCESS)
}
