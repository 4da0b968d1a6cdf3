//! `cargo xtask bench boot`: what the chain costs, against a direct boot of the same kernel and initramfs to the same nonce.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;
use shakedown_harness::report::{Report, StageTime, Verdict, failure_text};
use shakedown_harness::run::{Extras, Job, Nic, Start, run as run_job};
use shakedown_harness::timeline::Timeline;

use super::figures::{median, write_json};
use super::host::{Conditions, Observation};
use super::kernel_line;
use crate::COULD_NOT_RUN;
use crate::project::{PartsArgs, Project};
use crate::view::{Show, View};

/// Arguments of `bench boot`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Runs of each kind.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The scenario.
    #[arg(long, default_value = "alpine-https")]
    scenario: String,
    /// The board.
    #[arg(long)]
    board: Option<String>,
    /// First make a run of each kind that does not count.
    #[arg(long)]
    warm_up: bool,
    /// Write the figures to this file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    parts: PartsArgs,
}

/// How a run started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Chain,
    Direct,
}

/// One run that passed.
#[derive(Debug, Clone, Serialize)]
struct Run {
    kind: Kind,
    qemu_cpu_seconds: f64,
    harness_cpu_seconds: f64,
    /// Power-on to the last stage.
    wall_seconds: f64,
    stages: Vec<StageTime>,
}

/// All figures of an invocation.
#[derive(Debug, Serialize)]
struct Figures {
    scenario: String,
    board: String,
    ratio: f64,
    runs: Vec<Run>,
    host: Conditions,
}

