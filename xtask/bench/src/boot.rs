//! `cargo xtask bench boot`: what the chain costs, against a direct boot of the same kernel and initramfs to the same nonce.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use shakedown_harness::host::{on_own_core, peak_memory};
use shakedown_harness::plan::{Extras, Job, Nic, Start};
use shakedown_harness::report::{Report, StageTime, Verdict, failure_text};
use shakedown_harness::run::run as run_job;
use shakedown_harness::timeline::{StoppedBy, Timeline};

use super::figures::{Better, Figure, Measured, median};
use super::host::Observation;
use super::kernel_line;
use super::page_cache::drop_cached;
use shakedown_common::PartsArgs;
use shakedown_common::view::{Show, View};
use shakedown_common::{COULD_NOT_RUN, outln};
use shakedown_harness::project::Project;

/// Arguments of `bench boot`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Runs of each kind, after a first one whose parts are read from the disk.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The scenario.
    #[arg(long, default_value = "alpine-https")]
    scenario: String,
    /// The board.
    #[arg(long)]
    board: Option<String>,
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
    /// Its parts were not in the page cache.
    cold: bool,
    qemu_cpu_seconds: f64,
    harness_cpu_seconds: f64,
    /// Power-on to the last stage.
    wall_seconds: f64,
    /// From nothing to the report.
    whole_seconds: f64,
    stages: Vec<StageTime>,
}

/// Runs the command. A run that does not pass ends it, since its figures would compare nothing.
pub(super) fn run(args: &Args, project: &Project) -> Result<ExitCode> {
    let (scenario, board) = project.one(&args.scenario, args.board.as_deref())?;
    let append = kernel_line::of_script(&scenario.boot.script)?;
    let kit = args.parts.kit(project.defaults())?;
    let parts = kit.parts(board)?;
    let job = |kind| Job {
        board,
        scenario,
        parts: &parts,
        others: &[],
        start: match kind {
            Kind::Chain => Start::Card,
            Kind::Direct => Start::Direct {
                append: append.clone(),
                nic: Nic::Board,
            },
        },
        folder: project.run_folder(scenario, board),
        keep: false,
        checkpoints: None,
        extras: Extras::default(),
        reproduce: format!(
            "cargo xtask bench boot --scenario {} --board {}",
            scenario.name, board.name
        ),
    };
    let view = View::new(Show::default());
    let observation = Observation::begin()?;
    let mut runs = Vec::new();
    for round in 0..=args.runs {
        let cold = round == 0;
        for kind in [Kind::Chain, Kind::Direct] {
            if cold {
                for path in [kit.cache(), &parts.image, &parts.initramfs] {
                    drop_cached(path)
                        .with_context(|| format!("cannot drop {} from memory", path.display()))?;
                }
            }
            let job = job(kind);
            let label = format!("{kind:?}{}", if cold { ", cold" } else { "" });
            let begun = Instant::now();
            let report = on_own_core(async |_| measure(&job, &view, &label).await)?;
            let whole = begun.elapsed();
            if let Some(failure) = &report.failure {
                outln!("{}", failure_text(&report, failure));
            }
            match report.verdict {
                Verdict::Passed => runs.push(Run::new(kind, cold, whole, report)),
                Verdict::Failed => return Ok(ExitCode::FAILURE),
                Verdict::CouldNotRun => return Ok(ExitCode::from(COULD_NOT_RUN)),
            }
        }
    }
    let host = observation.end()?;
    let peak_memory = peak_memory(std::process::id()).unwrap_or_default();
    outln!("\n{}", table(&runs));
    outln!(
        "harness: at most {:.0} MB of memory",
        peak_memory as f64 / 1e6
    );
    outln!("{host}");
    if let Some(path) = &args.json {
        let measured = Measured {
            bench: "boot".into(),
            subject: format!("{} on {}", scenario.name, board.name),
            figures: figures(&runs, peak_memory),
            host,
            details: serde_json::to_value(&runs)?,
        };
        measured.write(path)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes one run, with a line on the terminal.
async fn measure(job: &Job<'_>, view: &View, label: &str) -> Report {
    let line = view.run(label.to_owned(), job.labels());
    let timeline = Timeline::start();
    let stop = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        StoppedBy::User
    };
    let report = tokio::select! {
        report = run_job(job, &timeline, stop) => report,
        () = line.follow(timeline.clone()) => unreachable!("the view follows for ever"),
    };
    line.finish(&report, &job.folder);
    report
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Direct => "direct",
        }
    }
}

