//! Runs as JUnit's XML, in the reading of GitLab and GitHub: a test case for each scenario and board, the stage in the failure's
//! message, and the page attached.
//!
//! Source: GitLab's documentation, "Unit test reports": an attachment is a line `[[ATTACHMENT|path]]` of the standard output, its path
//! relative to the project's folder; the first one is shown.

use std::path::{Path, PathBuf};

use quick_junit::{NonSuccessKind, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::html::PAGE_FILE;
use super::{Report, Verdict, failure_text, limitations_text, verdict_sentence};

/// The XML of runs with their folders. Paths in it are relative to `root`.
///
/// # Errors
/// The XML cannot be written, which no text of a report can cause.
pub fn junit(runs: &[(Report, PathBuf)], root: &Path) -> Result<String, SerializeError> {
    let mut suite = TestSuite::new("shakedown");
    suite.add_test_cases(
        runs.iter()
            .map(|(report, folder)| test_case(report, folder, root)),
    );
    let whole = runs.iter().map(|(report, _)| report.whole()).sum();
    suite.set_time(whole);
    let mut all = quick_junit::Report::new("shakedown");
    all.set_time(whole);
    all.add_test_suite(suite);
    all.to_string()
}

fn test_case(report: &Report, folder: &Path, root: &Path) -> TestCase {
    let mut case = TestCase::new(
        format!("{}::{}", report.scenario, report.board),
        status(report),
    );
    case.set_classname(format!("shakedown.{}", report.scenario));
    case.set_time(report.whole());
    for stage in report.own_stages() {
        let name = format!("stage.{}.seconds", stage.name);
        case.add_property((name.as_str(), format!("{:.3}", stage.took).as_str()));
    }
    let folder = folder.strip_prefix(root).unwrap_or(folder);
    let page = folder.join(PAGE_FILE);
    case.set_system_out(format!(
        "[[ATTACHMENT|{}]]\n{}\nrun it again: {}\n{}",
        page.display(),
        verdict_sentence(report),
        report.reproduce,
        limitations_text([report])
    ));
    case
}

fn status(report: &Report) -> TestCaseStatus {
    let kind = match report.verdict {
        Verdict::Passed => return TestCaseStatus::success(),
        Verdict::Failed => NonSuccessKind::Failure,
        Verdict::CouldNotRun => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    match &report.failure {
        None => status.set_message("no reason given"),
        Some(failure) => status
            .set_message(failure.cause.as_str())
            .set_type(failure.class.name())
            .set_description(failure_text(report, failure)),
    };
    status
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
            (report, folder)
        });
        let xml = junit(&runs, root).unwrap();
        insta::assert_snapshot!(xml);
    }
}
