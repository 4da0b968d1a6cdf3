//! The project's commands: `cargo xtask e2e`, `console`, `serve`, `report`, `bench`, `image`, `fixtures` and more. One file each; the work is done
//! by `harness` and `fixtures`.

mod bench;
#[cfg(test)]
mod book;
mod changed;
mod completions;
mod console;
mod doctor;
mod e2e;
mod fixtures;
mod image;
mod project;
mod replay;
mod report;
mod repro;
mod scenario;
mod serve;
mod terminal;
mod view;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Boots netboot images of single-board computers in emulation and proves that they reach their container.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: view::Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenarios on boards and show how far each came.
    E2e(e2e::Args),
    /// Boot a scenario's board with the terminal attached to its serial port.
    Console(console::Args),
    /// Make the pages of runs, and the index of all, again.
    Report(report::Args),
    /// Run a scenario's servers on ports of this machine, for real clients.
    Serve(serve::Args),
    /// Measure, and compare within one invocation.
    Bench(bench::Args),
    /// Build, inspect, provision and verify disk images.
    Image(image::Args),
    /// Fetch, list and check the foreign parts.
    Fixtures(fixtures::Args),
    /// Judge a recorded run again: a bundle, or a serial log from anywhere.
    Replay(replay::Args),
    /// Say what this machine has and lacks for runs.
    Doctor(doctor::Args),
    /// Write a shell's completions of these commands to standard output.
    Completions(completions::Args),
    /// Make, check and list scenarios.
    Scenario(scenario::Args),
}

/// Exit status of a command that could not do its work at all.
const COULD_NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.color.apply();
    execute(&cli.command).unwrap_or_else(|error| {
        eprintln!("error: {}", explained(&error));
        ExitCode::from(COULD_NOT_RUN)
    })
}

fn execute(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::E2e(args) => e2e::run(args),
        Command::Console(args) => console::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Report(args) => report::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Image(args) => image::run(args),
        Command::Fixtures(args) => fixtures::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Scenario(args) => scenario::run(args),
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
    text
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
    }
}
