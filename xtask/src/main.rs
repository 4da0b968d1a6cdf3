//! The commands, one file each: `shakedown e2e`, `console`, `serve`, `report`, `bench`, `image`, `fixtures` and more, as an installed program or as
//! `cargo xtask …` in a clone. The work is done by `harness`, `fixtures` and `bench`.

// They panic when standard output is closed: see `shakedown_common::outln`.
#![warn(clippy::print_stderr, clippy::print_stdout)]

#[cfg(test)]
mod book;
mod completions;
mod conformance;
mod console;
mod defects;
mod docs;
mod doctor;
mod e2e;
mod fixtures;
mod fuzz;
mod globals;
mod image;
mod init;
mod list;
mod manual;
mod recording;
mod replay;
mod report;
mod repro;
mod scenario;
mod serve;
mod servers;
mod terminal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shakedown_common::{COULD_NOT_RUN, errln};
use shakedown_harness::{shell, untrusted_lines};

/// Boots netboot images of single-board computers in emulation and proves that they reach their container.
#[derive(Parser)]
#[command(name = "shakedown", bin_name = shell::program(), version)]
struct Cli {
    #[command(flatten)]
    globals: globals::Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a folder a project: write shakedown.toml, a scenario and a pipeline.
    Init(init::Args),
    /// Run scenarios on boards and show how far each came.
    E2e(Box<e2e::Args>),
    /// Hold an initramfs to a contract, check by check, and write the table.
    Conformance(conformance::Args),
    /// Boot a scenario's board with the terminal attached to its serial port.
    Console(console::Args),
    /// Make the pages of runs, and the index of all, again.
    Report(report::Args),
    /// Run a scenario's servers on ports of this machine, for real clients.
    Serve(serve::Args),
    /// Measure, and compare within one invocation.
    Bench(shakedown_bench::Args),
    /// Build, inspect, provision and verify disk images.
    Image(image::Args),
    /// Fetch, list and check the foreign parts.
    Fixtures(fixtures::Args),
    /// Feed the parsers of foreign bytes inputs that nobody thought of; for a clone of Shakedown.
    Fuzz(fuzz::Args),
    /// Judge a recorded run again: a bundle, or a serial log from anywhere.
    Replay(replay::Args),
    /// Say what this machine has and lacks for runs.
    Doctor(doctor::Args),
    /// Write the book's reference pages and the JSON Schemas of the code; for a clone of Shakedown.
    Docs(docs::Args),
    /// Write man pages of these commands into a folder.
    Manual(manual::Args),
    /// Write a shell's completions of these commands to standard output.
    Completions(completions::Args),
    /// Make, check and list scenarios.
    Scenario(scenario::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.globals.color.apply();
    execute(&cli).unwrap_or_else(|error| {
        errln!("error: {}", explained(&error));
        ExitCode::from(COULD_NOT_RUN)
    })
}

fn execute(cli: &Cli) -> anyhow::Result<ExitCode> {
    let globals = &cli.globals;
    match &cli.command {
        Command::Init(args) => init::run(args, globals),
        Command::E2e(args) => e2e::run(args, globals),
        Command::Conformance(args) => conformance::run(args, globals),
        Command::Console(args) => console::run(args, globals),
        Command::Serve(args) => serve::run(args, globals),
        Command::Report(args) => report::run(args, globals),
        Command::Bench(args) => shakedown_bench::run(args, &globals.project()?),
        Command::Image(args) => image::run(args, globals),
        Command::Fixtures(args) => fixtures::run(args, globals),
        Command::Fuzz(args) => fuzz::run(args, globals),
        Command::Replay(args) => replay::run(args, globals),
        Command::Doctor(args) => doctor::run(args, globals),
        Command::Docs(args) => docs::run(args, globals),
        Command::Manual(args) => manual::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Scenario(args) => scenario::run(args, globals),
    }
}

/// An error with its causes. Those that the text before has told already are left out.
fn explained(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    // A cause may quote what somebody else wrote.
    untrusted_lines(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let cause = anyhow::anyhow!("premature end");
        let told = cause.context("cannot unpack a.xz: premature end");
        let wrapped = told.context("the image");
        assert_eq!(
            explained(&wrapped),
            "the image: cannot unpack a.xz: premature end"
        );
        let foreign = anyhow::anyhow!("no \x1b]0;x\x07\n  at \u{202e}line 1");
        assert_eq!(
            explained(&foreign),
            "no \\x1b]0;x\\x07\n  at \\u{202e}line 1"
        );
    }
}
