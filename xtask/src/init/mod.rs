//! `shakedown init`: makes a folder a project. What is there already is left as it is.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::ValueEnum;
use shakedown_common::outln;
use shakedown_harness::project::{PROJECT_FILE, Project};
use shakedown_harness::shell::OurCommand;

use crate::globals::{BUILTIN, Globals};

/// The scenario that a new project has.
const SCENARIO: &str = "scenarios/reaches-its-container.toml";

/// Arguments of `init`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder; by default that of `--project`, else the current one.
    folder: Option<PathBuf>,
    /// The pipeline to write; by default that of the folder's git remote, else GitHub's.
    #[arg(long)]
    ci: Option<Pipeline>,
}

/// Pipelines that boot the project's scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Pipeline {
    /// A workflow of GitHub's.
    Github,
    /// A file that `.gitlab-ci.yml` includes.
    Gitlab,
    /// None.
    None,
}

/// Runs the command.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let folder = args.folder.as_ref().or(globals.project.as_ref());
    let folder = folder.map_or(Path::new("."), PathBuf::as_path);
    let pipeline = args.ci.unwrap_or_else(|| Pipeline::of(folder));
    for (path, text) in files(pipeline) {
        let written = write_new(&folder.join(path), text)?;
        outln!("{} {path}", if written { "wrote" } else { "kept " });
    }
    let ignored = ignore_runs(&folder.join(".gitignore"))?;
    outln!("{} .gitignore", if ignored { "wrote" } else { "kept " });
    // What was written, or was there, must be right.
    Project::open(Some(folder), BUILTIN)?;
    if pipeline == Pipeline::Gitlab {
        outln!("next: include .gitlab/shakedown.yml in .gitlab-ci.yml; its head says how");
    }
    outln!("next: {}", OurCommand("e2e"));
    Ok(ExitCode::SUCCESS)
}

impl Pipeline {
    /// The one that a folder's remote runs.
    fn of(folder: &Path) -> Self {
        let config = fs::read_to_string(folder.join(".git/config")).unwrap_or_default();
        let is_gitlab = config.contains("gitlab") || folder.join(".gitlab-ci.yml").exists();
        match is_gitlab {
            true => Self::Gitlab,
            false => Self::Github,
        }
    }

    fn file(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Github => Some((
                ".github/workflows/shakedown.yml",
                include_str!("github.yml"),
            )),
            Self::Gitlab => Some((".gitlab/shakedown.yml", include_str!("gitlab.yml"))),
            Self::None => None,
        }
    }
}

/// Names and texts of what a new project has.
fn files(pipeline: Pipeline) -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        (PROJECT_FILE, include_str!("shakedown.toml")),
        (SCENARIO, include_str!("scenario.toml")),
    ]
    .into_iter()
    .chain(pipeline.file())
}

/// Writes a file that is not there yet; `false` if it is.
fn write_new(path: &Path, text: &str) -> Result<bool> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    match fs::File::create_new(path) {
        Ok(mut file) => file
            .write_all(text.as_bytes())
            .map(|()| true)
            .with_context(|| format!("cannot write {}", path.display())),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e).with_context(|| format!("cannot write {}", path.display())),
    }
}

/// Keeps the records of runs out of git; `false` if they are already.
fn ignore_runs(path: &Path) -> Result<bool> {
    const LINE: &str = "/target/shakedown/";
    let text = fs::read_to_string(path).unwrap_or_default();
    let covers = [LINE, "/target/", "/target", "target/", "target"];
    if text.lines().any(|line| covers.contains(&line.trim())) {
        return Ok(false);
    }
    let gap = match text.is_empty() || text.ends_with('\n') {
        true => "",
        false => "\n",
    };
    fs::write(path, format!("{text}{gap}{LINE}\n"))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn init(folder: &Path, ci: Option<Pipeline>) {
        let args = Args {
            folder: Some(folder.into()),
            ci,
        };
        let globals = Globals {
            color: shakedown_common::view::Color::Never,
            project: None,
        };
        run(&args, &globals).unwrap();
    }

    #[test]
    fn a_new_project_has_a_scenario_of_its_own_that_extends_ours() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path(), Some(Pipeline::None));
        let project = Project::open(Some(folder.path()), BUILTIN).unwrap();
        let all = project.select(&[], None, shakedown_harness::scenario::Tier::Smoke);
        let all: Vec<_> = all
            .unwrap()
            .iter()
            .map(|(s, _)| s.name.to_string())
            .collect();
        // On each board of the scenario that it extends.
        assert!(!all.is_empty());
        assert!(all.iter().all(|name| name == "reaches-its-container"));
        assert!(!folder.path().join(".github").exists());
    }

    #[test]
    fn what_is_there_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (file, ignore) = (
            folder.path().join(PROJECT_FILE),
            folder.path().join(".gitignore"),
        );
        fs::write(&file, "runs = \"out\"\n").unwrap();
        fs::write(&ignore, "*.o").unwrap();
        init(folder.path(), None);
        init(folder.path(), None);
        assert_eq!(fs::read_to_string(&file).unwrap(), "runs = \"out\"\n");
        assert_eq!(
            fs::read_to_string(&ignore).unwrap(),
            "*.o\n/target/shakedown/\n"
        );
        assert!(
            folder
                .path()
                .join(".github/workflows/shakedown.yml")
                .exists()
        );
    }

    #[test]
    fn the_pipeline_is_that_of_the_remote() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Pipeline::of(folder.path()), Pipeline::Github);
        fs::create_dir(folder.path().join(".git")).unwrap();
        let remote = "[remote \"origin\"]\n\turl = git@gitlab.example:a/b.git\n";
        fs::write(folder.path().join(".git/config"), remote).unwrap();
        assert_eq!(Pipeline::of(folder.path()), Pipeline::Gitlab);
    }
}