/// Runs the command. A run that does not pass ends it, since its figures would compare nothing.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let project = Project::read()?;
    let (scenario, board) = project.one(&args.scenario, args.board.as_deref())?;
    let append = kernel_line::of_script(&scenario.boot.script)?;
    let parts = args.parts.kit()?.parts(board)?;
    let job = |kind| Job {
        board,
        scenario,
        parts: &parts,
        start: match kind {
            Kind::Chain => Start::Card,
            Kind::Direct => Start::Direct {
                append: append.clone(),
                nic: Nic::Board,
            },
        },
        folder: project.run_folder(scenario, board),
        keep: false,
        extras: Extras::default(),
        reproduce: format!(
            "cargo xtask bench boot --scenario {} --board {}",
            scenario.name, board.name
        ),
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let view = View::new(Show::default());
    let observation = Observation::begin()?;
    let mut runs = Vec::new();
    for round in 0..args.runs + u32::from(args.warm_up) {
        let counts = !args.warm_up || round > 0;
        for kind in [Kind::Chain, Kind::Direct] {
            let job = job(kind);
            let label = format!("{kind:?} {}", if counts { "run" } else { "warm-up" });
            let report = runtime.block_on(measure(&job, &view, &label));
            if let Some(failure) = &report.failure {
                println!("{}", failure_text(&report, failure));
            }
            match report.verdict {
                Verdict::Passed if counts => runs.push(Run::new(kind, report)),
                Verdict::Passed => {}
                Verdict::Failed => return Ok(ExitCode::FAILURE),
                Verdict::CouldNotRun => return Ok(ExitCode::from(COULD_NOT_RUN)),
            }
        }
    }
    // Threads of the matcher may still wait for the text of a port that has ended.
    runtime.shutdown_background();
    let figures = Figures {
        scenario: scenario.name.clone(),
        board: board.name.clone(),
        ratio: ratio(&runs, Run::cpu_seconds),
        runs,
        host: observation.end()?,
    };
    println!("\n{}{}", table(&figures.runs), figures.host);
    if let Some(path) = &args.json {
        write_json(path, &figures)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes one run, with a line on the terminal.
async fn measure(job: &Job<'_>, view: &View, label: &str) -> Report {
    let line = view.run(label.to_owned(), job.stages());
    let timeline = Timeline::start();
    let stop = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let report = tokio::select! {
        report = run_job(job, &timeline, stop) => report,
        () = line.follow(timeline.clone()) => unreachable!("the view follows for ever"),
    };
    line.finish(&report, &job.folder);
    report
}

impl Run {
    fn new(kind: Kind, report: Report) -> Self {
        Self {
            kind,
            qemu_cpu_seconds: report.qemu_cpu_seconds,
            harness_cpu_seconds: report.harness_cpu_seconds,
            wall_seconds: report.whole().as_secs_f64(),
            stages: report.stages,
        }
    }

    fn cpu_seconds(&self) -> f64 {
        self.qemu_cpu_seconds + self.harness_cpu_seconds
    }
}

/// The median of a figure over all runs of a kind.
fn median_of(runs: &[Run], kind: Kind, figure: impl Fn(&Run) -> f64) -> f64 {
    median(runs.iter().filter(|r| r.kind == kind).map(figure))
}

/// How many times as much the chain's median of a figure is.
fn ratio(runs: &[Run], figure: impl Fn(&Run) -> f64) -> f64 {
    median_of(runs, Kind::Chain, &figure) / median_of(runs, Kind::Direct, &figure)
}

/// A figure of a run.
type Column = fn(&Run) -> f64;

/// The figures as people read them: the ratio that counts, then all runs in their order, medians and ratios.
fn table(runs: &[Run]) -> String {
    let columns: [(&str, Column); 4] = [
        ("CPU s, QEMU", |r| r.qemu_cpu_seconds),
        ("CPU s, harness", |r| r.harness_cpu_seconds),
        ("CPU s, both", Run::cpu_seconds),
        ("wall s", |r| r.wall_seconds),
    ];
    let mut out = format!(
        "chain / direct: {:.2}, medians of CPU seconds of QEMU and harness\n\n",
        ratio(runs, Run::cpu_seconds)
    );
    let mut row = |label: &str, cell: &dyn Fn(&str, Column) -> String| {
        let _ = write!(out, "{label:16}");
        for (name, column) in columns {
            let _ = write!(out, "  {:>width$}", cell(name, column), width = name.len());
        }
        out.push('\n');
    };
    row("", &|name, _| name.into());
    for run in runs {
        let label = format!("{:?}", run.kind);
        row(&label, &|_, figure| format!("{:.1}", figure(run)));
    }
    for kind in [Kind::Chain, Kind::Direct] {
        let label = format!("{kind:?}, median");
        row(&label, &|_, figure| {
            format!("{:.1}", median_of(runs, kind, figure))
        });
    }
    row("ratio", &|_, figure| format!("{:.2}", ratio(runs, figure)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(kind: Kind, qemu: f64, harness: f64, wall: f64) -> Run {
        Run {
            kind,
            qemu_cpu_seconds: qemu,
            harness_cpu_seconds: harness,
            wall_seconds: wall,
            stages: Vec::new(),
        }
    }

    #[test]
    fn ratios_are_of_medians() {
        let runs = [
            made(Kind::Chain, 70.0, 4.0, 98.25),
            made(Kind::Direct, 42.0, 1.5, 61.0),
            made(Kind::Chain, 71.0, 4.5, 120.0),
            made(Kind::Direct, 43.0, 1.5, 60.0),
            made(Kind::Chain, 700.0, 4.5, 99.0),
            made(Kind::Direct, 41.0, 2.0, 62.0),
        ];
        insta::assert_snapshot!(table(&runs), @r#"
        chain / direct: 1.74, medians of CPU seconds of QEMU and harness

                          CPU s, QEMU  CPU s, harness  CPU s, both  wall s
        Chain                    70.0             4.0         74.0    98.2
        Direct                   42.0             1.5         43.5    61.0
        Chain                    71.0             4.5         75.5   120.0
        Direct                   43.0             1.5         44.5    60.0
        Chain                   700.0             4.5        704.5    99.0
        Direct                   41.0             2.0         43.0    62.0
        Chain, median            71.0             4.5         75.5    99.0
        Direct, median           42.0             1.5         43.5    61.0
        ratio                    1.69            3.00         1.74    1.62
        "#);
    }
}
