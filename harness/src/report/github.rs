//! What GitHub shows of runs: a summary of the job, and annotations at the scenarios' files.
//!
//! Source: GitHub's "Workflow commands for GitHub Actions": `GITHUB_STEP_SUMMARY`, and how `::error` escapes its data.

use std::fmt::Write;
use std::path::Path;

use super::{Attempts, Standing, verdict_sentence};

/// The runs as a table of Markdown, with the failed ones' causes below.
#[must_use]
pub fn summary(runs: &[Attempts]) -> String {
    let mut out =
        String::from("### Shakedown\n\n| run | verdict | s | |\n| --- | --- | --- | --- |\n");
    for run in runs {
        let report = &run.last;
        let mark = match run.standing() {
            Standing::Passed => "✅",
            Standing::Flaky => "🟠",
            Standing::KnownFailure => "🟣",
            Standing::Failed => "❌",
            Standing::CouldNotRun => "⚪",
        };
        let name = run.standing().name();
        let whole = report.whole().as_secs_f64();
        let sentence = plain(&verdict_sentence(report));
        let _ = writeln!(
            out,
            "| {} on {} | {mark} {name} | {whole:.1} | {sentence} |",
            run.name(),
            report.board
        );
    }
    for report in runs.iter().map(|run| &run.last) {
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

/// The line that marks a scenario's file when its run did not pass, or only at a later attempt; `file` is relative to the
/// repository, and `None` of a scenario that has none there.
#[must_use]
pub fn annotation(run: &Attempts, file: Option<&Path>) -> Option<String> {
    let level = match run.standing() {
        Standing::Passed => return None,
        Standing::Flaky | Standing::KnownFailure => "warning",
        Standing::Failed | Standing::CouldNotRun => "error",
    };
    let report = match (run.standing(), run.earlier.last()) {
        (Standing::Flaky, Some((failed, _))) => failed,
        _ => &run.last,
    };
    let title = match run.standing() {
        Standing::Failed => format!("{} on {}", run.name(), report.board),
        other => format!("{} on {}: {}", run.name(), report.board, other.name()),
    };
    let place = file.map(|file| format!("file={},line=1,", property(&file.to_string_lossy())));
    Some(format!(
        "::{level} {}title={}::{}",
        place.unwrap_or_default(),
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
    use super::super::{Class, Failure, Verdict};
    use super::*;

    #[test]
    fn a_failed_run_is_marked_at_its_scenario() {
        let once = |report| Attempts::once(report, "folder".into());
        let passed = once(testing::report("alpine-http", &[], Verdict::Passed));
        assert_eq!(
            annotation(&passed, Some(Path::new("scenarios/a.toml"))),
            None
        );
        let mut failed = testing::report("alpine-https", &[], Verdict::Failed);
        let mut failure = Failure::new(
            Class::Board,
            "stage \"Linux\": 100 % of\n| budget".into(),
            &[],
        );
        failure.last_serial = vec!["<b>".into()];
        failed.failure = Some(failure);
        let failed = once(failed);
        let line = annotation(&failed, None).unwrap();
        assert!(line.starts_with("::error title="), "{line}");
        let line = annotation(&failed, Some(Path::new("scenarios/a,b.toml"))).unwrap();
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
        let mut flaky = passed.clone();
        flaky.earlier.push((failed.last.clone(), "folder".into()));
        let line = annotation(&flaky, Some(Path::new("a.toml"))).unwrap();
        assert!(
            line.starts_with(
                "::warning file=a.toml,line=1,title=alpine-http on raspi3b%3A flaky::failed"
            ),
            "{line}"
        );
        let text = summary(&[passed, failed]);
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
