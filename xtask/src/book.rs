//! The book's commands: each is parsed by the definition that the book is about, and those that cost nothing are run.

use std::fs;

use clap::Parser;

use std::path::{Path, PathBuf};

use shakedown_harness::project::Project;
use shakedown_harness::scenario::Tier;

use crate::globals::BUILTIN;
use crate::{Cli, Command, execute, replay};

/// Programs that the book uses beside ours.
const OTHERS: &[&str] = &[
    ".ci/job",
    "alias",
    "cargo",
    "cp",
    "curl",
    "docker-registry",
    "gdb-multiarch",
    "nginx",
    "picocom",
    "ssh-keygen",
    "tio",
];

/// The clone that the test was built from.
fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap()
}

fn project() -> Project {
    Project::open(Some(&root()), BUILTIN).unwrap()
}

/// A command of the book and where it stands.
struct Line {
    place: String,
    text: String,
}

/// The book's pages, those of its folders included.
fn pages() -> Vec<PathBuf> {
    let mut folders = vec![root().join("docs/book/src")];
    let mut pages = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// The lines after a prompt in the book's `console` blocks.
fn commands() -> Vec<Line> {
    let mut found = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let mut in_console = false;
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(kind) = line.strip_prefix("```") {
                in_console = kind == "console";
            } else if let Some(text) = line.strip_prefix("$ ").filter(|_| in_console) {
                found.push(Line {
                    place: format!("{}:{number}", page.display()),
                    text: text.into(),
                });
            }
        }
    }
    found
}

/// Our command of a line, without what the shell would take away.
fn ours(line: &Line) -> Option<Cli> {
    let command = line.text.split(" > ").next().unwrap_or_default();
    let ours = ["cargo xtask ", "shakedown "];
    let words = ours.iter().find_map(|start| command.strip_prefix(start))?;
    let words: Vec<_> = words.split_whitespace().collect();
    match Cli::try_parse_from(std::iter::once("xtask").chain(words)) {
        Ok(cli) => Some(cli),
        Err(e) => panic!("{}: `{}`: {e}", line.place, line.text),
    }
}

#[test]
fn every_command_of_the_book_is_one() {
    let lines = commands();
    assert!(lines.len() > 25, "only {} commands found", lines.len());
    let mut runs = 0;
    for line in &lines {
        let Some(Cli { command, globals }) = ours(line) else {
            let program = line.text.split_whitespace().next().unwrap();
            assert!(
                OTHERS.contains(&program),
                "{}: what is {program}?",
                line.place
            );
            continue;
        };
        let command = match command {
            Command::Scenario(args) if !args.writes() => Command::Scenario(args),
            Command::Replay(args) => match in_project(args) {
                Some(args) => Command::Replay(args),
                None => continue,
            },
            _ => continue,
        };
        runs += 1;
        if let Err(e) = execute(&Cli { command, globals }) {
            panic!("{}: `{}`: {e:#}", line.place, line.text);
        }
    }
    assert!(runs >= 3, "only {runs} commands were cheap enough to run");
}

/// The same for a test, which is not run in the project's folder; `None` if the record is one that only a reader would have.
fn in_project(mut args: replay::Args) -> Option<replay::Args> {
    // What the project has of its own has to be there.
    let is_ours = args.record.starts_with("docs");
    args.record = root().join(&args.record);
    (is_ours || args.record.exists()).then_some(args)
}

#[test]
fn every_stage_that_the_book_stops_at_is_one() {
    let project = project();
    let stages = project.boards().iter().flat_map(|board| &board.stages);
    let stages: Vec<_> = stages.map(|stage| stage.name.as_str()).collect();
    let lines = commands();
    let stops = lines.iter().filter_map(|line| {
        let (_, after) = line.text.split_once("--until ")?;
        Some((line, after.split_whitespace().next()?))
    });
    let stops: Vec<_> = stops.collect();
    assert!(!stops.is_empty(), "the book stops nowhere");
    for (line, stage) in stops {
        assert!(
            stages.contains(&stage),
            "{}: there is no stage {stage}",
            line.place
        );
    }
}

#[test]
fn the_summary_names_every_page() {
    let folder = root().join("docs/book/src");
    let summary = fs::read_to_string(folder.join("SUMMARY.md")).unwrap();
    let mut named: Vec<_> = summary
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(page, _)| page.to_owned())
        .collect();
    named.sort();
    let pages = ["", "reference/"].into_iter().flat_map(|part| {
        let pages = fs::read_dir(folder.join(part)).unwrap();
        pages.map(move |page| {
            let name = page.unwrap().file_name().into_string().unwrap();
            format!("{part}{name}")
        })
    });
    let mut pages: Vec<_> = pages
        .filter(|page| page.ends_with(".md") && page != "SUMMARY.md")
        .collect();
    pages.sort();
    assert_eq!(named, pages);
}

#[test]
fn every_board_that_is_always_tried_is_in_both_pipelines() {
    let project = project();
    let always = project.boards().iter().filter(|b| b.tier == Tier::Smoke);
    let boards: Vec<_> = always.map(|b| b.name.as_str()).collect();
    let list = format!("[{}]", boards.join(", "));
    let root = root();
    for (file, key, times) in [
        (".gitlab-ci.yml", "BOARD: ", 2),
        (".github/workflows/ci.yml", "board: ", 2),
    ] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        let found = text.matches(&format!("{key}{list}")).count();
        assert_eq!(
            found, times,
            "{file}: the matrix of boards is `{key}{list}` in {times} jobs"
        );
    }
    let release = fs::read_to_string(root.join(".gitlab-ci.yml")).unwrap();
    for board in boards {
        let asset = format!("url: $PACKAGE/{board}.img");
        assert!(release.contains(&asset), "the release lacks `{asset}`");
    }
}

/// Pages and headings that the README and the book lead to are there.
#[test]
fn every_link_leads_somewhere() {
    let root = root();
    let mut all = vec![root.join("README.md"), root.join("docs/performance.md")];
    all.extend(pages());
    let mut links = 0;
    for page in &all {
        let text = fs::read_to_string(page).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            links += 1;
            let there = page.parent().unwrap().join(target);
            assert!(there.exists(), "{}: there is no {target}", page.display());
        }
    }
    assert!(links > 20, "only {links} links found");
}

#[test]
fn the_readme_is_short() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let lines = text.lines().count();
    assert!(lines <= 120, "{lines} lines");
}
