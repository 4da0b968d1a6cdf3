//! The options of `shakedown e2e`.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use shakedown_common::{PartsArgs, say};
use shakedown_harness::evidence::{Symbols, SymbolsError};
use shakedown_harness::plan::HostForward;
use shakedown_harness::pool::Policy;
use shakedown_harness::report::OnFlaky;

use super::seeds::Seeds;
use crate::servers::ServerArgs;
use crate::{defects, repro};

/// Arguments of `e2e`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    /// Run only the scenarios of these names, or those of the tier whose names contain them; `tag:WORD` are those with that tag, `board:NAME` those on that
    /// board, `tier:full` those of that tier. `!`, `&`, `|` and parentheses make one filter of several words, for example `tag:registry & !mirror`; a filter that
    /// begins with `!` leaves runs out.
    pub(super) filters: Vec<String>,
    /// Run only on this board.
    #[arg(long)]
    pub(super) board: Option<String>,
    /// Which scenarios.
    #[arg(long, default_value = "smoke")]
    pub(super) tier: TierArg,
    /// Run on the board on a desk that this file describes (`lab.toml`), in place of an emulated one.
    #[arg(long, value_name = "FILE")]
    pub(super) lab: Option<PathBuf>,
    /// Of these, run only what has changed since this commit can affect, uncommitted work included; by default since the branch began.
    #[arg(long, value_name = "BASE")]
    pub(super) changed: Option<Option<String>>,
    /// Run each of these once for each seed, with faults that chance makes of the seed, which the board must get over by itself: `7`, or `1..25`.
    #[arg(long, value_name = "SEEDS")]
    pub(super) chaos: Option<Seeds>,
    /// Run nothing: show what would be run, as JSON with `--json`.
    #[arg(long, visible_alias = "dry-run")]
    pub(super) list: bool,
    /// Boot every board in whole: neither go on from checkpoints nor keep any.
    #[arg(long)]
    pub(super) no_checkpoints: bool,
    /// Of these, run only what did not pass when it was run last.
    #[arg(long)]
    pub(super) only_failed: bool,
    #[command(flatten)]
    pub(super) run: RunArgs,
    #[command(flatten)]
    pub(super) series: SeriesArgs,
    /// Runs at a time; by default one for each core, if there is memory for as many. A run for which no core or memory is free waits, whatever
    /// command has them.
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<usize>,
    #[command(flatten)]
    pub(super) servers: ServerArgs,
    #[command(flatten)]
    pub(super) parts: PartsArgs,
}

/// Options that say how often runs are made.
#[derive(clap::Args)]
pub(super) struct SeriesArgs {
    /// Make every run N times and show the statistics of each stage.
    #[arg(long, value_name = "N")]
    repeat: Option<NonZero<u32>>,
    /// Make every run again and again until one fails, at most as often as `--repeat` says.
    #[arg(long)]
    until_failure: bool,
    /// Make a run that failed up to N times more at once. It is flaky if one of these passes.
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// What flaky runs are for the exit status.
    #[arg(long, value_name = "WHAT", default_value = "pass")]
    flaky: FlakyArg,
    /// Begin no other run once one has failed.
    #[arg(long)]
    fail_fast: bool,
    /// Keep N loops busy beside the runs, to show that they stand a busy host.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) load: usize,
    /// Exit as `git bisect run` wants it: 0 when all passed, 1 when one failed, 125 when this cannot be said.
    #[arg(long)]
    pub(super) bisect: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum FlakyArg {
    /// They have passed.
    Pass,
    /// They have failed.
    Fail,
}

impl SeriesArgs {
    pub(super) fn policy(&self) -> Policy {
        Policy {
            repeat: match (self.repeat, self.until_failure) {
                (None, true) => None,
                (repeat, _) => Some(repeat.unwrap_or(NonZero::<u32>::MIN)),
            },
            retries: self.retries,
            fail_fast: self.fail_fast || self.until_failure,
        }
    }

    pub(super) fn on_flaky(&self) -> OnFlaky {
        self.flaky.into()
    }
}

impl From<FlakyArg> for OnFlaky {
    fn from(flaky: FlakyArg) -> Self {
        match flaky {
            FlakyArg::Pass => Self::Pass,
            FlakyArg::Fail => Self::Fail,
        }
    }
}

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make the run of a bundle once more, by the definitions in it.
    Repro(repro::Args),
    /// Put known defects in, one at a time, and say whether the runs find them.
    Defects(defects::Args),
}

/// Options that say what becomes of runs.
#[derive(Clone, clap::Args)]
pub(crate) struct RunArgs {
    /// Leave the card and the other working files of each run in its folder, and the board of a failed run on until Ctrl-C.
    #[arg(long)]
    pub(super) keep: bool,
    /// Put the disk image into the bundle of each failed run.
    #[arg(long)]
    pub(super) bundle_image: bool,
    /// Keep what is in the memory of each board whose run has failed, in the run's folder: `memory.elf`, as large as the board's memory. It holds the
    /// run's keys, and is in no bundle.
    #[arg(long)]
    pub(super) dump_memory: bool,
    /// The System.map of the kernel that is booted: a report then names the function in which a failed board stands. A kernel that puts itself
    /// elsewhere in memory needs `nokaslr`.
    #[arg(long, value_name = "FILE", value_parser = symbols)]
    pub(super) system_map: Option<Arc<Symbols>>,
    /// Boot an image given by --image although it breaks the specification.
    #[arg(long)]
    pub(super) boot_anyway: bool,
    /// Let clients on this machine reach a TCP port of the board: `8080:80` leads from port 8080 of 127.0.0.1 to port 80 of the board. May be said
    /// several times. With several runs at a time the first has the port, and the others cannot run.
    #[arg(long, value_name = "HOSTPORT:PORT")]
    pub(crate) forward: Vec<HostForward>,
    /// Show the serial ports.
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// Write every event as a line of JSON to standard output, and what people read to standard error.
    #[arg(long)]
    pub(super) json: bool,
    /// Where to write the results as JUnit's XML, by default below `target/shakedown`.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
}

fn symbols(path: &str) -> Result<Arc<Symbols>, SymbolsError> {
    Symbols::read(Path::new(path)).map(Arc::new)
}

impl RunArgs {
    /// How wide the lines may be that people read.
    pub(super) fn width(&self) -> usize {
        /// What a file or a pipeline's log has room for.
        const USUAL: u16 = 120;
        let term = if self.json {
            console::Term::stderr()
        } else {
            console::Term::stdout()
        };
        term.size_checked().map_or(USUAL, |(_, width)| width).into()
    }

    /// Says something to people: on standard output, unless that belongs to the JSON.
    pub(crate) fn say(&self, text: &str) {
        say(self.json, text);
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum TierArg {
    /// What is run always.
    Smoke,
    /// Everything.
    Full,
}
