//! What GitHub shows of runs: a summary of the job, and annotations at the scenarios' files.
//!
//! Source: GitHub's "Workflow commands for GitHub Actions": `GITHUB_STEP_SUMMARY`, and how `::error` escapes its data.

use std::fmt::Write;
use std::path::Path;

use super::{Report, Verdict, verdict_sentence};

/// The runs as a table of Markdown, with the failed ones' causes below.
#[must_use]
pub fn summary(reports: &[&Report]) -> String {
    let mut out =
        String::from("### Shakedown\n\n| run | verdict | s | |\n| --- | --- | --- | --- |\n");
    for report in reports {
        let mark = match report.verdict {
            Verdict::Passed => "✅ passed",
            Verdict::Failed => "❌ failed",
            Verdict::CouldNotRun => "⚪ could not run",
        };
        let whole = report.whole().as_secs_f64();
        let sentence = plain(&verdict_sentence(report));
        let _ = writeln!(
            out,
            "| {} on {} | {mark} | {whole:.1} | {sentence} |",
            report.scenario, report.board
        );
    }
    for report in reports {
        if let Some(failure) = &report.failure {
            let _ = write!(
                out,
                "\n<details><summary>{} on {}: last lines</summary>\n\n```text\n",
                report.scenario, report.board
            );
            for line in &failure.last_serial {
                let _ = writeln!(out, "{}", line.replace("```", "'''"));
            }
            out += "```\n\n</details>\n";
        }
    }
    out
}

/// The line that marks a scenario's file when its run did not pass; `file` is relative to the repository.
#[must_use]
pub fn annotation(report: &Report, file: &Path) -> Option<String> {
    if report.verdict == Verdict::Passed {
        return None;
    }
    let title = format!("{} on {}", report.scenario, report.board);
    Some(format!(
        "::error file={},line=1,title={}::{}",
        property(&file.to_string_lossy()),
        property(&title),
        data(&verdict_sentence(report))
    ))
}

/// Text in a cell of a table.
fn plain(text: &str) -> String {
    let line: Vec<_> = text.split_whitespace().collect();
    line.join(" ").replace('|', r"\|").replace('<', "&lt;")
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::super::{Class, Failure};
    use super::*;

    #[test]
    fn a_failed_run_is_marked_at_its_scenario() {
        let passed = testing::report("alpine-http", &[], Verdict::Passed);
        assert_eq!(annotation(&passed, Path::new("scenarios/a.toml")), None);
        let mut failed = testing::report("alpine-https", &[], Verdict::Failed);
        let mut failure = Failure::new(
            Class::Board,
            "stage \"Linux\": 100 % of\n| budget".into(),
            &[],
        );
        failure.last_serial = vec!["<b>".into()];
        failed.failure = Some(failure);
        let line = annotation(&failed, Path::new("scenarios/a,b.toml")).unwrap();
        assert!(
            line.starts_with(
                "::error file=scenarios/a%2Cb.toml,line=1,title=alpine-https on raspi3b::"
            ),
            "{line}"
        );
        assert!(
            line.contains("100 %25 of%0A") && !line.contains('\n'),
            "{line}"
        );
        let text = summary(&[&passed, &failed]);
        assert!(
            text.contains("| alpine-http on raspi3b | ✅ passed |"),
            "{text}"
        );
        assert!(text.contains("```text\n<b>\n```"), "{text}");
        assert_eq!(
            text.lines().filter(|l| l.starts_with("| alpine")).count(),
            2,
            "{text}"
        );
    }
}
