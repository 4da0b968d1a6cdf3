//! `cargo xtask doctor`: what this machine has for runs and tests, what it lacks, and the remedy.

mod checks;
mod finding;

use std::process::ExitCode;

use anyhow::Result;
use shakedown_common::out;

use crate::globals::Globals;
use finding::{State, text};

/// Arguments of `doctor`.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the command; the exit status is 1 when something is missing without which nothing runs.
pub(crate) fn run(_: &Args, globals: &Globals) -> Result<ExitCode> {
    let findings = checks::all(&globals.project()?)?;
    out!("{}", text(&findings));
    Ok(if findings.iter().any(|f| f.state == State::Missing) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
