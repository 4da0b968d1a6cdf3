//! The table of runs at the end of a command.

use super::columns::{Column, GAP, text, wide};
use super::{Attempts, Boot, Report, Standing, Verdict};

/// So many runs stand beside each other, with a row for each stage; more of them have a row each.
const SIDE_BY_SIDE: usize = 2;

/// Seconds that each stage of each run took, for a terminal that is `width` wide.
///
/// A few runs are shown side by side. More have a row each, with the stages that took longest as columns, as many as there is room for,
/// and the rest as one.
#[must_use]
pub fn summary_table(runs: &[Attempts], width: usize) -> String {
    let by_stage = by_stage(runs);
    if runs.len() <= SIDE_BY_SIDE && wide(&by_stage) <= width {
        return text(&by_stage) + legend(runs);
    }
    text(&by_run(runs, width)) + &by_boot(runs) + legend(runs) + "\n" + &counts(runs)
}

/// A row for each stage, a column for each run.
fn by_stage(runs: &[Attempts]) -> Vec<Column> {
    let stages = stage_names(runs.iter().map(|run| &run.last));
    let last = ["whole, s", "CPU s, QEMU", "verdict"];
    let labels = stages.iter().copied().chain(last).map(ToOwned::to_owned);
    let labels: Vec<String> = labels.chain(boot_names(runs)).collect();
    let mut columns = vec![Column::new("", &labels, Clone::clone).of_words()];
    columns.extend(runs.iter().map(|run| {
        let report = &run.last;
        let mut column = Column::new(
            format!("{} on {}", run.name(), report.board),
            &stages,
            |stage| took(report, stage),
        );
        let cpu = format!("{:.1}", report.qemu_cpu_seconds);
        column.cells.extend([whole(report), cpu, verdict(run)]);
        column.cells.extend(boot_names(runs).iter().map(|name| {
            let boot = report.boots.iter().find(|boot| boot.name() == *name);
            boot.map_or("-".into(), boot_verdict)
        }));
        column
    }));
    columns
}

/// A row for each run, a column for each of the stages that took longest.
fn by_run(runs: &[Attempts], width: usize) -> Vec<Column> {
    let mut boards: Vec<_> = runs.iter().map(|r| &r.last.board).collect();
    boards.dedup();
    let name = Column::new("", runs, |run| match boards.len() {
        0..=1 => run.name(),
        _ => format!("{} on {}", run.name(), run.last.board),
    });
    let reports: Vec<_> = runs.iter().map(|run| &run.last).collect();
    let reports = reports.as_slice();
    let stages = stage_names(reports.iter().copied());
    let mut stages: Vec<_> = stages.into_iter().enumerate().collect();
    // No rest is longer than the whole.
    let rest = Column::new("rest", reports, |r| whole(r));
    let mut columns = vec![
        name.of_words(),
        rest,
        Column::new("whole, s", reports, |r| whole(r)),
        Column::new("verdict", runs, verdict).of_words(),
    ];
    let longest = |stage: &str| {
        let own = reports.iter().flat_map(|r| r.own_stages());
        let times = own.filter(|s| s.name == stage).map(|s| s.took);
        times.fold(0.0, f64::max)
    };
    stages.sort_by(|(_, a), (_, b)| longest(b).total_cmp(&longest(a)));
    let count = stages.len();
    let mut room = width.saturating_sub(wide(&columns));
    let mut shown = Vec::new();
    for (place, stage) in stages {
        let column = Column::new(short(stage), reports, |r| took(r, stage));
        let Some(left) = room.checked_sub(column.width() + GAP.len()) else {
            break;
        };
        room = left;
        shown.push((place, stage, column));
    }
    // In the order of the chain again.
    shown.sort_by_key(|(place, ..)| *place);
    let is_hidden = |name: &str| !shown.iter().any(|(_, stage, _)| *stage == name);
    let rest = |report: &&Report| {
        let hidden = report.own_stages().filter(|s| is_hidden(&s.name));
        format!("{:.1}", hidden.fold(0.0, |sum, s| sum + s.took))
    };
    let rest = (shown.len() < count).then(|| Column::new("rest", reports, rest));
    let shown = shown.into_iter().map(|(.., column)| column);
    columns.splice(1..2, shown.chain(rest));
    columns
}

