//! `cargo xtask completions`: what a shell needs to complete these commands.
//!
//! A shell completes programs, and `cargo xtask` is two words. So the script is always for `shakedown`, the installed program's name; in a clone
//! an alias of the shell's gives it that name.

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;
use shakedown_common::errln;
use shakedown_harness::shell::program;

/// The name that is completed.
const NAME: &str = "shakedown";

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
    if program() != NAME {
        errln!("note: these are for `{NAME}`: alias {NAME}='{}'", program());
    }
    Ok(ExitCode::SUCCESS)
}
