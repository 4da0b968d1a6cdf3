//! Runs as JUnit's XML, in the reading of GitLab and GitHub: a test case for each scenario and board, the stage in the failure's
//! message, and the page attached.
//!
//! Source: GitLab's documentation, "Unit test reports": an attachment is a line `[[ATTACHMENT|path]]` of the standard output, its path
//! relative to the project's folder; the first one is shown.

use std::path::Path;

use quick_junit::{NonSuccessKind, SerializeError, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::html::PAGE_FILE;
use super::{
    Attempts, Boot, Report, Standing, Verdict, failure_text, limitations_text, verdict_sentence,
};

/// The XML of runs. Paths in it are relative to `root`.
///
/// An attempt that failed is a `flakyFailure` of a run that then passed, and a `rerunFailure` of one that did not (Maven Surefire's elements).
/// A known failure is skipped, with its reason.
///
/// # Errors
/// The XML cannot be written, which no text of a report can cause.
pub fn junit(runs: &[Attempts], root: &Path) -> Result<String, SerializeError> {
    let mut suite = TestSuite::new("shakedown");
    for run in runs {
        let case = test_case(run, root);
        let boots = run.last.boots.iter();
        let boots: Vec<_> = boots.map(|b| boot_case(b, run, &case.name)).collect();
        suite.add_test_case(case);
        suite.add_test_cases(boots);
    }
    let whole = runs.iter().flat_map(Attempts::all).map(Report::whole).sum();
    suite.set_time(whole);
    let mut all = quick_junit::Report::new("shakedown");
    all.set_time(whole);
    all.add_test_suite(suite);
    all.to_string()
}

fn test_case(run: &Attempts, root: &Path) -> TestCase {
    let report = &run.last;
    let name = match report.turn.repetition {
        0..=1 => format!("{}::{}", report.scenario, report.board),
        n => format!("{}::{}#{n}", report.scenario, report.board),
    };
    let mut case = TestCase::new(name, status(run, root));
    case.set_classname(format!("shakedown.{}", report.scenario));
    case.set_time(report.whole());
    for stage in report.own_stages() {
        let name = format!("stage.{}.seconds", stage.name);
        case.add_property((name.as_str(), format!("{:.3}", stage.took).as_str()));
    }
    case.set_system_out(output(report, &run.folder, root));
    case
}

/// A boot of a run that has several. Its time is that of the run already, so it has none of its own.
fn boot_case(boot: &Boot, run: &Attempts, name: &str) -> TestCase {
    let status = match (boot.verdict, run.standing()) {
        (Verdict::Passed, _) => TestCaseStatus::success(),
        (_, Standing::KnownFailure) => TestCaseStatus::skipped(),
        (verdict, _) => {
            let mut status = TestCaseStatus::non_success(kind(verdict));
            let failure = run.last.failure.as_ref();
            status.set_message(failure.map_or("no reason given", |f| f.cause.as_str()));
            status
        }
    };
    let mut case = TestCase::new(format!("{name} {}", boot.name()), status);
    case.set_classname(format!("shakedown.{}", run.last.scenario));
    case.add_property(("stages", boot.reached.to_string().as_str()));
    case.add_property(("seconds", format!("{:.3}", boot.took).as_str()));
    case.set_system_out(format!("{}: {}", boot.name(), boot.text()));
    case
}

/// What pipelines show of a run, its page first.
fn output(report: &Report, folder: &Path, root: &Path) -> String {
    let folder = folder.strip_prefix(root).unwrap_or(folder);
    format!(
        "[[ATTACHMENT|{}]]\n{}\nrun it again: {}\n{}",
        folder.join(PAGE_FILE).display(),
        verdict_sentence(report),
        report.reproduce,
        limitations_text([report])
    )
}

fn status(run: &Attempts, root: &Path) -> TestCaseStatus {
    let report = &run.last;
    let mut status = match (run.standing(), &run.known) {
        (Standing::Passed | Standing::Flaky, _) => TestCaseStatus::success(),
        (Standing::KnownFailure, Some(known)) => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(format!("known failure: {known}"));
            return skipped;
        }
        _ => TestCaseStatus::non_success(kind(report.verdict)),
    };
    if report.verdict != Verdict::Passed {
        match &report.failure {
            None => status.set_message("no reason given"),
            Some(failure) => status
                .set_message(failure.cause.as_str())
                .set_type(failure.class.name())
                .set_description(failure_text(report, failure)),
        };
    }
    let earlier = run.earlier.iter();
    status.add_reruns(earlier.map(|(report, folder)| rerun(report, folder, root)));
    status
}

