//! `known-failures.toml`: failures that are known and not yet mended. They are shown and do not fail a command, until their day has passed.

use std::path::Path;
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::Deserialize;

use super::date::Date;
use super::discovery::Project;
use crate::input::{Document, InputError, Pattern, Span};
use crate::report::{Attempts, Report, Standing, Verdict};
use crate::shell::OurCommand;

/// The file in a project's folder.
pub const KNOWN_FAILURES_FILE: &str = "known-failures.toml";

/// `known-failures.toml`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Known failures")]
pub(crate) struct KnownFailuresFile {
    /// The failures.
    #[serde(default)]
    #[schemars(with = "Vec<KnownFailure>")]
    known: Vec<Span<KnownFailure>>,
}

/// A failure that is known.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KnownFailure {
    /// The scenario that fails, by its name; a variant is `FILE-VARIANT`.
    scenario: String,
    /// The board that it fails on; by default every board.
    board: Option<String>,
    /// Matched against the failure's cause; a failure of another cause is not the known one. By default any.
    cause: Option<Pattern>,
    /// Why it fails, in a sentence.
    reason: String,
    /// Where the failure is tracked: the address or number of an issue.
    tracker: String,
    /// The last day on which the failure is known; after it the scenario fails again.
    until: Date,
}

/// The failures that a project knows.
#[derive(Debug, Default)]
pub struct KnownFailures(Vec<KnownFailure>);

impl Project {
    /// The failures that the project knows; none if it has no such file.
    ///
    /// # Errors
    /// The file is wrong, or names a scenario or board that there is not.
    pub fn known_failures(&self) -> Result<KnownFailures, InputError> {
        let path = self.root().join(KNOWN_FAILURES_FILE);
        if !path.is_file() {
            return Ok(KnownFailures::default());
        }
        let scenarios: Vec<_> = self.scenarios().iter().map(|s| s.name.as_str()).collect();
        let boards: Vec<_> = self.boards().iter().map(|b| b.name.as_str()).collect();
        KnownFailures::read(&path, &scenarios, &boards)
    }
}

impl KnownFailures {
    fn read(path: &Path, scenarios: &[&str], boards: &[&str]) -> Result<Self, InputError> {
        let document = Document::read(path)?;
        let file: KnownFailuresFile = document.parse()?;
        let mut all = Vec::new();
        for known in file.known {
            let (span, known) = (known.span(), known.into_inner());
            let is_there = |names: &[&str], name: &str| names.contains(&name);
            if !is_there(scenarios, &known.scenario) {
                let message = format!(
                    "there is no scenario `{}`; `{}` names all",
                    known.scenario,
                    OurCommand("scenario list")
                );
                return Err(document.error_at(span, &message));
            }
            if let Some(board) = known.board.as_ref().filter(|b| !is_there(boards, b)) {
                let message = format!(
                    "there is no board `{board}`; there is: {}",
                    boards.join(", ")
                );
                return Err(document.error_at(span, &message));
            }
            all.push(known);
        }
        Ok(Self(all))
    }

    /// The same as of today, with each note as a line for people. A clock that shows no date knows no failures.
    pub fn mark_today(&self, runs: &mut [Attempts]) -> String {
        let today = Date::of(SystemTime::now());
        let notes = today
            .map(|today| self.mark(runs, today))
            .unwrap_or_default();
        let lines = notes.into_iter().map(|note| format!("note: {note}\n"));
        lines.collect()
    }

    /// Says of attempts that failed in a known way that they did, and returns what people are told: of known failures whose day has passed, and of
    /// those that fail no more.
    pub fn mark(&self, runs: &mut [Attempts], today: Date) -> Vec<String> {
        let mut notes = Vec::new();
        for run in runs {
            let failed = run.all().filter(|r| r.verdict == Verdict::Failed);
            let failed: Vec<_> = failed.collect();
            let (scenario, board) = (&run.last.scenario, &run.last.board);
            let of_run = self.0.iter().filter(|k| k.is_of(scenario, board));
            for known in of_run {
                let name = format!("{scenario} on {board}");
                if run.standing() == Standing::Passed {
                    notes.push(format!(
                        "{name} passes: take its known failure ({}) out of {KNOWN_FAILURES_FILE}",
                        known.tracker
                    ));
                } else if failed.is_empty() || !failed.iter().all(|r| known.fits(r)) {
                } else if today > known.until {
                    notes.push(format!(
                        "{name} was known to fail until {}: {} ({})",
                        known.until, known.reason, known.tracker
                    ));
                } else {
                    run.known = Some(format!(
                        "{} ({}), until {}",
                        known.reason, known.tracker, known.until
                    ));
                    break;
                }
            }
        }
        notes
    }

