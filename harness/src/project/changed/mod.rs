//! `e2e --changed`: the runs that a change can affect, by the paths of the files that it touches.

mod git;
mod reach;

use std::path::Path;

pub use git::ChangedError;
use git::{commit, paths_since};
use reach::{choose, explanation};

use super::selection::Runs;

/// The runs of `selected` that what has changed since `base` can affect; by default since the branch left the one it is made for. With them
/// comes what people are told: which and why, and what is left out.
///
/// # Errors
/// git cannot say what has changed.
pub fn affected<'a>(
    selected: Runs<'a>,
    root: &Path,
    base: Option<&str>,
) -> Result<(Runs<'a>, String), ChangedError> {
    let base = commit(root, base)?;
    let paths = paths_since(root, &base)?;
    let names: Vec<_> = selected
        .iter()
        .map(|(s, b)| (s.name.as_str(), b.name.as_str()))
        .collect();
    let uses = |scenario: &str, file: &str| {
        let scenario = selected.iter().find(|(s, _)| s.name == scenario);
        scenario.is_some_and(|(s, _)| s.files.iter().any(|f| f == file))
    };
    let choice = choose(&paths, &names, uses);
    let text = explanation(&base, paths.len(), &names, &choice);
    let runs = selected.into_iter().zip(&choice.reasons);
    let affected = runs.filter_map(|(run, reason)| reason.is_some().then_some(run));
    Ok((affected.collect(), text))
}