fn kind(verdict: Verdict) -> NonSuccessKind {
    match verdict {
        Verdict::CouldNotRun => NonSuccessKind::Error,
        Verdict::Passed | Verdict::Failed => NonSuccessKind::Failure,
    }
}

/// An attempt that another one followed.
fn rerun(report: &Report, folder: &Path, root: &Path) -> TestRerun {
    let mut rerun = TestRerun::new(kind(report.verdict));
    rerun
        .set_time(report.whole())
        .set_system_out(output(report, folder, root));
    if let Some(failure) = &report.failure {
        rerun
            .set_message(failure.cause.as_str())
            .set_type(failure.class.name())
            .set_description(failure_text(report, failure));
    }
    rerun
}

#[cfg(test)]
mod tests {
    use super::super::testing::report;
    use super::super::{Class, Failure};
    use super::*;

    #[test]
    fn a_failure_has_its_stage_in_the_message_and_its_page_attached() {
        let root = Path::new("/project");
        let passed = report("alpine-http", &[("iPXE", 2.5)], Verdict::Passed);
        let mut failed = report("alpine-https", &[("iPXE", 3.0)], Verdict::Failed);
        let cause = "stage \"TLS\" was not reached: its budget of 60 s is used up";
        failed.failure = Some(Failure::new(Class::Server, cause.into(), &[]));
        let mut stopped = report("alpine-https", &[], Verdict::CouldNotRun);
        let cause = "the LAN could not be started & more \u{1b}[1m";
        stopped.failure = Some(Failure::new(Class::Host, cause.into(), &[]));
        let runs = [passed, failed, stopped].map(|report| {
            let folder = root.join("target/shakedown").join(&report.scenario);
            Attempts::once(report, folder)
        });
        let xml = junit(&runs, root).unwrap();
        insta::assert_snapshot!(xml);
    }

    #[test]
    fn attempts_before_the_last_are_reruns_and_known_failures_are_skipped() {
        let failed = |cause: &str| {
            let mut report = report("alpine-http", &[("iPXE", 2.0)], Verdict::Failed);
            report.failure = Some(Failure::new(Class::Network, cause.into(), &[]));
            report
        };
        let folder = |n: u32| std::path::PathBuf::from(format!("/project/runs/{n}"));
        let mut passed = report("alpine-http", &[("iPXE", 2.5)], Verdict::Passed);
        passed.turn.attempt = 2;
        let flaky = Attempts::of(vec![
            (failed("the lease came late"), folder(1)),
            (passed, folder(2)),
        ]);
        let twice = Attempts::of(vec![
            (failed("once"), folder(3)),
            (failed("and again"), folder(4)),
        ]);
        let mut known = Attempts::once(failed("as always"), folder(5));
        known.last.turn.repetition = 3;
        known.last.boots = [(1, Verdict::Passed), (2, Verdict::Failed)]
            .map(|(number, verdict)| Boot {
                board: None,
                number,
                verdict,
                reached: 1,
                last_stage: Some("iPXE".into()),
                took: 2.0,
            })
            .into();
        known.known = Some("DHCP of the farm is late (issue 7)".into());
        let runs = [flaky.unwrap(), twice.unwrap(), known];
        insta::assert_snapshot!(junit(&runs, Path::new("/project")).unwrap());
    }
}