/// The boots of runs that have several, a row each.
fn by_boot(runs: &[Attempts]) -> String {
    let boots = runs.iter().flat_map(|run| {
        let name = move |boot| (format!("{} on {}", run.name(), run.last.board), boot);
        run.last.boots.iter().map(name)
    });
    let boots: Vec<(String, &Boot)> = boots.collect();
    if boots.is_empty() {
        return String::new();
    }
    let columns = [
        Column::new("", &boots, |(run, boot)| format!("{run}, {}", boot.name())).of_words(),
        Column::new("stages", &boots, |(_, boot)| boot.reached.to_string()),
        Column::new("verdict", &boots, |(_, boot)| boot_verdict(boot)).of_words(),
    ];
    format!("\n{}", text(&columns))
}

/// Names of the boots of all runs, in order and none twice.
fn boot_names(runs: &[Attempts]) -> Vec<String> {
    let mut names = Vec::new();
    for name in runs.iter().flat_map(|run| &run.last.boots).map(Boot::name) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// For example `passed to "Linux" in 12.3 s`.
fn boot_verdict(boot: &Boot) -> String {
    let verdict = match boot.verdict {
        Verdict::Failed => "FAILED",
        other => other.name(),
    };
    format!("{verdict} {}", boot.text())
}

/// The stages of all runs in the order of the chain: one that a run does not have stands where another run has it.
pub(super) fn stage_names<'a>(reports: impl Iterator<Item = &'a Report>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for report in reports {
        let mut place = 0;
        for stage in &report.stages {
            match names.iter().position(|n| *n == stage.name) {
                Some(index) => place = index + 1,
                None => {
                    names.insert(place, &stage.name);
                    place += 1;
                }
            }
        }
    }
    names
}

/// The first word of a stage's name, with the number of its boot if it is a later one: `2: U-Boot`.
fn short(stage: &str) -> String {
    let later = stage.strip_prefix("boot ");
    let (boot, name) = match later.and_then(|later| later.split_once(": ")) {
        Some((number, name)) => (format!("{number}: "), name),
        None => (String::new(), stage),
    };
    boot + name.split(' ').next().unwrap_or(name)
}

fn took(report: &Report, name: &str) -> String {
    match report.stages.iter().find(|s| s.name == name) {
        Some(stage) if stage.restored => format!("({:.1})", stage.took),
        Some(stage) => format!("{:.1}", stage.took),
        None => "-".into(),
    }
}

/// What parentheses mean, if there are any.
fn legend(runs: &[Attempts]) -> &'static str {
    if runs.iter().any(|r| r.last.last_restored().is_some()) {
        "\n(…) was gone through by another run, whose checkpoint this one went on from\n"
    } else {
        ""
    }
}

fn whole(report: &Report) -> String {
    format!("{:.1}", report.whole().as_secs_f64())
}

fn verdict(run: &Attempts) -> String {
    let report = &run.last;
    let refused = report.ending.as_ref().map(|e| e.refused_before.is_some());
    let awaited = report.missed().first();
    let verdict = match (run.standing(), refused, awaited) {
        (Standing::Passed, Some(true), _) => "passed: refused".into(),
        (Standing::Failed, _, Some(stage)) if report.verdict == Verdict::Failed => {
            format!("FAILED before {stage}")
        }
        (standing @ (Standing::Failed | Standing::CouldNotRun), ..) => {
            standing.name().to_uppercase()
        }
        (standing, ..) => standing.name().into(),
    };
    match run.note() {
        None => verdict,
        Some(note) => format!("{verdict}: {note}"),
    }
}

