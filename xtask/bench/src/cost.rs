//! What a piece of work costs this process, and how that compares with a yardstick.
//!
//! Source: clock_gettime(2), `CLOCK_PROCESS_CPUTIME_ID`; proc_pid_clear_refs(5), whose 5 lets the peak of resident memory begin anew.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use shakedown_common::outln;
use shakedown_harness::host::peak_memory;

use super::figures::{Better, Figure, Measured, median};
use super::host::Conditions;

/// Arguments of the benchmarks that count costs.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Rounds; each does everything once.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) runs: u32,
    /// The board.
    #[arg(long, default_value = "raspi3b")]
    pub(super) board: String,
    /// Write the figures to this file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What a piece of work has cost once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Cost {
    pub(super) wall_seconds: f64,
    /// Of all threads of this process, not of others that it starts.
    pub(super) cpu_seconds: f64,
    /// The most memory in bytes that was resident beyond what was before.
    pub(super) memory: u64,
}

/// What a kind of work has cost, each time that it was done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Costs {
    pub(super) name: String,
    pub(super) each: Vec<Cost>,
}

impl Args {
    /// Shows what was measured, and writes it down if that is wanted.
    pub(super) fn report(
        &self,
        bench: &str,
        subject: String,
        yardstick: &Costs,
        others: &[Costs],
        host: Conditions,
    ) -> Result<()> {
        outln!("\n{}{host}", table(yardstick, others));
        let Some(path) = &self.json else {
            return Ok(());
        };
        let measured = Measured {
            bench: bench.into(),
            subject,
            figures: figures(yardstick, others),
            host,
            details: serde_json::to_value((yardstick, others))?,
        };
        measured.write(path)
    }
}

impl Cost {
    /// Does the work and says what it costs.
    pub(super) fn of<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Self)> {
        give_memory_back();
        fs::write("/proc/self/clear_refs", "5").context("cannot have peak memory counted anew")?;
        let memory = peak()?;
        let (started, cpu) = (Instant::now(), cpu_seconds());
        let result = work()?;
        let cost = Self {
            wall_seconds: started.elapsed().as_secs_f64(),
            cpu_seconds: cpu_seconds() - cpu,
            memory: peak()?.saturating_sub(memory),
        };
        Ok((result, cost))
    }
}

fn peak() -> Result<u64> {
    peak_memory(std::process::id()).context("cannot tell this process' memory")
}

/// Returns to the system what the work before has freed: memory that is still there would be used again and not be seen.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number and touches only memory that nobody uses.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// CPU time that this process has used.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A figure of a piece of work.
type Column = fn(&Cost) -> f64;

/// What is compared: unit, and how much of it.
const COLUMNS: [(&str, Column); 3] = [
    ("wall s", |cost| cost.wall_seconds),
    ("CPU s", |cost| cost.cpu_seconds),
    ("MB", |cost| cost.memory as f64 / 1e6),
];
/// Those of them that are worth a ratio: a yardstick may need no memory at all.
const RATIOS: &[(&str, Column)] = COLUMNS.split_at(2).0;

impl Costs {
    /// Nothing done yet.
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            each: Vec::new(),
        }
    }

    fn median(&self, column: Column) -> f64 {
        median(self.each.iter().map(column))
    }

    fn ratio(&self, yardstick: &Self, column: Column) -> f64 {
        self.median(column) / yardstick.median(column)
    }
}

/// The figures that count: ratios to the yardstick first, medians then.
fn figures(yardstick: &Costs, others: &[Costs]) -> Vec<Figure> {
    let ratios = others.iter().flat_map(|costs| {
        RATIOS.iter().map(|(unit, column)| {
            let name = format!("{} / {}, {unit}", costs.name, yardstick.name);
            (name, "", costs.ratio(yardstick, *column))
        })
    });
    let medians = std::iter::once(yardstick).chain(others).flat_map(|costs| {
        let of = |(unit, column)| (costs.name.clone(), unit, costs.median(column));
        COLUMNS.map(of)
    });
    ratios
        .chain(medians)
        .map(|(name, unit, value)| Figure::new(name, unit, value, Better::Less))
        .collect()
}