impl Run {
    fn new(kind: Kind, cold: bool, whole: Duration, report: Report) -> Self {
        Self {
            kind,
            cold,
            whole_seconds: whole.as_secs_f64(),
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

/// The runs of a kind that found their parts in memory.
fn warm(runs: &[Run], kind: Kind) -> impl Iterator<Item = &Run> {
    runs.iter().filter(move |r| r.kind == kind && !r.cold)
}

/// The one that did not.
fn cold(runs: &[Run], kind: Kind) -> Option<&Run> {
    runs.iter().find(|r| r.kind == kind && r.cold)
}

/// The median of a figure over all warm runs of a kind.
fn median_of(runs: &[Run], kind: Kind, figure: impl Fn(&Run) -> f64) -> f64 {
    median(warm(runs, kind).map(figure))
}

/// How many times as much the chain's median of a figure is.
fn ratio(runs: &[Run], figure: impl Fn(&Run) -> f64) -> f64 {
    median_of(runs, Kind::Chain, &figure) / median_of(runs, Kind::Direct, &figure)
}

/// The figures that count.
fn figures(runs: &[Run], peak_memory: u64) -> Vec<Figure> {
    let less = |name: &str, unit: &str, value| Figure::new(name, unit, value, Better::Less);
    let harness_share =
        |kind| median_of(runs, kind, |r| r.harness_cpu_seconds / r.qemu_cpu_seconds);
    let mut figures = vec![
        less("chain / direct", "", ratio(runs, Run::cpu_seconds)),
        less("chain / direct, wall", "", ratio(runs, |r| r.wall_seconds)),
        less("harness / QEMU, chain", "", harness_share(Kind::Chain)),
        less("harness / QEMU, direct", "", harness_share(Kind::Direct)),
        less("harness, peak memory", "MB", peak_memory as f64 / 1e6),
    ];
    for kind in [Kind::Chain, Kind::Direct] {
        let name = kind.name();
        figures.push(less(name, "CPU s", median_of(runs, kind, Run::cpu_seconds)));
        figures.push(less(
            name,
            "wall s",
            median_of(runs, kind, |r| r.wall_seconds),
        ));
        if let Some(run) = cold(runs, kind) {
            let name = format!("{name}, cold");
            figures.push(less(&name, "wall s", run.wall_seconds));
        }
        for stage in stages(runs, kind) {
            let name = format!("{name}, {stage}");
            figures.push(less(&name, "CPU s", stage_median(runs, kind, stage, cpu)));
        }
    }
    figures
}

/// A figure of a run.
type Column = fn(&Run) -> f64;

/// The figures as people read them: the ratio that counts, then all runs in their order, medians and ratios.
fn table(runs: &[Run]) -> String {
    let columns: [(&str, Column); 5] = [
        ("CPU s, QEMU", |r| r.qemu_cpu_seconds),
        ("CPU s, harness", |r| r.harness_cpu_seconds),
        ("CPU s, both", Run::cpu_seconds),
        ("wall s", |r| r.wall_seconds),
        ("with set-up", |r| r.whole_seconds),
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
        let label = format!("{:?}{}", run.kind, if run.cold { ", cold" } else { "" });
        row(&label, &|_, figure| format!("{:.1}", figure(run)));
    }
    for kind in [Kind::Chain, Kind::Direct] {
        let label = format!("{kind:?}, median");
        row(&label, &|_, figure| {
            format!("{:.1}", median_of(runs, kind, figure))
        });
    }
    row("ratio", &|_, figure| format!("{:.2}", ratio(runs, figure)));
    out.push_str(&stage_table(runs));
    out
}

/// The medians of each stage: CPU seconds of QEMU and harness, and wall seconds; and what the cold chain took.
fn stage_table(runs: &[Run]) -> String {
    let mut out = format!(
        "\n{:16}  {:>14}  {:>14}  {:>12}  {:>12}  {:>12}\n",
        "medians", "chain, CPU s", "direct, CPU s", "chain, wall", "direct, wall", "chain, cold"
    );
    let cold = cold(runs, Kind::Chain);
    for stage in stages(runs, Kind::Chain) {
        let cell = |kind, figure| {
            let median = stage_median(runs, kind, stage, figure);
            if median.is_nan() {
                String::new()
            } else {
                format!("{median:.2}")
            }
        };
        let cold = cold.and_then(|run| run.stages.iter().find(|s| s.name == stage));
        let row = format!(
            "{stage:16}  {:>14}  {:>14}  {:>12}  {:>12}  {:>12}",
            cell(Kind::Chain, cpu),
            cell(Kind::Direct, cpu),
            cell(Kind::Chain, wall),
            cell(Kind::Direct, wall),
            cold.map_or_else(String::new, |s| format!("{:.2}", s.took)),
        );
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

/// Names of the stages that runs of a kind go through.
fn stages(runs: &[Run], kind: Kind) -> impl Iterator<Item = &str> {
    let first = runs.iter().find(|r| r.kind == kind);
    first
        .into_iter()
        .flat_map(|r| r.stages.iter().map(|s| s.name.as_str()))
}

/// The median of a figure of a stage over all runs of a kind.
fn stage_median(
    runs: &[Run],
    kind: Kind,
    stage: &str,
    figure: fn(&StageTime) -> Option<f64>,
) -> f64 {
    let of_stage = warm(runs, kind).filter_map(|r| r.stages.iter().find(|s| s.name == stage));
    median(of_stage.filter_map(figure))
}

fn cpu(stage: &StageTime) -> Option<f64> {
    stage.cpu.map(|cpu| cpu.qemu + cpu.harness)
}

fn wall(stage: &StageTime) -> Option<f64> {
    Some(stage.took)
}

#[cfg(test)]
mod tests {
    use shakedown_harness::report::CpuSeconds;

    use super::*;

    fn made(kind: Kind, qemu: f64, harness: f64, wall: f64) -> Run {
        Run {
            kind,
            cold: false,
            whole_seconds: wall + 1.0,
            qemu_cpu_seconds: qemu,
            harness_cpu_seconds: harness,
            wall_seconds: wall,
            stages: [("iPXE", kind == Kind::Chain), ("Linux", true)]
                .into_iter()
                .filter(|(_, is_there)| *is_there)
                .map(|(name, _)| StageTime {
                    name: name.into(),
                    reached: wall,
                    took: wall / 2.0,
                    cpu: Some(CpuSeconds {
                        qemu: qemu / 4.0,
                        harness,
                    }),
                    restored: false,
                })
                .collect(),
        }
    }

    #[test]
    fn ratios_are_of_medians() {
        let cold = |run| Run { cold: true, ..run };
        let runs = [
            cold(made(Kind::Chain, 90.0, 5.0, 200.0)),
            cold(made(Kind::Direct, 80.0, 5.0, 100.0)),
            made(Kind::Chain, 70.0, 4.0, 98.25),
            made(Kind::Direct, 42.0, 1.5, 61.0),
            made(Kind::Chain, 71.0, 4.5, 120.0),
            made(Kind::Direct, 43.0, 1.5, 60.0),
            made(Kind::Chain, 700.0, 4.5, 99.0),
            made(Kind::Direct, 41.0, 2.0, 62.0),
        ];
        insta::assert_snapshot!(table(&runs), @r#"
        chain / direct: 1.74, medians of CPU seconds of QEMU and harness

                          CPU s, QEMU  CPU s, harness  CPU s, both  wall s  with set-up
        Chain, cold              90.0             5.0         95.0   200.0        201.0
        Direct, cold             80.0             5.0         85.0   100.0        101.0
        Chain                    70.0             4.0         74.0    98.2         99.2
        Direct                   42.0             1.5         43.5    61.0         62.0
        Chain                    71.0             4.5         75.5   120.0        121.0
        Direct                   43.0             1.5         44.5    60.0         61.0
        Chain                   700.0             4.5        704.5    99.0        100.0
        Direct                   41.0             2.0         43.0    62.0         63.0
        Chain, median            71.0             4.5         75.5    99.0        100.0
        Direct, median           42.0             1.5         43.5    61.0         62.0
        ratio                    1.69            3.00         1.74    1.62         1.61

        medians             chain, CPU s   direct, CPU s   chain, wall  direct, wall   chain, cold
        iPXE                       22.25                         49.50                      100.00
        Linux                      22.25           12.25         49.50         30.50        100.00
        "#);
    }
}
