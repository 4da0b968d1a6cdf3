//! Several folders of runs made one: those of the parts that a pipeline's jobs have run.
//!
//! The folders come from elsewhere: nothing but files and folders is copied, no link is followed, and working files stay behind.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Attempts, Report};
use crate::folder::{RunFolder, RunName};

/// How many folders deep runs are looked for, and files of a run.
const DEPTH: usize = 6;

/// Why folders cannot be made one.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no run in any of them.
    #[error("there is no folder of a run, with report.json in it, in {0}")]
    NoRun(String),
}

/// Copies the runs whose folders are in `folders`, or some levels below, into `into`, and returns them: the attempts of a repetition together, in
/// the order of scenarios and boards. A run that is in `into` already under the same name gets another one.
///
/// # Errors
/// A folder cannot be read or written, or there is no run.
pub fn merge(folders: &[PathBuf], into: &Path) -> Result<Vec<Attempts>, MergeError> {
    let mut found = Vec::new();
    for (source, folder) in folders.iter().enumerate() {
        fs::read_dir(folder).map_err(|e| io_error(folder, e))?;
        let mut of_source = Vec::new();
        find(folder, DEPTH, &mut of_source);
        found.extend(of_source.into_iter().map(|folder| (source, folder)));
    }
    found.sort();
    let mut kinds: BTreeMap<_, Vec<(Report, PathBuf)>> = BTreeMap::new();
    for (source, folder) in found {
        // One that cannot be read is shown by the index.
        let report = Report::read(&folder);
        let copy = free_name(into, &folder);
        copy_run(&folder, &copy, DEPTH)?;
        if let Ok(report) = report {
            let kind = (
                report.scenario.clone(),
                report.board.clone(),
                source,
                RunName::of(&folder).map(|name| name.process),
                report.turn.repetition,
            );
            kinds.entry(kind).or_default().push((report, copy));
        }
    }
    let runs = kinds.into_values().filter_map(|mut attempts| {
        attempts.sort_by_key(|(report, _)| report.turn.attempt);
        Attempts::of(attempts)
    });
    let runs: Vec<_> = runs.collect();
    match runs.is_empty() {
        false => Ok(runs),
        true => {
            let names = folders.iter().map(|folder| folder.display().to_string());
            Err(MergeError::NoRun(names.collect::<Vec<_>>().join(", ")))
        }
    }
}

fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        // Not that of what a link leads to.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let path = entry.path();
        if !is_folder {
            continue;
        }
        if path.join(RunFolder::REPORT).is_file() {
            found.push(path);
        } else if depth > 1 {
            find(&path, depth - 1, found);
        }
    }
}

/// A name in `into` that nothing has yet.
fn free_name(into: &Path, folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    let names = std::iter::once(name.to_string()).chain((2..).map(|n| format!("{name}-{n}")));
    let mut paths = names.map(|name| into.join(name));
    paths.find(|path| !path.exists()).unwrap_or_default()
}

fn copy_run(from: &Path, to: &Path, depth: usize) -> Result<(), MergeError> {
    fs::create_dir_all(to).map_err(|e| io_error(to, e))?;
    for entry in fs::read_dir(from).map_err(|e| io_error(from, e))? {
        let entry = entry.map_err(|e| io_error(from, e))?;
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().map_err(|e| io_error(&path, e))?;
        if kind.is_file() {
            fs::copy(&path, to.join(&name)).map_err(|e| io_error(&path, e))?;
        } else if kind.is_dir() && name != RunFolder::WORK && depth > 1 {
            copy_run(&path, &to.join(&name), depth - 1)?;
        }
    }
    Ok(())
}

fn io_error(path: &Path, source: io::Error) -> MergeError {
    MergeError::Io {
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::report;
    use super::super::{Standing, Turn, Verdict};
    use super::*;

    fn run(folder: &Path, scenario: &str, verdict: Verdict, attempt: u32) {
        fs::create_dir_all(folder.join("work")).unwrap();
        fs::write(folder.join("work/card"), "a private key").unwrap();
        fs::write(folder.join("transcript.log"), scenario).unwrap();
        let turn = Turn {
            repetition: 1,
            attempt,
        };
        let report = Report {
            turn,
            ..report(scenario, &[], verdict)
        };
        report.write(folder).unwrap();
    }

    #[test]
    fn the_parts_of_three_jobs_become_one() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let part = |n: u32| root.join(format!("part-{n}"));
        run(
            &part(1).join("out/reports/a-raspi3b"),
            "a",
            Verdict::Passed,
            1,
        );
        run(&part(2).join("100-7-b-raspi3b"), "b", Verdict::Failed, 1);
        run(&part(2).join("101-7-b-raspi3b"), "b", Verdict::Passed, 2);
        // The same name in another job is another run.
        run(&part(3).join("a-raspi3b"), "a", Verdict::Failed, 1);
        std::os::unix::fs::symlink("/etc/passwd", part(3).join("a-raspi3b/link")).unwrap();
        let into = root.join("all");
        let parts = [part(1), part(2), part(3)];
        let runs = merge(&parts, &into).unwrap();
        let seen: Vec<_> = runs
            .iter()
            .map(|run| (run.last.scenario.as_str(), run.standing()))
            .collect();
        assert_eq!(
            seen,
            [
                ("a", Standing::Passed),
                ("a", Standing::Failed),
                ("b", Standing::Flaky)
            ]
        );
        assert_eq!(runs[1].folder, into.join("a-raspi3b-2"));
        for run in &runs {
            let text = fs::read_to_string(run.folder.join("transcript.log")).unwrap();
            assert_eq!(text, run.last.scenario);
            assert!(!run.folder.join("work").exists() && !run.folder.join("link").exists());
        }
        let none = merge(&[root.join("part-1/out/reports/a-raspi3b")], &into).unwrap_err();
        assert!(
            none.to_string().contains("there is no folder of a run"),
            "{none}"
        );
        assert!(merge(&[root.join("gone")], &into).is_err());
    }
}
