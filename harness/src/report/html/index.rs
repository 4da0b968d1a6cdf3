//! The page of all runs: their history, filters, and two of them side by side.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use askama::Template;
use serde::Serialize;

use super::page::{PAGE_FILE, STYLE, policy, verdict_class, write};
use super::words::begun;
use crate::folder::RunFolder;
use crate::report::{Report, Verdict, verdict_sentence};

/// Name of the page in the folder that holds the runs' folders.
pub const INDEX_FILE: &str = "index.html";
/// How many folders deep runs are looked for.
const DEPTH: usize = 6;
/// Most runs of one kind in a history's picture.
const HISTORY: usize = 30;

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A folder cannot be read, or the page not be written.
    #[error("cannot make the index in {}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The template failed.
    #[error("cannot make the index: {0}")]
    Template(#[from] askama::Error),
    /// The runs' data cannot be put into the page.
    #[error("cannot make the index: {0}")]
    Json(#[from] serde_json::Error),
}

/// What the index runs.
const SCRIPT: &str = include_str!("../../../templates/index.js");

#[derive(Template)]
#[template(path = "index.html")]
struct Index {
    policy: String,
    css: &'static str,
    script: &'static str,
    runs: Vec<Run>,
    histories: Vec<History>,
    /// Folders whose report cannot be read.
    unreadable: Vec<String>,
    data: String,
}

/// A run in the list.
#[derive(Debug, Clone)]
struct Run {
    /// Its folder, relative to the index.
    folder: String,
    report: Report,
    verdict: &'static str,
    sentence: String,
    has_page: bool,
}

/// The runs of one scenario on one board.
struct History {
    scenario: String,
    board: String,
    passed: usize,
    /// Runs that say something of the image.
    counted: usize,
    bars: Vec<Bar>,
    /// Seconds of the newest run that passed.
    newest: Option<f64>,
    /// What it took more than the one before it that passed.
    change: Option<f64>,
}

/// A run in a history's picture.
struct Bar {
    href: String,
    verdict: &'static str,
    title: String,
    /// Percent of the picture's height.
    height: f64,
    x: usize,
}

/// What the script compares.
#[derive(Serialize)]
struct Compared<'a> {
    folder: &'a str,
    scenario: &'a str,
    board: &'a str,
    name: String,
    verdict: &'a str,
    stages: Vec<(&'a str, f64, f64)>,
    parts: Vec<(&'a str, &'a str, &'a str)>,
    cpu: f64,
    whole: f64,
}

/// Writes the index of the runs whose folders are in `folder` or some levels below, as where a pipeline's artifacts were unpacked, and returns
/// where it is.
///
/// # Errors
/// The folder cannot be read or written to.
pub fn write_index(folder: &Path) -> Result<PathBuf, IndexError> {
    let failed = |source| IndexError::Io {
        path: folder.into(),
        source,
    };
    let (mut runs, mut unreadable) = (Vec::new(), Vec::new());
    collect(folder, "", DEPTH, &mut runs, &mut unreadable).map_err(failed)?;
    // Newest first; runs of before the time was written down come last, by their folders' names.
    runs.sort_by(|a, b| (&b.report.started, &b.folder).cmp(&(&a.report.started, &a.folder)));
    unreadable.sort();
    let compared: Vec<_> = runs.iter().map(compared).collect();
    let index = Index {
        policy: policy(SCRIPT),
        css: STYLE,
        script: SCRIPT,
        // Inside a script element only `</` could end it.
        data: serde_json::to_string(&compared)?.replace('<', "\\u003c"),
        histories: histories(&runs),
        runs,
        unreadable,
    };
    let path = folder.join(INDEX_FILE);
    write(&path, &index.render()?).map_err(failed)?;
    Ok(path)
}

fn collect(
    folder: &Path,
    prefix: &str,
    depth: usize,
    runs: &mut Vec<Run>,
    unreadable: &mut Vec<String>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
            continue;
        };
        let name = format!("{prefix}{name}");
        if path.join(RunFolder::REPORT).is_file() {
            match Report::read(&path) {
                Ok(report) => runs.push(Run {
                    verdict: verdict_class(&report),
                    sentence: verdict_sentence(&report),
                    has_page: path.join(PAGE_FILE).is_file(),
                    folder: name,
                    report,
                }),
                Err(_) => unreadable.push(name),
            }
        } else if path.is_dir() && depth > 1 {
            collect(&path, &format!("{name}/"), depth - 1, runs, unreadable)?;
        }
    }
    Ok(())
}