    /// Whether a run failed in a way that is known and whose day has not passed.
    #[must_use]
    pub fn knows(&self, report: &Report, today: Date) -> bool {
        let of_run = |k: &&KnownFailure| k.is_of(&report.scenario, &report.board);
        self.0
            .iter()
            .filter(of_run)
            .any(|k| today <= k.until && k.fits(report))
    }
}

impl KnownFailure {
    fn is_of(&self, scenario: &str, board: &str) -> bool {
        self.scenario == scenario && self.board.as_ref().is_none_or(|b| b == board)
    }

    fn fits(&self, report: &Report) -> bool {
        let cause = report.failure.as_ref().map_or("", |f| f.cause.as_str());
        let matches = |pattern: &Pattern| pattern.regex().is_match(cause);
        report.verdict == Verdict::Failed && self.cause.as_ref().is_none_or(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::report;
    use crate::report::{Class, Failure};

    const FILE: &str = "[[known]]\nscenario = \"mirror\"\nboard = \"raspi3b\"\ncause = \"late\"\n\
        reason = \"the lease comes late\"\ntracker = \"issue 7\"\nuntil = 2026-12-31\n";

    fn read(text: &str) -> Result<KnownFailures, InputError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KNOWN_FAILURES_FILE);
        std::fs::write(&path, text).unwrap();
        KnownFailures::read(&path, &["mirror"], &["raspi3b"])
    }

    fn run(verdict: Verdict, cause: &str) -> Attempts {
        let mut report = report("mirror", &[], verdict);
        if verdict != Verdict::Passed {
            report.failure = Some(Failure::new(Class::Server, cause.into(), &[]));
        }
        Attempts::once(report, "folder".into())
    }

    fn day(text: &str) -> Date {
        let moment = humantime::parse_rfc3339(&format!("{text}T12:00:00Z")).unwrap();
        Date::of(moment).unwrap()
    }

    #[test]
    fn a_known_failure_fails_again_after_its_day() {
        let known = read(FILE).unwrap();
        let standing = |cause: &str, today: &str| {
            let mut runs = [run(Verdict::Failed, cause)];
            let notes = known.mark(&mut runs, day(today));
            let is_known = runs[0].standing() == Standing::KnownFailure;
            assert_eq!(known.knows(&runs[0].last, day(today)), is_known);
            (is_known, notes.join("\n"))
        };
        assert_eq!(
            standing("it came late", "2026-12-31"),
            (true, String::new())
        );
        assert_eq!(
            standing("it never came", "2026-12-31"),
            (false, String::new())
        );
        let (is_known, note) = standing("it came late", "2027-01-01");
        assert!(!is_known);
        assert_eq!(
            note,
            "mirror on raspi3b was known to fail until 2026-12-31: the lease comes late (issue 7)"
        );
    }

    #[test]
    fn one_that_passes_is_told_and_one_that_could_not_run_says_nothing() {
        let known = read(FILE).unwrap();
        let mut runs = [
            run(Verdict::Passed, ""),
            run(Verdict::CouldNotRun, "it came late"),
        ];
        let notes = known.mark(&mut runs, day("2026-11-30"));
        assert_eq!(
            notes,
            [
                "mirror on raspi3b passes: take its known failure (issue 7) out of known-failures.toml"
            ]
        );
        assert_eq!(runs[1].standing(), Standing::CouldNotRun);
    }

    #[test]
    fn the_example_of_the_book_is_read() {
        let page = include_str!("../../../docs/book/src/reports.md");
        let example = page.split("```toml\n").nth(1).unwrap();
        let example = example.split("```").next().unwrap();
        let known = read(example).unwrap();
        let mut runs = [run(Verdict::Failed, "no lease")];
        known.mark(&mut runs, day("2026-12-01"));
        assert_eq!(runs[0].standing(), Standing::KnownFailure);
    }

    #[test]
    fn a_scenario_that_there_is_not_is_told_with_its_place() {
        let error = read(&FILE.replace("\"mirror\"", "\"miror\"")).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("known-failures.toml:1:1: there is no scenario `miror`"),
            "{error}"
        );
        let error = read(&FILE.replace("2026-12-31", "\"soon\"")).unwrap_err();
        assert!(error.to_string().contains("not a day"), "{error}");
        assert!(read(&FILE.replace("2026-12-31", "\"2026-12-31\"")).is_ok());
    }
}
