//! The table of cases: which test holds each input that failed once. It is printed by
//! `cargo test -p shakedown-tests --test cases -- --nocapture`.
//!
//! `SHAKEDOWN_CASES` names a folder of such inputs; then each of its files must be in the table.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, but not the helpers of a test crate"
)]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use shakedown_tests::project_root;

const TABLE: &str = include_str!("cases.txt");

/// A line of the table.
struct Case<'t> {
    name: &'t str,
    holders: Vec<Holder<'t>>,
    /// Why it has no holder.
    excuse: Option<&'t str>,
}

/// A test, as `FILE::TEST`, `FILE::TEST#TEXT` or `FILE::TEST@INPUT`.
struct Holder<'t> {
    file: &'t str,
    test: &'t str,
    /// What must stand in the file.
    text: Option<&'t str>,
    /// The input that the test reads.
    input: Option<&'t str>,
}

fn table(text: &str) -> Vec<Case<'_>> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("# "));
    let cases = lines.map(|line| {
        let (name, rest) = line.split_once(" | ").unwrap_or((line, ""));
        let excuse = rest.strip_prefix("- ");
        let holders = match excuse {
            Some(_) => Vec::new(),
            None => rest
                .split("  ")
                .filter(|word| !word.is_empty())
                .map(Holder::of)
                .collect(),
        };
        Case {
            name,
            holders,
            excuse,
        }
    });
    cases.collect()
}

impl<'t> Holder<'t> {
    fn of(text: &'t str) -> Self {
        let (file, rest) = text.split_once("::").unwrap_or((text, ""));
        let (test, text) = match rest.split_once('#') {
            Some((test, text)) => (test, Some(text)),
            None => (rest, None),
        };
        let (test, input) = match test.split_once('@') {
            Some((test, input)) => (test, Some(input)),
            None => (test, None),
        };
        Self {
            file,
            test,
            text,
            input,
        }
    }

    /// What is wrong with it, if anything is.
    fn fault(&self, read: &mut impl FnMut(&str) -> Option<String>) -> Option<String> {
        let Self { file, test, .. } = self;
        let Some(source) = read(file) else {
            return Some(format!("there is no file {file}"));
        };
        if !has_test(&source, test) {
            return Some(format!("{file} has no test {test}"));
        }
        if let Some(text) = self.text.filter(|text| !source.contains(text)) {
            return Some(format!("{file} has nothing of {text}"));
        }
        let input = self.input?;
        read(input)
            .is_none()
            .then(|| format!("there is no file {input}"))
    }
}

/// Whether a source file has a test function of this name, or a trial.
fn has_test(source: &str, name: &str) -> bool {
    if name.is_empty() {
        return false;
    }
    let function = format!("fn {name}(");
    let is_test = |at: usize| {
        // What stands between the function and the item before it.
        let before = &source[..at];
        let start = before.rfind(['}', ';', '{']).map_or(0, |end| end + 1);
        before[start..].contains("test]") || before[start..].contains("test(")
    };
    let mut functions = source.match_indices(&function);
    functions.any(|(at, _)| is_test(at)) || source.contains(&format!("\"{name}\""))
}

#[test]
fn every_case_has_its_test() {
    let root = project_root();
    let mut files: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut read = |path: &str| {
        let text = files.entry(path.to_owned());
        let text = text.or_insert_with(|| {
            let bytes = fs::read(root.join(path)).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        });
        text.clone()
    };
    let cases = table(TABLE);
    let mut faults = Vec::new();
    for case in &cases {
        match (&case.holders[..], case.excuse) {
            ([], Some(excuse)) => println!("{:40} not held by a test: {excuse}", case.name),
            ([], None) => faults.push(format!("{}: no test holds it", case.name)),
            (holders, _) => {
                for holder in holders {
                    let fault = holder.fault(&mut read);
                    faults.extend(fault.map(|fault| format!("{}: {fault}", case.name)));
                    println!("{:40} {} in {}", case.name, holder.test, holder.file);
                }
            }
        }
    }
    let held = cases.iter().filter(|case| !case.holders.is_empty());
    println!("{} of {} lines have a test", held.count(), cases.len());
    for finding in (1..=15)
        .map(|n| format!("S{n}"))
        .chain((1..=12).map(|n| format!("C{n}")))
    {
        if !cases
            .iter()
            .any(|case| case.name == finding && !case.holders.is_empty())
        {
            faults.push(format!("{finding} is not in the table"));
        }
    }
    if let Some(folder) = env::var_os("SHAKEDOWN_CASES") {
        let mut inputs = Vec::new();
        collect(Path::new(&folder), Path::new(""), &mut inputs);
        assert!(!inputs.is_empty(), "{} has no case", folder.display());
        let is_known = |input: &str| {
            // A script that makes several cases has a line for each; a folder ends in a slash.
            let mut names = cases.iter().map(|case| case.name);
            names.any(|name| {
                name.split(' ').next() == Some(input)
                    || (name.ends_with('/') && input.starts_with(name))
            })
        };
        let unknown = inputs
            .iter()
            .filter(|input| input.as_str() != "README.md" && !is_known(input));
        faults.extend(unknown.map(|input| format!("{input} is not in the table")));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The files below `folder`, by their paths in it.
fn collect(folder: &Path, path: &Path, files: &mut Vec<String>) {
    let entries = fs::read_dir(folder.join(path)).unwrap();
    for entry in entries.map(|entry| entry.unwrap()) {
        let path: PathBuf = path.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => collect(folder, &path, files),
            false => files.push(path.display().to_string()),
        }
    }
}

#[test]
fn a_table_with_a_mistake_is_noticed() {
    let mut read = |path: &str| {
        match path {
        "a.rs" => Some("fn helper() {}\n#[test]\nfn held() { let case = \"x\"; }\n#[tokio::test]\nasync fn waited() {}\n".to_owned()),
        "input" => Some(String::new()),
        _ => None,
    }
    };
    let mut fault = |line: &str| {
        let cases = table(line);
        let [case] = &cases[..] else { panic!("{line}") };
        let faults = case
            .holders
            .iter()
            .filter_map(|holder| holder.fault(&mut read));
        (case.holders.len(), faults.collect::<Vec<_>>().join("; "))
    };
    assert_eq!(fault("c | a.rs::held"), (1, String::new()));
    assert_eq!(
        fault("c | a.rs::held#\"x\"  a.rs::waited@input"),
        (2, String::new())
    );
    assert_eq!(fault("c | a.rs::helper").1, "a.rs has no test helper");
    assert_eq!(fault("c | a.rs::gone").1, "a.rs has no test gone");
    assert_eq!(fault("c | a.rs::held#\"y\"").1, "a.rs has nothing of \"y\"");
    assert_eq!(fault("c | a.rs::held@other").1, "there is no file other");
    assert_eq!(fault("c | b.rs::held").1, "there is no file b.rs");
    assert_eq!(fault("c | - nothing to hold").0, 0);
}
