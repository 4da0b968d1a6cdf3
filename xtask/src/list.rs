//! `shakedown e2e --list`: what would be run.

use anyhow::Result;
use serde::Serialize;
use shakedown_harness::board::Board;
use shakedown_harness::project::Project;
use shakedown_harness::scenario::{Scenario, Tier};

/// A run that would be made. The fields are what programs read; none goes away.
#[derive(Serialize)]
struct Entry<'a> {
    scenario: &'a str,
    board: &'a str,
    title: &'a str,
    tier: &'static str,
    tags: &'a [String],
    /// It lies in the project; the others are built in.
    own: bool,
}

/// Shows the runs, a line each or as a JSON array.
pub(crate) fn run(selected: &[(&Scenario, &Board)], project: &Project, json: bool) -> Result<()> {
    let entries = selected.iter().map(|(scenario, board)| Entry {
        scenario: &scenario.name,
        board: &board.name,
        title: &scenario.title,
        tier: match scenario.tier {
            Tier::Smoke => "smoke",
            Tier::Full => "full",
        },
        tags: &scenario.tags,
        own: project.is_own(scenario),
    });
    let entries: Vec<_> = entries.collect();
    if json {
        println!("{}", serde_json::to_string_pretty(&entries)?);
        return Ok(());
    }
    let width = entries.iter().map(|e| e.scenario.len()).max().unwrap_or(0);
    for entry in &entries {
        println!(
            "{:width$}  on {}  {:5}  {}",
            entry.scenario, entry.board, entry.tier, entry.title
        );
    }
    Ok(())
}