impl Run {
    /// Where a click leads: the page, or the folder of a run that has none.
    fn href(&self) -> String {
        let folder = relative(&self.folder);
        match self.has_page {
            true => format!("{folder}/{PAGE_FILE}"),
            false => format!("{folder}/"),
        }
    }

    /// What it is called in the list: its time, or the folder of a run that has none.
    fn name(&self) -> String {
        match &*self.report.started {
            "" => self.folder.clone(),
            _ => begun(&self.report),
        }
    }

    fn whole(&self) -> f64 {
        self.report.whole().as_secs_f64()
    }
}

/// The relative URL of a folder. No name makes it anything else: a folder may be called `javascript:x` (RFC 3986, section 4.2).
fn relative(folder: &str) -> String {
    let mut url = String::from("./");
    for byte in folder.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => url.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => url.push(char::from(byte)),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

fn compared(run: &Run) -> Compared<'_> {
    let report = &run.report;
    let stages = report.own_stages();
    let parts = report.parts.iter();
    Compared {
        folder: &run.folder,
        scenario: &report.scenario,
        board: &report.board,
        name: run.name(),
        verdict: run.verdict,
        stages: stages
            .map(|s| (s.name.as_str(), s.took, s.reached))
            .collect(),
        parts: parts
            .map(|p| (p.name.as_str(), p.version.as_str(), p.sha256.as_str()))
            .collect(),
        cpu: report.qemu_cpu_seconds,
        whole: run.whole(),
    }
}

/// One history for each scenario and board; `runs` is newest first.
fn histories(runs: &[Run]) -> Vec<History> {
    let mut kinds: BTreeMap<_, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        let kind = (run.report.scenario.as_str(), run.report.board.as_str());
        kinds.entry(kind).or_default().push(run);
    }
    let histories = kinds.into_iter().map(|((scenario, board), runs)| {
        let is = |verdict| move |run: &&&Run| run.report.verdict == verdict;
        let mut passed = runs.iter().filter(is(Verdict::Passed));
        let newest = passed.next();
        // A boot in whole and one that went on from a checkpoint cannot be compared.
        let begins = |run: &Run| run.report.last_restored().map(|stage| stage.name.clone());
        let before = passed.find(|run| newest.is_some_and(|new| begins(new) == begins(run)));
        let [newest, before] = [newest, before].map(|run| run.map(|run| run.whole()));
        let longest = runs.iter().map(|run| run.whole()).fold(1.0, f64::max);
        let shown = runs.iter().take(HISTORY).rev().enumerate();
        History {
            scenario: scenario.into(),
            board: board.into(),
            passed: runs.iter().filter(is(Verdict::Passed)).count(),
            counted: runs.len() - runs.iter().filter(is(Verdict::CouldNotRun)).count(),
            bars: shown
                .map(|(n, run)| Bar {
                    href: run.href(),
                    verdict: run.verdict,
                    title: format!("{}: {}", run.name(), run.sentence),
                    height: (run.whole() / longest * 100.0).max(6.0),
                    x: n * 12,
                })
                .collect(),
            newest,
            change: newest.zip(before).map(|(new, old)| new - old),
        }
    });
    histories.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_folder_whatever_it_is_called() {
        assert_eq!(relative("a/2026-01-01_b"), "./a/2026-01-01_b");
        assert_eq!(
            relative("javascript:alert(1)"),
            "./javascript%3Aalert%281%29"
        );
        assert_eq!(relative("a?b#c%"), "./a%3Fb%23c%25");
    }

    /// The hash of the policy is that of the script element, to the byte; a browser runs nothing else.
    #[test]
    fn the_policy_allows_the_one_script() {
        let folder = tempfile::tempdir().unwrap();
        let path = write_index(folder.path()).unwrap();
        let page = fs::read_to_string(path).unwrap();
        let (_, rest) = page.split_once("<script>").unwrap();
        let (script, _) = rest.split_once("</script>").unwrap();
        let policy = policy(script).replace('\'', "&#39;");
        assert!(page.contains(&policy), "{policy}");
        assert!(!policy.contains("script-src &#39;unsafe-inline"));
    }
}
