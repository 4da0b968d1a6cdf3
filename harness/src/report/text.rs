//! The report for a terminal.

use std::fmt::Write;

use super::{Ending, Failure, Report, Verdict};

/// A table of stages (rows) and runs (columns): seconds that each stage took, and the sums.
#[must_use]
pub fn summary_table(reports: &[Report]) -> String {
    let names = stage_names(reports);
    let first = names
        .iter()
        .map(|n| n.len())
        .max()
        .unwrap_or(0)
        .max("CPU s, QEMU".len());
    let columns: Vec<_> = reports
        .iter()
        .map(|r| format!("{} on {}", r.scenario, r.board))
        .collect();
    let row = |label: &str, cell: &dyn Fn(&Report) -> String| {
        let mut line = format!("{label:first$}");
        for (report, column) in reports.iter().zip(&columns) {
            let _ = write!(line, "  {:>width$}", cell(report), width = column.len());
        }
        line + "\n"
    };
    let mut out = format!("{:first$}", "");
    for column in &columns {
        let _ = write!(out, "  {column}");
    }
    out.push('\n');
    for name in names {
        out += &row(name, &|r| {
            let stage = r.stages.iter().find(|s| s.name == name);
            stage.map_or_else(|| "-".into(), |s| format!("{:.1}", s.took))
        });
    }
    out += &row("whole, s", &|r| format!("{:.1}", r.whole().as_secs_f64()));
    out += &row("CPU s, QEMU", &|r| format!("{:.1}", r.qemu_cpu_seconds));
    out += &row("verdict", &|r| verdict(r).into());
    out
}

/// The stages of all runs in the order of the chain: one that a run does not have stands where another run has it.
fn stage_names(reports: &[Report]) -> Vec<&str> {
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

fn verdict(report: &Report) -> &'static str {
    let refused = report.ending.as_ref().map(|e| e.refused_before.is_some());
    match (report.verdict, refused) {
        (Verdict::Passed, Some(true)) => "passed: refused",
        (Verdict::Passed, _) => "passed",
        (Verdict::Failed, _) => "FAILED",
        (Verdict::CouldNotRun, _) => "COULD NOT RUN",
    }
}

/// The verdict in a sentence.
#[must_use]
pub fn verdict_sentence(report: &Report) -> String {
    let cause = || {
        report
            .failure
            .as_ref()
            .map_or("no reason given", |failure| failure.cause.as_str())
    };
    if let (Verdict::Passed, Some(ending)) = (report.verdict, &report.ending) {
        return match &ending.refused_before {
            Some(stage) => format!("passed: refused before \"{stage}\", as expected"),
            None => "passed: ended where it was to".into(),
        };
    }
    match report.verdict {
        Verdict::Passed => {
            let system = report
                .container_system
                .as_deref()
                .unwrap_or("the container");
            let stand_in = if report.stand_in {
                " (a stand-in, not Alpine)"
            } else {
                ""
            };
            let version = report.container_version.as_ref();
            let version = version.map(|v| format!(", VERSION_ID={v},"));
            let nonce = report.nonce.as_deref().unwrap_or_default();
            format!(
                "passed: {system}{stand_in}{} said its nonce {nonce}",
                version.unwrap_or_default()
            )
        }
        Verdict::Failed => format!("failed: {}", cause()),
        Verdict::CouldNotRun => format!("could not run: {}", cause()),
    }
}

/// The end of a run that ended before its chain, as it was to: where, and what shows why.
#[must_use]
pub fn ending_text(report: &Report, ending: &Ending) -> String {
    let end = match (&ending.refused_before, report.stages.last()) {
        (Some(stage), _) => format!("refused before \"{stage}\", as expected"),
        (None, Some(stage)) => format!("ended at \"{}\", as it was to", stage.name),
        (None, None) => "ended before its first stage".into(),
    };
    let mut out = format!("{} on {}: {end}\n", report.scenario, report.board);
    for proof in &ending.proofs {
        let _ = writeln!(out, "    {proof}");
    }
    out
}

/// A failure as people read it: what, where, last signs of life, how to see it again.
#[must_use]
pub fn failure_text(report: &Report, failure: &Failure) -> String {
    let mut out = format!(
        "{} on {}: {}\n",
        report.scenario, report.board, failure.cause
    );
    let mut field = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name:13} {value}");
    };
    field("class", failure.class.name());
    field(
        "reached",
        failure.stage_reached.as_deref().unwrap_or("no stage"),
    );
    if let Some(awaited) = &failure.awaited {
        field(
            "awaited",
            &format!("{awaited}, for {:.1} s", failure.waited),
        );
    }
    field(
        "last request",
        failure.last_request.as_deref().unwrap_or("none"),
    );
    field(
        "last network",
        failure.last_network.as_deref().unwrap_or("none"),
    );
    field("again", &report.reproduce);
    out += "  last serial lines:\n";
    for line in &failure.last_serial {
        let _ = writeln!(out, "    {line}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::Class;
    use super::super::testing::report;
    use super::*;
    use crate::timeline::{Event, Timeline};

    #[test]
    fn the_table_has_a_row_per_stage_and_a_column_per_run() {
        let reports = [
            report(
                "alpine-http",
                &[("U-Boot", 0.9), ("kernel", 5.0)],
                Verdict::Failed,
            ),
            report(
                "alpine-https",
                &[("U-Boot", 0.8), ("TLS", 1.25), ("kernel", 6.0)],
                Verdict::Passed,
            ),
        ];
        insta::assert_snapshot!(summary_table(&reports), @r"
                     alpine-http on raspi3b  alpine-https on raspi3b
        U-Boot                          0.9                      0.8
        TLS                               -                      1.2
        kernel                          5.0                      6.0
        whole, s                        5.9                      8.1
        CPU s, QEMU                    70.2                     70.2
        verdict                      FAILED                   passed
        ");
    }

    #[test]
    fn an_expected_refusal_says_where_and_why() {
        let mut report = report("mtls", &[("U-Boot", 0.8), ("DHCP", 4.0)], Verdict::Passed);
        let ending = Ending {
            refused_before: Some("TLS".into()),
            proofs: vec!["[    6.10] TLS handshake with the boot server failed: Expired".into()],
        };
        insta::assert_snapshot!(ending_text(&report, &ending), @r#"
        mtls on raspi3b: refused before "TLS", as expected
            [    6.10] TLS handshake with the boot server failed: Expired
        "#);
        report.ending = Some(ending);
        let table = summary_table(&[report]);
        assert!(table.contains("passed: refused"), "{table}");
    }

    #[test]
    fn a_failure_says_where_and_how_to_see_it_again() {
        let timeline = Timeline::start();
        timeline.emit(Event::Serial {
            uart: 1,
            line: "Net:   eth0".into(),
        });
        let mut records = timeline.snapshot();
        records[0].at = std::time::Duration::from_millis(1500);
        let mut failure = Failure::new(Class::Board, "stage iPXE was not reached".into(), &records);
        failure.awaited = Some("iPXE (a UART says /iPXE/)".into());
        failure.waited = 60.0;
        let report = report("alpine-https", &[], Verdict::Failed);
        insta::assert_snapshot!(failure_text(&report, &failure), @r"
        alpine-https on raspi3b: stage iPXE was not reached
          class         board
          reached       no stage
          awaited       iPXE (a UART says /iPXE/), for 60.0 s
          last request  none
          last network  none
          again         cargo xtask e2e alpine-https
          last serial lines:
            [    1.50] uart1: Net:   eth0
        ");
    }
}
