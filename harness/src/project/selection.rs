//! Which scenarios and boards of a project are meant.

use super::discovery::Project;
use super::error::ProjectError;
use super::filter::Filter;
use crate::board::Board;
use crate::input::BoardName;
use crate::scenario::{Scenario, Tier};

/// Scenarios with the boards that they are run on.
pub type Runs<'a> = Vec<(&'a Scenario, &'a Board)>;

impl Project {
    /// The pairs of scenario and board that `filters` mean: the scenario of that name, whatever its tier, or every one up to `tier`
    /// whose name contains it; `tag:WORD` is every one with that tag, and `!` before either leaves those out. Without filters every one up to
    /// `tier` that lies in the project; where none does, every one. A board whose own tier is a higher one is meant where it is named.
    ///
    /// # Errors
    /// There is none, or a filter cannot be read.
    pub fn select(
        &self,
        filters: &[String],
        board: Option<&str>,
        tier: Tier,
    ) -> Result<Runs<'_>, ProjectError> {
        let pairs = self.scenarios.iter().flat_map(|scenario| {
            let on = move |name: &BoardName| {
                let board = self.boards.iter().find(|b| &b.name == name);
                board.map(|board| (scenario, board))
            };
            scenario.boards.iter().filter_map(on)
        });
        let filter = Filter::read(filters, |word| {
            self.scenarios.iter().any(|s| s.name == word)
        })?;
        let is_usual = |s: &Scenario| self.own.is_empty() || self.is_own(s);
        let is_wanted = |scenario: &Scenario, board: &Board| {
            filter.means(scenario, board, tier, is_usual(scenario))
        };
        let is_named = |board: &Board| {
            let word = format!("board:{}", board.name);
            filters.iter().any(|filter| filter.contains(&word))
        };
        let wanted: Vec<_> = pairs
            .filter(|(_, b)| match board {
                Some(name) => b.name == name,
                None => b.tier <= tier || is_named(b),
            })
            .filter(|(s, b)| is_wanted(s, b))
            .collect();
        if wanted.is_empty() {
            let scenarios: Vec<_> = self.scenarios.iter().map(|s| s.name.as_str()).collect();
            return Err(ProjectError::NoScenario {
                scenarios: scenarios.join(", "),
                boards: self.board_names(),
            });
        }
        Ok(wanted)
    }

    /// The scenario of this name, on `board` or on its first.
    ///
    /// # Errors
    /// There is no such scenario, or not on this board.
    pub fn one(
        &self,
        scenario: &str,
        board: Option<&str>,
    ) -> Result<(&Scenario, &Board), ProjectError> {
        let pairs = self.select(&[scenario.to_owned()], board, Tier::Full)?;
        let exact = pairs.iter().copied().find(|(s, _)| s.name == scenario);
        exact.ok_or_else(|| {
            let mut like: Vec<_> = pairs.iter().map(|(s, _)| s.name.as_str()).collect();
            like.dedup();
            ProjectError::OnlyLike {
                name: scenario.into(),
                like: like.join(", "),
            }
        })
    }

    /// The scenario of this name, on `board`, or else on the board that the user's defaults name, or else on its first.
    ///
    /// # Errors
    /// Those of [`one`](Self::one).
    pub fn chosen(
        &self,
        scenario: &str,
        board: Option<&str>,
    ) -> Result<(&Scenario, &Board), ProjectError> {
        self.one(scenario, board.or(self.defaults().board.as_deref()))
    }

    /// The board of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn board(&self, name: &str) -> Result<&Board, ProjectError> {
        let board = self.boards.iter().find(|board| board.name == name);
        board.ok_or_else(|| ProjectError::NoBoard {
            name: name.into(),
            boards: self.board_names(),
        })
    }

    fn board_names(&self) -> String {
        let names: Vec<_> = self.boards.iter().map(|b| b.name.as_str()).collect();
        names.join(", ")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::super::discovery::Builtin;
    use super::*;
    use crate::input::BuiltinFile;

    macro_rules! file {
        ($path:literal) => {
            BuiltinFile {
                path: $path,
                text: include_str!(concat!("../../../", $path)),
            }
        };
    }

    /// Some of the files that the program brings.
    pub(in super::super) const BUILTIN: Builtin = Builtin {
        boards: &[
            file!("boards/raspi3b.toml"),
            file!("boards/raspi3b-plus.toml"),
            file!("boards/netboot.chain.toml"),
        ],
        scenarios: &[
            file!("scenarios/alpine-http.toml"),
            file!("scenarios/alpine-https.toml"),
            file!("scenarios/mirror-empty.toml"),
        ],
    };

    #[test]
    fn a_scenario_that_is_named_is_meant_whatever_its_tier() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let project = Project::open(Some(&root), BUILTIN).unwrap();
        let names = |filters: &[&str], tier| {
            let filters: Vec<_> = filters.iter().map(ToString::to_string).collect();
            let selected = project.select(&filters, None, tier);
            let names = selected.into_iter().flatten();
            let names: Vec<_> = names.map(|(s, _)| s.name.to_string()).collect();
            names
        };
        assert_eq!(names(&["mirror-empty"], Tier::Smoke), ["mirror-empty"]);
        assert_eq!(names(&["mirror-emp"], Tier::Smoke), [""; 0]);
        assert_eq!(names(&["mirror-emp"], Tier::Full), ["mirror-empty"]);
        assert!(names(&[], Tier::Smoke).len() < names(&[], Tier::Full).len());
        assert_eq!(names(&["mirror", "!mirror-empty"], Tier::Full), ["mirror"]);
        assert!(!names(&["!mirror-empty"], Tier::Full).contains(&"mirror-empty".to_owned()));
        let tagged = names(&["tag:registry"], Tier::Full);
        assert!(
            tagged.contains(&"registry-429".to_owned())
                && !tagged.contains(&"alpine-http".to_owned()),
            "{tagged:?}"
        );
        assert_eq!(
            names(
                &[
                    "tag:registry & !registry-429 & board:raspi3b",
                    "mirror-empty"
                ],
                Tier::Full
            )
            .iter()
            .filter(|n| *n == "registry-429" || *n == "mirror-empty")
            .collect::<Vec<_>>(),
            ["mirror-empty"]
        );
        // Who asks for a tier in a filter means it, whatever `--tier` says.
        assert!(names(&["tier:full"], Tier::Smoke).contains(&"mirror-empty".to_owned()));
        assert!(
            names(&["mirror & tier:smoke"], Tier::Full)
                .iter()
                .all(|n| n != "mirror-empty")
        );
        assert!(project.one("alpine", None).is_err());
        assert!(
            project
                .board("raspi9")
                .unwrap_err()
                .to_string()
                .contains("raspi3b")
        );
    }

    #[test]
    fn a_project_with_scenarios_runs_its_own_unless_others_are_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("shakedown.toml"), "").unwrap();
        std::fs::create_dir(folder.path().join("scenarios")).unwrap();
        let mine = "extends = \"alpine-http\"\ntitle = \"Mine\"\n";
        std::fs::write(folder.path().join("scenarios/mine.toml"), mine).unwrap();
        let project = Project::open(Some(folder.path()), BUILTIN).unwrap();
        let names = |filters: &[String]| {
            let selected = project.select(filters, None, Tier::Smoke).unwrap();
            selected
                .into_iter()
                .map(|(s, _)| s.name.to_string())
                .collect::<Vec<_>>()
        };
        // On every board that is always tried.
        assert_eq!(names(&[]), ["mine", "mine"]);
        assert_eq!(
            names(&["alpine-https".into()]),
            ["alpine-https", "alpine-https"]
        );
    }
}
