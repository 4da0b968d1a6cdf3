//! Seconds of each stage over repetitions of the same run.

use super::Report;
use super::columns::{Column, text};
use super::table::stage_names;

/// What several values of the same have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Summary {
    count: usize,
    least: f64,
    median: f64,
    mean: f64,
    most: f64,
    /// The standard deviation of the sample; none of a single value.
    deviation: Option<f64>,
}

impl Summary {
    /// `None` of no values.
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let count = values.len();
        let upper = *values.get(count / 2)?;
        let median = match count % 2 {
            0 => f64::midpoint(*values.get(count / 2 - 1)?, upper),
            _ => upper,
        };
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        Some(Self {
            count,
            least,
            median,
            mean,
            most,
            deviation: (count > 1).then(|| (squares / (count - 1) as f64).sqrt()),
        })
    }
}

/// For each scenario and board that was run several times, a table of the seconds that each stage took; empty where none was. What another run
/// went through does not count.
#[must_use]
pub fn statistics_table(reports: &[&Report]) -> String {
    let mut kinds: Vec<(&str, &str)> = Vec::new();
    for report in reports {
        let kind = (report.scenario.as_str(), report.board.as_str());
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let mut out = String::new();
    for (scenario, board) in kinds {
        let same = |r: &&&Report| r.scenario == scenario && r.board == board;
        let runs: Vec<&Report> = reports.iter().filter(same).copied().collect();
        if runs.len() > 1 {
            let passed = runs.iter().filter(|r| r.failure.is_none()).count();
            let count = runs.len();
            out += &format!("{scenario} on {board}: {passed} of {count} runs without a failure\n");
            out += &table(&runs);
            out.push('\n');
        }
    }
    out
}

/// A row for each stage, and one for the whole of the runs that did not fail.
fn table(runs: &[&Report]) -> String {
    let stages = stage_names(runs.iter().copied());
    let took = |stage: &str| {
        let own = runs.iter().flat_map(|run| run.own_stages());
        own.filter(|s| s.name == stage).map(|s| s.took).collect()
    };
    let ended = || runs.iter().filter(|r| r.failure.is_none());
    let mut rows: Vec<(&str, Vec<f64>)> = stages.into_iter().map(|s| (s, took(s))).collect();
    rows.push(("whole", ended().map(|r| r.whole().as_secs_f64()).collect()));
    rows.push(("CPU s, QEMU", ended().map(|r| r.qemu_cpu_seconds).collect()));
    let rows: Vec<_> = rows
        .into_iter()
        .filter_map(|(name, values)| Some((name, Summary::of(values)?)))
        .collect();
    let number = |head: &str, value: fn(&Summary) -> f64| {
        Column::new(head, &rows, |(_, s)| format!("{:.2}", value(s)))
    };
    text(&[
        Column::new("seconds", &rows, |(name, _)| (*name).into()).of_words(),
        Column::new("runs", &rows, |(_, s)| s.count.to_string()),
        number("least", |s| s.least),
        number("median", |s| s.median),
        number("mean", |s| s.mean),
        number("most", |s| s.most),
        Column::new("deviation", &rows, |(_, s)| match s.deviation {
            Some(deviation) => format!("{deviation:.2}"),
            None => "-".into(),
        }),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::testing::report;
    use super::super::{Class, Failure, Verdict};
    use super::*;

    #[test]
    fn the_summary_of_values_is_that_of_the_textbook() {
        let summary = Summary::of(vec![4.0, 2.0, 9.0, 5.0]).unwrap();
        let expected = Summary {
            count: 4,
            least: 2.0,
            median: 4.5,
            mean: 5.0,
            most: 9.0,
            // Squares 1 + 9 + 16 + 0 over three.
            deviation: Some((26.0_f64 / 3.0).sqrt()),
        };
        assert_eq!(summary, expected);
        assert_eq!(Summary::of(vec![]), None);
        assert_eq!(Summary::of(vec![1.5]).unwrap().deviation, None);
    }

    #[test]
    fn each_stage_has_a_row_over_all_repetitions() {
        let mut failed = report("alpine-http", &[("U-Boot", 3.0)], Verdict::Failed);
        failed.failure = Some(Failure::new(Class::Board, "silent".into(), &[]));
        let reports = [
            report(
                "alpine-http",
                &[("U-Boot", 1.0), ("Linux", 10.0)],
                Verdict::Passed,
            ),
            failed,
            report(
                "alpine-http",
                &[("U-Boot", 2.0), ("Linux", 14.0)],
                Verdict::Passed,
            ),
            report("once", &[("U-Boot", 2.0)], Verdict::Passed),
        ];
        let reports: Vec<_> = reports.iter().collect();
        insta::assert_snapshot!(statistics_table(&reports), @r"
        alpine-http on raspi3b: 2 of 3 runs without a failure
        seconds      runs  least  median   mean   most  deviation
        U-Boot          3   1.00    2.00   2.00   3.00       1.00
        Linux           2  10.00   12.00  12.00  14.00       2.83
        whole           2  11.00   13.50  13.50  16.00       3.54
        CPU s, QEMU     2  70.25   70.25  70.25  70.25       0.00
        ");
    }
}
