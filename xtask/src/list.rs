//! `shakedown e2e --list`: what would be run, as a matrix of scenarios and boards, and what is not run for want of a capability.

use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;
use shakedown_common::{out, outln};
use shakedown_harness::board::{Board, Capability};
use shakedown_harness::project::Project;
use shakedown_harness::scenario::{Lacking, Scenario, Tier};

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
    /// What the board lacks, and why: the run is not made. Absent for a run that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    lacks: Option<Capability>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<&'a str>,
}

/// Shows the runs, as a matrix or as a JSON array. `board` is the one that was named.
pub(crate) fn run(
    selected: &[(&Scenario, &Board)],
    board: Option<&str>,
    project: &Project,
    json: bool,
) -> Result<()> {
    let mut scenarios: Vec<&Scenario> = Vec::new();
    for (scenario, _) in selected {
        if !scenarios.iter().any(|s| s.name == scenario.name) {
            scenarios.push(scenario);
        }
    }
    let lacking: Vec<_> = scenarios
        .iter()
        .flat_map(|scenario| scenario.lacking.iter().map(|lacking| (*scenario, lacking)))
        .filter(|(_, lacking)| board.is_none_or(|name| lacking.board == name))
        .collect();
    if !json {
        out!("{}", matrix(selected, &lacking));
        return Ok(());
    }
    let entry = |scenario: &'_ Scenario, tier: Tier| {
        let own = project.is_own(scenario);
        (name(tier), own)
    };
    let runs = selected.iter().map(|(scenario, board)| {
        let (tier, own) = entry(scenario, scenario.tier.max(board.tier));
        Entry {
            scenario: &scenario.name,
            board: &board.name,
            title: &scenario.title,
            tier,
            tags: &scenario.tags,
            own,
            lacks: None,
            because: None,
        }
    });
    let others = lacking.iter().map(|(scenario, lacking)| {
        let (tier, own) = entry(scenario, scenario.tier);
        Entry {
            scenario: &scenario.name,
            board: &lacking.board,
            title: &scenario.title,
            tier,
            tags: &scenario.tags,
            own,
            lacks: Some(lacking.capability),
            because: Some(&lacking.because),
        }
    });
    let entries: Vec<_> = runs.chain(others).collect();
    outln!("{}", serde_json::to_string_pretty(&entries)?);
    Ok(())
}

fn name(tier: Tier) -> &'static str {
    match tier {
        Tier::Smoke => "smoke",
        Tier::Full => "full",
    }
}

/// A line for each scenario, a column for each board: the tier of the run, or the number of the reason why there is none.
fn matrix(selected: &[(&Scenario, &Board)], lacking: &[(&Scenario, &Lacking)]) -> String {
    let mut boards: Vec<&str> = Vec::new();
    let mut scenarios: Vec<&Scenario> = Vec::new();
    let mut reasons: Vec<String> = Vec::new();
    for (scenario, board) in selected {
        if !boards.contains(&board.name.as_str()) {
            boards.push(&board.name);
        }
        if !scenarios.iter().any(|s| s.name == scenario.name) {
            scenarios.push(scenario);
        }
    }
    for (_, lacking) in lacking {
        if !boards.contains(&lacking.board.as_str()) {
            boards.push(&lacking.board);
        }
        let reason = lacking.to_string();
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let cell = |scenario: &Scenario, board: &str| {
        let run = selected
            .iter()
            .find(|(s, b)| s.name == scenario.name && b.name == board);
        if let Some((scenario, board)) = run {
            return name(scenario.tier.max(board.tier)).to_owned();
        }
        let lack = lacking
            .iter()
            .find(|(s, lacking)| s.name == scenario.name && lacking.board == board);
        let number = lack.and_then(|(_, lacking)| {
            let reason = lacking.to_string();
            reasons.iter().position(|known| *known == reason)
        });
        number.map_or_else(|| "-".into(), |number| format!("[{}]", number + 1))
    };
    let width = scenarios.iter().map(|s| s.name.len()).max().unwrap_or(0);
    let mut text = format!("{:width$}", "");
    for board in &boards {
        let _ = write!(text, "  {board:5}");
    }
    text += "  title\n";
    for scenario in scenarios {
        let _ = write!(text, "{:width$}", scenario.name);
        for board in &boards {
            let width = board.len().max(5);
            let _ = write!(text, "  {:width$}", cell(scenario, board));
        }
        let _ = writeln!(text, "  {}", scenario.title);
    }
    for (number, reason) in (1..).zip(&reasons) {
        let _ = writeln!(text, "[{number}] not run: {reason}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_is_missing_and_why_is_in_the_matrix() {
        let folder = tempfile::tempdir().unwrap();
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for entry in std::fs::read_dir(project.join("boards")).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        for name in std::fs::read_dir(folder.path()).unwrap().flatten() {
            let name = name.file_name().into_string().unwrap();
            let keeps = ["raspi3b.toml", "virt-uefi.toml"].contains(&name.as_str());
            if !keeps && !name.ends_with(".chain.toml") {
                std::fs::remove_file(folder.path().join(name)).unwrap();
            }
        }
        let boards = Board::read_all(folder.path()).unwrap();
        let scenarios = folder.path().join("scenarios");
        std::fs::create_dir(&scenarios).unwrap();
        let base = "scenarios/alpine-http.toml";
        std::fs::copy(project.join(base), folder.path().join(base)).unwrap();
        let mine =
            "extends = \"alpine-http\"\ntitle = \"On a card\"\nneeds = [\"ipxe\", \"sd-card\"]\n";
        std::fs::write(scenarios.join("card.toml"), mine).unwrap();
        let all = Scenario::read_all(&*scenarios, &boards).unwrap();
        let on = |s: &Scenario, b: &Board| s.boards.contains(&b.name);
        let selected: Vec<_> = all
            .iter()
            .flat_map(|s| boards.iter().map(move |b| (s, b)))
            .filter(|(s, b)| on(s, b))
            .collect();
        let lacking: Vec<_> = all
            .iter()
            .flat_map(|s| s.lacking.iter().map(move |l| (s, l)))
            .collect();
        insta::assert_snapshot!(matrix(&selected, &lacking), @r"
                     raspi3b  virt-uefi  title
        alpine-http  smoke    full       Alpine over plain HTTP
        card         smoke    [1]        On a card
        [1] not run: virt-uefi lacks sd-card: its disk is not an SD card
        ");
    }
}
