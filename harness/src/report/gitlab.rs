//! What GitLab shows of runs in a job's log: a section for each, folded if the run passed.
//!
//! Source: GitLab's documentation, "CI/CD job logs", "Custom collapsible sections".

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use super::{Attempts, Standing, ending_text, failure_text, verdict_sentence};

/// The section of a run; `number` tells it from the others of the log.
#[must_use]
pub fn section(run: &Attempts, number: usize) -> String {
    let report = &run.last;
    let begun = humantime::parse_rfc3339(&report.started).unwrap_or(SystemTime::UNIX_EPOCH);
    let seconds = |moment: SystemTime| {
        let since = moment.duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or(Duration::ZERO).as_secs()
    };
    let (start, end) = (seconds(begun), seconds(begun + report.whole()));
    let folded = match run.standing() {
        Standing::Passed => "[collapsed=true]",
        _ => "",
    };
    let name = format!("shakedown_{number}");
    let mut out = format!(
        "\u{1b}[0Ksection_start:{start}:{name}{folded}\r\u{1b}[0K{}: {} on {}: {}\n",
        run.standing().name(),
        run.name(),
        report.board,
        one_line(&verdict_sentence(report)),
    );
    for stage in report.own_stages() {
        let _ = writeln!(out, "  {:8.1} s  {}", stage.reached, stage.name);
    }
    for boot in &report.boots {
        let _ = writeln!(
            out,
            "  {}: {} {}",
            boot.name(),
            boot.verdict.name(),
            boot.text()
        );
    }
    if let Some(failure) = &report.failure {
        out += &failure_text(report, failure);
    }
    if let Some(ending) = &report.ending {
        out += &ending_text(report, ending);
    }
    let _ = writeln!(out, "\u{1b}[0Ksection_end:{end}:{name}\r\u{1b}[0K");
    out
}

/// A section's head is one line, and what a board said must not end it.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::super::testing::report;
    use super::super::{Class, Failure, Verdict};
    use super::*;

    #[test]
    fn a_run_that_passed_is_folded_and_a_failed_one_is_not() {
        let mut passed = report("alpine-http", &[("iPXE", 2.0)], Verdict::Passed);
        passed.started = "2026-11-24T23:15:00Z".into();
        let text = section(&Attempts::once(passed.clone(), "f".into()), 3);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "\u{1b}[0Ksection_start:1795562100:shakedown_3[collapsed=true]\r\u{1b}[0Kpassed: alpine-http on raspi3b: \
                 passed: the container said its nonce ",
                "       2.0 s  iPXE",
                "\u{1b}[0Ksection_end:1795562102:shakedown_3\r\u{1b}[0K",
            ]
        );
        passed.verdict = Verdict::Failed;
        passed.failure = Some(Failure::new(Class::Board, "it said \r\n panic".into(), &[]));
        let text = section(&Attempts::once(passed, "f".into()), 0);
        let head = text.lines().next().unwrap();
        assert!(
            head.contains("shakedown_0\r") && head.ends_with("failed: it said \\r  panic"),
            "{head:?}"
        );
        assert!(text.contains("class         board"), "{text}");
    }
}
