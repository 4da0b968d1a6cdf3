//! `cargo xtask fuzz`: inputs that nobody thought of, for the parsers of foreign bytes.
//!
//! The targets are programs of their own workspace, `harness/fuzz`, built with the compiler's coverage counters, which the stable toolchain
//! has. libFuzzer comes with the crate `libfuzzer-sys` and wants a C++ compiler. Only for a clone of Shakedown.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};
use shakedown_common::{errln, outln};
use shakedown_harness::untrusted;

use crate::globals::Globals;

/// What cargo-fuzz gives to the compiler, without a sanitizer, which only the nightly toolchain has.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks";
/// Seconds for one input.
const SLOWEST: u32 = 25;
/// MiB that a target may take.
const MEMORY: u32 = 2048;

/// Arguments of `fuzz`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The targets; by default all.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    seconds: u32,
    /// List the targets.
    #[arg(long)]
    list: bool,
}

/// What came of a target.
struct Outcome {
    runs: Option<u64>,
    /// Edges of the program that were reached.
    coverage: Option<u64>,
    is_finding: bool,
}

/// Runs the command; the exit status is 1 when there is a finding.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let folder = globals.project()?.root().join("harness/fuzz");
    ensure!(
        folder.join("Cargo.toml").is_file(),
        "there are no fuzz targets in {}: this is for a clone of Shakedown",
        folder.display()
    );
    let all = targets(&folder)?;
    if args.list {
        outln!("{}", all.join("\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = chosen(&all, &args.targets)?;
    let programs = build(&folder)?;
    outln!("{:16} {:>12} {:>9}", "target", "runs", "coverage");
    let mut findings = 0;
    for target in chosen {
        let outcome = fuzz(&folder, &programs, target, args.seconds)?;
        let shown = |number: Option<u64>| number.map_or("?".into(), |n| n.to_string());
        let finding = match outcome.is_finding {
            true => format!("  a finding: harness/fuzz/artifacts/{target}"),
            false => String::new(),
        };
        outln!(
            "{target:16} {:>12} {:>9}{finding}",
            shown(outcome.runs),
            shown(outcome.coverage)
        );
        findings += usize::from(outcome.is_finding);
    }
    Ok(match findings {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The names of all targets.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let sources = folder.join("fuzz_targets");
    let entries = fs::read_dir(&sources);
    let entries = entries.with_context(|| format!("cannot read {}", sources.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        names.extend(stem.filter(|_| path.extension().is_some_and(|end| end == "rs")));
    }
    names.sort();
    Ok(names)
}

/// The targets that are asked for, each of which must be there.
fn chosen<'t>(all: &'t [String], asked: &[String]) -> Result<Vec<&'t str>> {
    if asked.is_empty() {
        return Ok(all.iter().map(String::as_str).collect());
    }
    let found = asked
        .iter()
        .map(|name| match all.iter().find(|one| *one == name) {
            Some(one) => Ok(one.as_str()),
            None => bail!(
                "there is no target {}, only: {}",
                untrusted(name),
                all.join(", ")
            ),
        });
    found.collect()
}

/// Builds all targets, and gives the folder that they are in. The counters go into the targets alone, and not into what builds them, since
/// the triple is named.
fn build(folder: &Path) -> Result<PathBuf> {
    let version = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let triple = version.lines().find_map(|line| line.strip_prefix("host: "));
    let triple = triple.context("rustc -vV names no host")?;
    let status = Command::new("cargo")
        .args([
            "build",
            "--release",
            "--bins",
            "--target",
            triple,
            "--manifest-path",
        ])
        .arg(folder.join("Cargo.toml"))
        .env("RUSTFLAGS", FLAGS)
        .env_remove("CARGO_TARGET_DIR")
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the targets do not build");
    Ok(folder.join("target").join(triple).join("release"))
}

/// Runs one target for so many seconds, from its seeds and from what earlier runs have found.
fn fuzz(folder: &Path, programs: &Path, target: &str, seconds: u32) -> Result<Outcome> {
    let [corpus, seeds, artifacts] =
        ["corpus", "seeds", "artifacts"].map(|name| folder.join(name).join(target));
    for folder in [&corpus, &seeds, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let program = programs.join(target);
    let output = Command::new(&program)
        .arg(&corpus)
        .arg(&seeds)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={SLOWEST}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg("-print_final_stats=1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let outcome = Outcome {
        is_finding: !output.status.success(),
        ..outcome(&said)
    };
    if outcome.is_finding {
        let panic = said.lines().find(|line| line.contains("panicked at"));
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        errln!(
            "{target}: {}",
            untrusted(panic.or(last).unwrap_or_default())
        );
    }
    Ok(outcome)
}

/// The numbers in what libFuzzer says.
fn outcome(said: &str) -> Outcome {
    let after = |line: &str, mark: &str| {
        let (_, rest) = line.split_once(mark)?;
        rest.split_whitespace().next()?.parse().ok()
    };
    let last = |mark: &str| said.lines().rev().find_map(|line| after(line, mark));
    Outcome {
        runs: last("stat::number_of_executed_units:"),
        coverage: last(" cov:"),
        is_finding: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_says_is_read() {
        let said = "INFO: seed corpus: files: 4\n#5\tINITED cov: 120 ft: 130 corp: 4/1Kb\n#900\tNEW    cov: 345 ft: 400 corp: 9/2Kb lim: 4\n\
                    Done 1000 runs in 2 second(s)\nstat::number_of_executed_units: 1000\nstat::peak_rss_mb: 50\n";
        let outcome = outcome(said);
        assert_eq!((outcome.runs, outcome.coverage), (Some(1000), Some(345)));
        let nothing = super::outcome("Segmentation fault");
        assert_eq!((nothing.runs, nothing.coverage), (None, None));
    }

    /// Every target is declared, has seeds, stands in the page on fuzzing, and is one that can be asked for by its name.
    #[test]
    fn every_target_is_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../harness/fuzz");
        let all = targets(&folder).unwrap();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let page = fs::read_to_string(folder.join("README.md")).unwrap();
        for target in &all {
            assert!(
                manifest.contains(&format!("name = \"{target}\"")),
                "{target}"
            );
            assert!(page.contains(&format!("| `{target}` |")), "{target}");
            let seeds = fs::read_dir(folder.join("seeds").join(target)).unwrap();
            assert!(seeds.count() > 0, "{target} has no seed");
        }
        assert_eq!(chosen(&all, &["fat".into()]).unwrap(), ["fat"]);
        let error = chosen(&all, &["fta".into()]).unwrap_err().to_string();
        assert!(
            error.starts_with("there is no target fta, only: "),
            "{error}"
        );
    }
}
