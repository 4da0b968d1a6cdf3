//! `docs/conformance/NAME.toml`: the checks of a contract.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::input::{Document, InputError, Pattern, Span, duration};
use crate::timeline::{Power, ServiceId};

/// The checks of a contract.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// The contract, with its age.
    pub contract: String,
    /// Its checks, in order.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// For example `C01`.
    pub id: String,
    /// What the contract states.
    pub states: String,
    /// The scenario whose run shows it; without one the check is open.
    pub scenario: Option<String>,
    /// What must be in the run's record.
    #[serde(default)]
    pub must: Vec<Fact>,
    /// What the original does instead, and with it an initramfs that is told to behave as the original.
    pub compat: Option<Compat>,
    /// Why it is not run, or what the run leaves open.
    pub open: Option<String>,
    /// How what must be in the record differs from what the original does, where it does so on purpose.
    pub differs: Option<String>,
    /// What a reader should know of ours.
    pub remark: Option<String>,
}

/// What a run with `B2C_COMPAT=2022` on the kernel command line must show.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compat {
    /// What the original of 2022 does.
    pub states: String,
    /// The scenario whose run shows it.
    pub scenario: String,
    /// What must be in the run's record.
    pub must: Vec<Fact>,
}

/// A statement about a run's record.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// Containers said these lines, in this order, each behind the run's nonce and a blank.
    Containers(Vec<String>),
    /// A container said a line that matches, behind the run's nonce and a blank.
    Container(Pattern),
    /// No container said a line that matches.
    ContainerNever(Pattern),
    /// A console said a line that matches.
    Console(Pattern),
    /// No console said a line that matches.
    ConsoleNever(Pattern),
    /// What a UART sent, byte for byte, matches.
    Bytes(Pattern),
    /// So many requests came.
    Requests(RequestFact),
    /// Such requests came, and no target was asked for twice with success, over all boots.
    EachOnce(RequestFact),
    /// From the beginning of one such request to that of the next it was so long, or longer.
    Apart {
        /// The requests.
        of: RequestFact,
        /// The least time.
        #[serde(with = "duration")]
        at_least: Duration,
    },
    /// So many DHCP leases were acknowledged, the boot loader's included.
    Leases(usize),
    /// The board's power changed like this.
    Power(Power),
    /// The board powered itself off so long after a line that matches, or later.
    OffAfter {
        /// The line.
        line: Pattern,
        /// The least time.
        #[serde(with = "duration")]
        at_least: Duration,
    },
}

/// Requests that must have come.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestFact {
    /// Who was asked.
    pub service: ServiceId,
    /// Matched against path and query.
    pub target: Pattern,
    /// For example `GET`.
    pub method: Option<String>,
    /// Only in this boot of the board, counted from 1; in all boots by default.
    pub boot: Option<u32>,
    /// The least number.
    #[serde(default)]
    pub at_least: usize,
    /// The greatest number.
    pub at_most: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueFile {
    contract: String,
    check: Vec<Span<Check>>,
}

impl Catalogue {
    /// Reads a catalogue.
    ///
    /// # Errors
    /// The file is wrong; the error names file, line and column.
    pub fn read(path: &Path) -> Result<Self, InputError> {
        let document = Document::read(path)?;
        let file: CatalogueFile = document.parse()?;
        let mut checks: Vec<Check> = Vec::new();
        for check in file.check {
            let span = check.span();
            let check = check.into_inner();
            let problem = if checks.iter().any(|c| c.id == check.id) {
                Some("this check is in the catalogue already")
            } else if check.scenario.is_some() == check.must.is_empty() {
                Some("a check with a scenario says in `must` what its run shows, and no other does")
            } else if check.scenario.is_none() && check.open.is_none() {
                Some("say in `open` why no run shows it")
            } else if check.compat.as_ref().is_some_and(|c| c.must.is_empty()) {
                Some("`compat` says in `must` what its run shows")
            } else {
                None
            };
            if let Some(problem) = problem {
                return Err(document.error_at(span, problem));
            }
            checks.push(check);
        }
        Ok(Self {
            contract: file.contract,
            checks,
        })
    }

    /// The scenarios that the checks need, each once, in order.
    #[must_use]
    pub fn scenarios(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let usual = self.checks.iter().filter_map(|c| c.scenario.as_deref());
        let compat = self.checks.iter().filter_map(|c| c.compat.as_ref());
        for name in usual.chain(compat.map(|c| c.scenario.as_str())) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Board;
    use crate::input::Library;
    use crate::scenario::Scenario;

    fn read(text: &str) -> Result<Catalogue, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        Catalogue::read(&path).map_err(|error| {
            let text = error.to_string();
            text.lines()
                .next()
                .unwrap()
                .rsplit(": ")
                .next()
                .unwrap()
                .to_owned()
        })
    }

    #[test]
    fn the_catalogue_of_the_project_is_right_and_each_scenario_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let catalogue = Catalogue::read(&root.join("docs/conformance/b2c.toml")).unwrap();
        let boards = Board::read_all(&root.join("boards")).unwrap();
        let board = boards.iter().find(|b| b.name == "raspi3b").unwrap();
        let library = Library::folder(root.join("scenarios/b2c"));
        let known = Scenario::read_all_for(library, board, &boards);
        let known: Vec<_> = known.unwrap().into_iter().map(|known| known.name).collect();
        for scenario in catalogue.scenarios() {
            let is_there = known.iter().any(|known| **known == *scenario);
            assert!(is_there, "{scenario} is missing");
        }
    }

    #[test]
    fn a_check_says_what_shows_it_or_why_nothing_does() {
        let check = |rest: &str| {
            read(&format!(
                "contract = \"c\"\n[[check]]\nid = \"C01\"\nstates = \"s\"\n{rest}"
            ))
            .map(|catalogue| catalogue.checks.len())
        };
        assert_eq!(check("open = \"later\""), Ok(1));
        assert_eq!(check("scenario = \"s\"\nmust = [{ leases = 1 }]"), Ok(1));
        assert_eq!(check(""), Err("say in `open` why no run shows it".into()));
        let both = Err(
            "a check with a scenario says in `must` what its run shows, and no other does".into(),
        );
        assert_eq!(check("scenario = \"s\""), both);
        assert_eq!(check("must = [{ leases = 1 }]"), both);
        let compat = "open = \"x\"\ncompat = { states = \"s\", scenario = \"s\", must = [] }";
        assert_eq!(
            check(compat),
            Err("`compat` says in `must` what its run shows".into())
        );
        let twice = "open = \"x\"\n[[check]]\nid = \"C01\"\nstates = \"s\"\nopen = \"x\"";
        assert_eq!(
            check(twice),
            Err("this check is in the catalogue already".into())
        );
    }
}
