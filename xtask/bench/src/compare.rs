//! `cargo xtask bench compare A B`: what has become of the figures between two invocations.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use shakedown_common::out;

use super::figures::{Better, Figure, Measured};

/// Arguments of `bench compare`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// What `bench … --json` has written before.
    before: PathBuf,
    /// And what it has written after.
    after: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<()> {
    let (before, after) = (Measured::read(&args.before)?, Measured::read(&args.after)?);
    ensure!(
        before.bench == after.bench && before.subject == after.subject,
        "{} is of `bench {}`, {}, and {} of `bench {}`, {}: there is nothing to compare",
        args.before.display(),
        before.bench,
        before.subject,
        args.after.display(),
        after.bench,
        after.subject,
    );
    out!("{}", table(&before, &after));
    Ok(())
}

/// A row for each figure that both have; then the hosts, since seconds of different hosts tell little and ratios much.
fn table(before: &Measured, after: &Measured) -> String {
    let mut out = format!(
        "{:34}  {:6}  {:>8}  {:>8}  {:>14}\n",
        before.bench, "", "before", "after", "after / before"
    );
    for figure in &before.figures {
        let same = |f: &&Figure| f.name == figure.name && f.unit == figure.unit;
        let Some(then) = after.figures.iter().find(same) else {
            continue;
        };
        let cell = |value: Option<f64>| value.map_or("?".into(), number);
        let change = figure.value.zip(then.value).map(|(a, b)| b / a);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:34}  {:6}  {:>8}  {:>8}  {:>14}{}",
            figure.name,
            figure.unit,
            cell(figure.value),
            cell(then.value),
            cell(change.filter(|change| change.is_finite())),
            change.map_or("", |change| judged(change, figure.better)),
        );
    }
    let _ = writeln!(out, "before, {}\nafter,  {}", before.host, after.host);
    out
}

/// A value with two digits after the point; small ones, such as a ratio of 0.0012, need more.
fn number(value: f64) -> String {
    let is_small = value != 0.0 && value.abs() < 0.1;
    let digits = if is_small { 4 } else { 2 };
    format!("{value:.digits$}")
}

/// What a change means, if it is more than these machines vary by themselves.
fn judged(change: f64, better: Better) -> &'static str {
    const NOISE: f64 = 0.1;
    match (change, better) {
        (c, Better::Less) if c > 1.0 + NOISE => "  worse",
        (c, Better::More) if c < 1.0 - NOISE => "  worse",
        (c, Better::Less) if c < 1.0 - NOISE => "  better",
        (c, Better::More) if c > 1.0 + NOISE => "  better",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::host::Conditions;

    #[test]
    fn changes_are_judged_by_what_is_good() {
        let measured = |figures| Measured {
            bench: "net".into(),
            subject: "64MiB on raspi3b".into(),
            figures,
            host: Conditions::default(),
            details: Value::Null,
        };
        let before = measured(vec![
            Figure::new("LAN9514 / usb-net, download", "", 40.0, Better::More),
            Figure::new("iPXE, download", "MB/s", 10.0, Better::More),
            Figure::new("chain", "CPU s", 20.0, Better::Less),
            Figure::new("firmware", "CPU s", 0.0, Better::Less),
            Figure::new("gone", "CPU s", 1.0, Better::Less),
        ]);
        let after = measured(vec![
            Figure::new("LAN9514 / usb-net, download", "", 38.0, Better::More),
            Figure::new("iPXE, download", "MB/s", 8.0, Better::More),
            Figure::new("chain", "CPU s", 15.0, Better::Less),
            Figure::new("firmware", "CPU s", 0.0, Better::Less),
        ]);
        insta::assert_snapshot!(table(&before, &after), @r"
        net                                           before     after  after / before
        LAN9514 / usb-net, download                    40.00     38.00            0.95
        iPXE, download                      MB/s       10.00      8.00            0.80  worse
        chain                               CPU s      20.00     15.00            0.75  better
        firmware                            CPU s       0.00      0.00               ?
        before, host: 0 cores, 0.0 times slower than the reference host; neighbours took 0.0 s of CPU time, 0 % of all
        after,  host: 0 cores, 0.0 times slower than the reference host; neighbours took 0.0 s of CPU time, 0 % of all
        ");
    }
}
