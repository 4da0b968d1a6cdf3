//! What people and pipelines are shown when the runs have ended.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result};
use shakedown_common::errln;
use shakedown_harness::folder::RunFolder;
use shakedown_harness::project::Project;
use shakedown_harness::report::html::write_index;
use shakedown_harness::report::{
    Attempts, ending_text, failure_text, github, gitlab, junit, limitations_text, statistics_table,
    summary_table,
};

use super::args::RunArgs;
use super::runs::{Execution, Made, Planned, run_all};

/// Makes the runs, and shows what came of them.
pub(crate) fn carry_out(
    project: &Project,
    planned: &[Planned<'_>],
    args: &RunArgs,
    execution: Execution,
) -> Result<Made> {
    let known = project.known_failures()?;
    if let Some(planned) = planned.iter().find(|p| p.serves_stand_in()) {
        errln!("note: {}", planned.parts.container.source);
    }
    if let Err(e) = RunFolder::prune(project.runs_folder(), SystemTime::now())
        && e.kind() != std::io::ErrorKind::NotFound
    {
        errln!("note: old runs cannot be removed: {e}");
    }
    let begun = Instant::now();
    let mut made = run_all(project, planned, args, execution)?;
    let runs = &mut made.runs;
    let took = begun.elapsed().as_secs_f64();
    let notes = known.mark_today(runs);
    let index = write_results(project, planned, runs, args)?;
    let mut text = results_text(runs, args.width());
    if runs.len() > 1 {
        text += &format!("{took:.0} s, {} at a time\n", execution.jobs);
    }
    text += &limitations_text(runs.iter().map(|run| &run.last));
    text += &notes;
    text += &format!("all runs: {}", index.display());
    args.say(&text);
    if let Some(error) = &made.unable {
        errln!("error: a run could not begin: {error}");
    }
    Ok(made)
}

/// The tables, and what there is to say of each run.
fn results_text(runs: &[Attempts], width: usize) -> String {
    let mut text = format!("\n{}\n", summary_table(runs, width));
    let all: Vec<_> = runs.iter().flat_map(Attempts::all).collect();
    text += &statistics_table(&all);
    if std::env::var("GITLAB_CI").as_deref() == Ok("true") {
        let sections = runs.iter().enumerate();
        return sections.fold(text, |text, (n, run)| text + &gitlab::section(run, n));
    }
    for run in runs {
        if let Some(known) = &run.known {
            text += &format!(
                "{} on {}: known failure: {known}\n\n",
                run.name(),
                run.last.board
            );
        } else if let Some(failure) = &run.last.failure {
            text += &failure_text(&run.last, failure);
            text.push('\n');
        }
        if let Some(ending) = &run.last.ending {
            text += &ending_text(&run.last, ending);
            text.push('\n');
        }
    }
    text
}

/// Writes the results for pipelines and the index, and returns where the index is.
fn write_results(
    project: &Project,
    planned: &[Planned<'_>],
    runs: &[Attempts],
    args: &RunArgs,
) -> Result<PathBuf> {
    let runs_folder = project.runs_folder();
    let junit_file = args.junit.clone();
    let junit_file = junit_file.unwrap_or_else(|| runs_folder.join("junit.xml"));
    // GitLab takes the paths of attachments for relative to the repository, which a project may be a folder of.
    let root = std::env::var_os("CI_PROJECT_DIR").map(PathBuf::from);
    let root = root.filter(|root| project.root().starts_with(root));
    let root = root.as_deref().unwrap_or(project.root());
    std::fs::write(&junit_file, junit(runs, root)?)
        .with_context(|| format!("cannot write {}", junit_file.display()))?;
    annotate(project, planned, runs)?;
    Ok(write_index(runs_folder)?)
}

/// Tells GitHub, if it is who runs this: a summary of the job, and an annotation at the scenario of each run that did not pass.
fn annotate(project: &Project, planned: &[Planned<'_>], runs: &[Attempts]) -> Result<()> {
    if let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty()) {
        let opened = std::fs::File::options()
            .append(true)
            .create(true)
            .open(&file);
        let written = opened.and_then(|mut file| file.write_all(github::summary(runs).as_bytes()));
        written.with_context(|| format!("cannot write {}", file.display()))?;
    }
    if std::env::var("GITHUB_ACTIONS").as_deref() == Ok("true") {
        for run in runs {
            let is_its = |p: &&Planned<'_>| *p.scenario.name == *run.last.scenario;
            let scenario = planned.iter().find(is_its).map(|p| p.scenario);
            // A variant is in the file of all of them; one that is built in has none.
            let file = scenario.and_then(|scenario| scenario.files.first());
            let file = file.map(|name| project.scenarios_folder().join(format!("{name}.toml")));
            let file = file.filter(|file| file.is_file());
            let relative = file
                .as_deref()
                .map(|file| file.strip_prefix(project.root()).unwrap_or(file));
            if let Some(line) = github::annotation(run, relative) {
                errln!("{line}");
            }
        }
    }
    Ok(())
}
