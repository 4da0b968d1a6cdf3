//! The project's commands: `cargo xtask e2e`, `console`, `serve`, `bench`, `image`, `fixtures`. One file each; the work is done by `harness`
//! and `fixtures`.

mod bench;
mod console;
mod e2e;
mod fixtures;
mod image;
mod project;
mod serve;
mod view;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Boots netboot images of single-board computers in emulation and proves that they reach their container.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenarios on boards and show how far each came.
    E2e(e2e::Args),
    /// Boot a scenario's board with the terminal attached to its serial port.
    Console(console::Args),
    /// Run a scenario's servers on ports of this machine, for real clients.
    Serve(serve::Args),
    /// Measure, and compare within one invocation.
    Bench(bench::Args),
    /// Build, inspect, provision and verify disk images.
    Image(image::Args),
    /// Fetch, list and check the foreign parts.
    Fixtures(fixtures::Args),
}

/// Exit status of a command that could not do its work at all.
const COULD_NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::E2e(args) => e2e::run(&args),
        Command::Console(args) => console::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Image(args) => image::run(&args),
        Command::Fixtures(args) => fixtures::run(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {}", explained(&error));
        ExitCode::from(COULD_NOT_RUN)
    })
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
