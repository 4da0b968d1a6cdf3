//! `scenarios/NAME.toml`.

use std::path::Path;

use serde::Deserialize;

use crate::board::{Board, Stage};
use crate::input::{Document, InputError, Span, toml_files};

/// A scenario, read and checked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The file's name without `.toml`.
    pub name: String,
    /// What it shows, in a few words.
    pub title: String,
    /// When it is run.
    pub tier: Tier,
    /// Names of the boards that it is run on.
    pub boards: Vec<String>,
    /// How the board boots.
    pub boot: Boot,
    /// Names of the chain's stages that this scenario does not go through.
    without: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioFile {
    title: String,
    tier: Tier,
    boards: Vec<Span<String>>,
    boot: Boot,
    #[serde(default)]
    without: Vec<Span<String>>,
}

/// How often a scenario is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Always.
    Smoke,
    /// On request, and where images are released.
    Full,
}

/// How the board boots.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// How iPXE reaches the boot server.
    pub transport: Transport,
    /// The boot server's name in the LAN's DNS.
    pub server: String,
    /// The boot script, `boot.ipxe`, as the boot server's data root holds it.
    pub script: String,
    /// The container image's name, as in `docker.io/library/alpine:latest`.
    pub container: String,
}

/// How iPXE reaches the boot server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Mutual TLS with the identity on the card.
    Https,
    /// Plain HTTP, told by DHCP.
    Http,
}

impl Scenario {
    /// Reads every scenario of `folder`, sorted by name, and checks what they say of `boards`.
    ///
    /// # Errors
    /// A file is wrong; the error names file, line and column.
    pub fn read_all(folder: &Path, boards: &[Board]) -> Result<Vec<Self>, InputError> {
        toml_files(folder)?
            .iter()
            .map(|path| Self::read_file(path, boards))
            .collect()
    }

    fn read_file(path: &Path, boards: &[Board]) -> Result<Self, InputError> {
        let document = Document::read(path)?;
        let file: ScenarioFile = document.parse()?;
        for name in &file.boards {
            let Some(board) = boards.iter().find(|b| &b.name == name.get_ref()) else {
                let known: Vec<_> = boards.iter().map(|b| b.name.as_str()).collect();
                let message = format!(
                    "there is no board \"{}\"; there is: {}",
                    name.get_ref(),
                    known.join(", ")
                );
                return Err(document.error_at(name.span(), &message));
            };
            for stage in &file.without {
                if !board.stages.iter().any(|s| &s.name == stage.get_ref()) {
                    let message = format!(
                        "the chain of board {} has no stage \"{}\" to leave out",
                        board.name,
                        stage.get_ref()
                    );
                    return Err(document.error_at(stage.span(), &message));
                }
            }
        }
        Ok(Self {
            name: document.name(),
            title: file.title,
            tier: file.tier,
            boards: file.boards.into_iter().map(Span::into_inner).collect(),
            boot: file.boot,
            without: file.without.into_iter().map(Span::into_inner).collect(),
        })
    }

    /// The stages that a run of this scenario on `board` goes through, in order.
    #[must_use]
    pub fn stages(&self, board: &Board) -> Vec<Stage> {
        board
            .stages
            .iter()
            .filter(|stage| !self.without.contains(&stage.name))
            .cloned()
            .collect()
    }
}