/// What stands above the names.
const HEADING: &str = "medians";

/// The figures as people read them: a row for each kind of work.
fn table(yardstick: &Costs, others: &[Costs]) -> String {
    let [wall_per, cpu_per] = ["wall", "CPU"].map(|what| format!("{what} / {}", yardstick.name));
    let names = others.iter().chain([yardstick]).map(|costs| &*costs.name);
    let width = names.chain([HEADING]).map(str::len).max();
    let width = width.unwrap_or_default();
    let mut out = format!(
        "{:width$}  {wall_per:>12}  {cpu_per:>12}  {:>8}  {:>8}  {:>6}  each, wall s\n",
        HEADING, "wall s", "CPU s", "MB"
    );
    // Writing to a string cannot fail.
    for costs in others.iter().chain([yardstick]) {
        let _ = write!(out, "{:width$}", costs.name);
        for (_, column) in RATIOS {
            let ratio = costs.ratio(yardstick, *column);
            let _ = write!(out, "  {ratio:12.4}");
        }
        let [(_, wall), (_, cpu), (_, memory)] = COLUMNS;
        let each: Vec<_> = costs
            .each
            .iter()
            .map(|cost| format!("{:.3}", wall(cost)))
            .collect();
        let _ = writeln!(
            out,
            "  {:8.3}  {:8.3}  {:6.1}  {}",
            costs.median(wall),
            costs.median(cpu),
            costs.median(memory),
            each.join(" ")
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(name: &str, walls: [f64; 3], cpu_seconds: f64, memory: u64) -> Costs {
        Costs {
            name: name.into(),
            each: walls
                .map(|wall_seconds| Cost {
                    wall_seconds,
                    cpu_seconds,
                    memory,
                })
                .to_vec(),
        }
    }

    #[test]
    fn work_costs_time_and_memory() {
        const SIZE: usize = 64 << 20;
        let touch = || {
            let started = Instant::now();
            let mut sum = 0;
            // CPU time counts in coarse steps on some hosts.
            while started.elapsed().as_millis() < 50 {
                sum = std::hint::black_box(vec![1_u8; SIZE]).len();
            }
            Ok(sum)
        };
        let (sum, cost) = Cost::of(touch).unwrap();
        assert_eq!(sum, SIZE);
        assert!(
            cost.wall_seconds >= 0.05 && cost.cpu_seconds > 0.0,
            "{cost:?}"
        );
        // Tests beside this one take and give memory meanwhile, but not that much.
        assert!(cost.memory > SIZE as u64 / 2, "{cost:?}");
        assert!(Cost::of(|| anyhow::bail!("no") as Result<()>).is_err());
    }

    #[test]
    fn ratios_are_of_medians_and_come_first() {
        let copy = costs("copy", [2.0, 9.0, 1.0], 0.5, 0);
        let build = costs("build", [0.2, 0.1, 0.4], 0.25, 3_000_000);
        insta::assert_snapshot!(table(&copy, std::slice::from_ref(&build)), @r"
        medians   wall / copy    CPU / copy    wall s     CPU s      MB  each, wall s
        build          0.1000        0.5000     0.200     0.250     3.0  0.200 0.100 0.400
        copy           1.0000        1.0000     2.000     0.500     0.0  2.000 9.000 1.000
        ");
        let figures = figures(&copy, &[build]);
        let figure = |n: usize| (&*figures[n].name, &*figures[n].unit, figures[n].value);
        assert_eq!(figure(0), ("build / copy, wall s", "", Some(0.1)));
        assert_eq!(figure(1), ("build / copy, CPU s", "", Some(0.5)));
        assert_eq!(figure(2), ("copy", "wall s", Some(2.0)));
        assert_eq!(figure(7), ("build", "MB", Some(3.0)));
        assert_eq!(figures.len(), 8);
    }
}
