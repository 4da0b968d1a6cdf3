//! The runs that a folder holds, as later commands ask for them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Report, Verdict};
use crate::folder::RunName;

/// A run of before.
#[derive(Debug, Clone)]
pub struct Past {
    /// Its folder.
    pub folder: PathBuf,
    /// When it began, in milliseconds since the epoch.
    began: u128,
    /// The process that made it; runs of one command have one.
    process: u32,
    /// What came of it.
    pub report: Report,
}

/// The runs whose folders lie in `runs` and whose report can be read, oldest first. Where there is no such folder there are none.
#[must_use]
pub fn past_runs(runs: &Path) -> Vec<Past> {
    let entries = fs::read_dir(runs).into_iter().flatten().flatten();
    let past = entries.filter_map(|entry| {
        let name = RunName::of(&entry.path())?;
        Some(Past {
            began: name.began,
            process: name.process,
            report: Report::read(&entry.path()).ok()?,
            folder: entry.path(),
        })
    });
    let mut past: Vec<_> = past.collect();
    past.sort_by_key(|run| (run.began, run.process));
    past
}

/// Scenarios and boards that did not pass when they were run last. Of a command that ran them several times each repetition counts, and of its
/// attempts the last.
#[must_use]
pub fn failed_last(past: &[Past]) -> Vec<(String, String)> {
    let mut newest: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for run in past {
        let kind = (run.report.scenario.as_str(), run.report.board.as_str());
        newest.insert(kind, run.process);
    }
    let failed = newest.into_iter().filter(|((scenario, board), process)| {
        let mut last = BTreeMap::new();
        let same = past.iter().filter(|run| {
            run.report.scenario == *scenario
                && run.report.board == *board
                && run.process == *process
        });
        for run in same {
            last.insert(run.report.turn.repetition, run.report.verdict);
        }
        last.values().any(|verdict| *verdict != Verdict::Passed)
    });
    let failed = failed.map(|((scenario, board), _)| (scenario.to_owned(), board.to_owned()));
    failed.collect()
}

/// The newest run of this scenario on this board that passed.
#[must_use]
pub fn last_passed<'a>(past: &'a [Past], scenario: &str, board: &str) -> Option<&'a Past> {
    past.iter().rfind(|run| {
        let report = &run.report;
        (&*report.scenario, &*report.board) == (scenario, board)
            && report.verdict == Verdict::Passed
    })
}

#[cfg(test)]
mod tests {
    use super::super::Turn;
    use super::super::testing::report;
    use super::*;

    fn write(runs: &Path, name: &str, verdict: Verdict, repetition: u32, attempt: u32) {
        let folder = runs.join(name);
        fs::create_dir(&folder).unwrap();
        let scenario = name.split('-').nth(2).unwrap();
        let turn = Turn {
            repetition,
            attempt,
        };
        let report = Report {
            turn,
            ..report(scenario, &[], verdict)
        };
        report.write(&folder).unwrap();
    }

    #[test]
    fn the_last_command_says_what_failed() {
        use Verdict::{Failed, Passed};
        let runs = tempfile::tempdir().unwrap();
        let runs = runs.path();
        write(runs, "99-9-old-raspi3b", Failed, 1, 1);
        write(runs, "100-1-old-raspi3b", Passed, 1, 1);
        write(runs, "101-1-flaky-raspi3b", Failed, 1, 1);
        write(runs, "102-1-flaky-raspi3b", Passed, 1, 2);
        write(runs, "103-1-twice-raspi3b", Failed, 1, 1);
        write(runs, "104-1-twice-raspi3b", Passed, 2, 1);
        fs::create_dir(runs.join("105-1-underway-raspi3b")).unwrap();
        fs::create_dir(runs.join("checkpoints")).unwrap();
        let past = past_runs(runs);
        assert_eq!(past.len(), 6);
        assert_eq!(
            failed_last(&past),
            [("twice".to_owned(), "raspi3b".to_owned())]
        );
        let passed = last_passed(&past, "old", "raspi3b").unwrap();
        assert_eq!(passed.folder, runs.join("100-1-old-raspi3b"));
        assert!(last_passed(&past, "old", "raspi3b-plus").is_none());
        assert!(past_runs(&runs.join("gone")).is_empty());
    }
}
