//! `cargo xtask docs`: the book's reference pages and the JSON Schemas, which are made of the code. With `--check` says what is out of step.

mod commands;
mod environment;
mod exit_codes;
mod keys;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use shakedown_common::outln;
use shakedown_harness::folder::RunFolder;
use shakedown_harness::schema;
use shakedown_harness::shell::OurCommand;

use crate::globals::Globals;

/// The folder of the generated pages.
const REFERENCE: &str = "docs/book/src/reference";

/// Arguments of `docs`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; say which files differ from the code, and end with 1 if one does.
    #[arg(long)]
    check: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let project = globals.project()?;
    let root = project.root();
    ensure!(
        root.join("docs/book").is_dir(),
        "{} has no docs/book: this command is for a clone of Shakedown",
        root.display()
    );
    let mut stale = Vec::new();
    for (path, text) in all() {
        let file = root.join(&path);
        if fs::read_to_string(&file).is_ok_and(|there| there == text) {
            continue;
        }
        if !args.check {
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
            outln!("wrote {}", path.display());
        }
        stale.push(path);
    }
    if !args.check || stale.is_empty() {
        outln!("the reference pages and schemas are those of the code");
        return Ok(ExitCode::SUCCESS);
    }
    for path in stale {
        outln!(
            "{} is out of step: run `{}`",
            path.display(),
            OurCommand("docs")
        );
    }
    Ok(ExitCode::FAILURE)
}

/// Every generated file, by its path in the project.
pub(super) fn all() -> Vec<(PathBuf, String)> {
    let page = |name: &str, text| (PathBuf::from(REFERENCE).join(name), text);
    let schemas = schema::all().into_iter();
    let schemas = schemas.map(|(file, text)| (PathBuf::from(schema::FOLDER).join(file), text));
    [
        page("commands.md", commands::page()),
        page("keys.md", keys::page()),
        page("environment.md", environment::page()),
        page("files.md", files()),
        page("exit-codes.md", exit_codes::page()),
    ]
    .into_iter()
    .chain(schemas)
    .collect()
}

fn files() -> String {
    let mut out = head("Files of a run");
    out += "Each run leaves a folder below `target/shakedown` (`runs` in `shakedown.toml` moves it).\n\n";
    out += &table(
        ["file", "what it holds"],
        RunFolder::FILES
            .iter()
            .map(|(name, about)| [format!("`{name}`"), (*about).into()]),
    );
    out
}

/// The head of a generated page.
fn head(title: &str) -> String {
    format!(
        "<!-- Made of the code by `cargo xtask docs`; a test keeps it in step. -->\n\n# {title}\n\n"
    )
}

/// A table of Markdown.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let line =
        |cells: [String; N]| format!("| {} |\n", cells.map(|cell| cell_text(&cell)).join(" | "));
    let mut out = line(head.map(str::to_owned));
    out += &line(head.map(|_| "---".to_owned()));
    out.extend(rows.map(line));
    out
}

/// What a cell may hold: one line, in which a bar ends nothing.
fn cell_text(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").replace('|', r"\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_pages_are_those_of_the_code() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for (path, text) in all() {
            let there = fs::read_to_string(root.join(&path)).unwrap_or_default();
            assert!(
                there == text,
                "{} is out of step: run `cargo xtask docs`",
                path.display()
            );
        }
    }

    #[test]
    fn a_cell_is_one_line() {
        let rows = [["a|b".to_owned(), "c\n  d".to_owned()]];
        assert_eq!(
            table(["x", "y"], rows.into_iter()),
            "| x | y |\n| --- | --- |\n| a\\|b | c d |\n"
        );
    }
}