/// For example `20 runs: 18 passed, 2 failed`.
fn counts(runs: &[Attempts]) -> String {
    let kinds = [
        Standing::Passed,
        Standing::Flaky,
        Standing::KnownFailure,
        Standing::Failed,
        Standing::CouldNotRun,
    ];
    let counted = kinds.map(|standing| {
        let n = runs.iter().filter(|r| r.standing() == standing).count();
        (n > 0).then(|| format!("{n} {}", standing.name()))
    });
    let counted: Vec<_> = counted.into_iter().flatten().collect();
    format!("{} runs: {}\n", runs.len(), counted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::Ending;
    use super::super::testing::report;
    use super::*;

    fn once(report: Report) -> Attempts {
        Attempts::once(report, "folder".into())
    }

    fn two() -> [Attempts; 2] {
        let mut failed = report(
            "alpine-http",
            &[("U-Boot", 0.9), ("kernel fetched", 5.0)],
            Verdict::Failed,
        );
        failed.chain = ["U-Boot", "kernel fetched", "Linux"].map(Into::into).into();
        let stages = [("U-Boot", 0.8), ("TLS", 1.25), ("kernel fetched", 6.0)];
        let passed = report("alpine-https", &stages, Verdict::Passed);
        [failed, passed].map(once)
    }

    #[test]
    fn two_runs_stand_side_by_side() {
        insta::assert_snapshot!(summary_table(&two(), 100));
    }

    #[test]
    fn what_a_boot_leaves_out_that_a_step_ends_is_not_missed() {
        let stages = [
            ("U-Boot", 1.0),
            ("boot 2: U-Boot", 1.0),
            ("boot 2: Linux", 1.0),
        ];
        let mut failed = report("power-cycle", &stages, Verdict::Failed);
        let chain = ["U-Boot", "Linux", "boot 2: U-Boot", "boot 2: Linux"];
        failed.chain = chain.map(Into::into).into();
        assert!(failed.missed().is_empty());
        assert_eq!(verdict(&once(failed.clone())), "FAILED");
        failed.stages.pop();
        assert_eq!(verdict(&once(failed)), "FAILED before boot 2: Linux");
    }

    #[test]
    fn what_a_run_has_not_gone_through_itself_is_marked() {
        let stages = [("Linux", 10.0), ("/init", 1.0), ("network", 2.5)];
        let mut report = report("mirror", &stages, Verdict::Passed);
        for stage in &mut report.stages[..2] {
            stage.restored = true;
        }
        insta::assert_snapshot!(summary_table(&[once(report)], 100), @r"
                     mirror on raspi3b
        Linux                   (10.0)
        /init                    (1.0)
        network                    2.5
        whole, s                   2.5
        CPU s, QEMU               70.2
        verdict                 passed

        (…) was gone through by another run, whose checkpoint this one went on from
        ");
    }

    #[test]
    fn many_runs_have_a_row_each_and_fit() {
        let mut refused = report(
            "mtls-refused-client-expired",
            &[("U-Boot", 0.7)],
            Verdict::Passed,
        );
        refused.ending = Some(Ending {
            refused_before: Some("TLS".into()),
            proofs: vec![],
        });
        let mut flaky = once(report("alpine-http", &[("U-Boot", 0.5)], Verdict::Passed));
        flaky.last.turn.repetition = 2;
        let failed = report("alpine-http", &[], Verdict::Failed);
        flaky.earlier.push((failed, "folder".into()));
        let runs: Vec<_> = two().into_iter().chain([once(refused), flaky]).collect();
        let tables = [100, 76, 20].map(|width| summary_table(&runs, width));
        let widest = tables[1].lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(76), "{widest:?}");
        insta::assert_snapshot!(tables.join("\n"));
    }

    #[test]
    fn each_boot_has_a_row() {
        let boot = |number, verdict, last: Option<&str>| Boot {
            board: None,
            number,
            verdict,
            reached: usize::from(last.is_some()),
            last_stage: last.map(Into::into),
            took: 3.5,
        };
        let stages = [("U-Boot", 0.9), ("boot 2: U-Boot", 5.0)];
        let mut report = report("power-cycle", &stages, Verdict::Failed);
        report.boots = vec![
            boot(1, Verdict::Passed, Some("U-Boot")),
            boot(2, Verdict::Failed, None),
        ];
        let run = once(report);
        let narrow = [run.clone(), run.clone(), run.clone()];
        let tables = [summary_table(&[run], 100), summary_table(&narrow, 100)];
        insta::assert_snapshot!(tables.join("\n"));
    }
}
