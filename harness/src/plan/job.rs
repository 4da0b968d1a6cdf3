//! What a run is made of, and what is wanted of it.

use std::path::PathBuf;
use std::sync::Arc;

use super::{HostForward, Parts};
use crate::board::{Board, Stage};
use crate::error::RunError;
use crate::evidence::Symbols;
use crate::judge::{JudgePlan, JudgedBoard, Source};
use crate::mac::Mac;
use crate::report::Turn;
use crate::scenario::{NamedBoard, Scenario, Step};
use crate::timeline::{BoardId, TIMELINE_VERSION};

/// A run that is wanted.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The board.
    pub board: &'a Board,
    /// The scenario.
    pub scenario: &'a Scenario,
    /// What it is made of.
    pub parts: &'a Parts,
    /// The other kinds of boards that the scenario names, and what they are made of.
    pub others: &'a [(Board, Parts)],
    /// What the board starts with.
    pub start: Start,
    /// The run's folder: transcript, journal, report. It is made if need be.
    pub folder: PathBuf,
    /// Leave the card, which holds the board's private key, and the other working files in the folder, and a board that has
    /// failed on until the user stops the run.
    pub keep: bool,
    /// Where boards are kept that have come to a stage, for other runs to go on from; without it, this one boots in whole.
    pub checkpoints: Option<PathBuf>,
    /// What is rarely wanted.
    pub extras: Extras,
    /// The command that runs the same again.
    pub reproduce: String,
}

/// A board of a run.
#[derive(Debug, Clone)]
pub(crate) struct Member<'a> {
    /// Its name; `None` where a run has one.
    pub(crate) id: Option<BoardId>,
    /// What kind it is.
    pub(crate) board: &'a Board,
    /// What it is made of.
    pub(crate) parts: &'a Parts,
}

/// What is rarely wanted of a run.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// Listen for a debugger, which is then left to start the board.
    pub gdb: bool,
    /// Put the disk image into the bundle of a failed run.
    pub bundle_image: bool,
    /// Keep what is in the memory of a board whose run has failed.
    pub dump_memory: bool,
    /// The names of the kernel's functions, by which it is said where a board hangs.
    pub symbols: Option<Arc<Symbols>>,
    /// Whether the image is held to the specification before it is booted.
    pub image_check: ImageCheck,
    /// Which of several runs of the same it is.
    pub turn: Turn,
    /// The board's hardware address, of another run that must be made once more; any of its vendor's by default.
    pub mac: Option<Mac>,
    /// Ports of this machine that lead to ports of the board.
    pub forwards: Vec<HostForward>,
}

/// Whether an image is held to the specification before it is booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImageCheck {
    /// It is one of ours.
    #[default]
    None,
    /// An image that breaks a rule which binds has failed.
    Must,
    /// What it breaks is said, and it is booted.
    BootAnyway,
}

/// What the board starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The card, by way of firmware, boot loader and iPXE.
    Card,
    /// Kernel and initramfs at once, as a yardstick for the chain.
    Direct {
        /// The kernel command line.
        append: String,
        /// What is plugged into the board's USB port.
        nic: Nic,
    },
}

/// A network interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nic {
    /// The board's own, on the LAN.
    Board,
    /// QEMU's own on QEMU's user network, as a yardstick for the board's. Nothing is on the LAN then.
    Emulator,
}

impl Job<'_> {
    /// The stages of this run: a direct start has none before Linux.
    #[must_use]
    pub fn stages(&self) -> Vec<Stage> {
        let stages = self.scenario.stages(self.board);
        match self.start {
            Start::Card => stages,
            Start::Direct { .. } => {
                let is_linux = |s: &Stage| s.name == "Linux";
                let first = stages.iter().position(is_linux).unwrap_or(0);
                stages.into_iter().skip(first).collect()
            }
        }
    }

    /// The boards of this run, in the order of their plugs.
    ///
    /// # Errors
    /// [`RunError::UnknownBoard`]: the scenario names a kind that is not among the others.
    pub(crate) fn members(&self) -> Result<Vec<Member<'_>>, RunError> {
        if self.scenario.several.is_empty() {
            return Ok(vec![Member {
                id: None,
                board: self.board,
                parts: self.parts,
            }]);
        }
        let member = |named: &NamedBoard| {
            let others = self.others.iter().map(|(board, _)| board);
            let kind = named.kind_among(self.board, others);
            let board = kind.ok_or_else(|| RunError::UnknownBoard {
                scenario: self.scenario.name.to_string(),
                board: named.kind.iter().map(ToString::to_string).collect(),
            })?;
            let of_kind = self
                .others
                .iter()
                .find(|(other, _)| other.name == board.name);
            Ok(Member {
                id: Some(named.id.clone()),
                board,
                parts: of_kind.map_or(self.parts, |(_, parts)| parts),
            })
        };
        self.scenario.several.iter().map(member).collect()
    }

    /// The error of a scenario with several boards in a place that has one: `here`, for example `on the desk`.
    pub(crate) fn several_boards(&self, here: &'static str) -> RunError {
        RunError::SeveralBoards {
            scenario: self.scenario.name.to_string(),
            here,
        }
    }

    /// The stages of this run up to the one of this name; none if it has no such stage.
    pub(crate) fn stages_until(&self, name: &str) -> Vec<Stage> {
        let mut stages = self.stages();
        let last = stages.iter().position(|s| s.name == name);
        stages.truncate(last.map_or(0, |i| i + 1));
        stages
    }

    /// The names of all stages of this run, in order: those of several boards and of later boots say which.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.plan().labels()
    }

    /// What this run is judged by.
    pub(crate) fn judge_plan(&self, nonce: &str, layers: &[String]) -> JudgePlan {
        self.plan().knowing(Some(nonce), layers)
    }

    /// The same without what only the run can know.
    pub(crate) fn plan(&self) -> JudgePlan {
        let source = Source::Run {
            version: TIMELINE_VERSION,
        };
        if self.start == Start::Card {
            let boards = self.members().unwrap_or_default().into_iter();
            let boards = boards.map(|member| JudgedBoard {
                stages: self.scenario.stages(member.board),
                id: member.id,
                board: member.board,
            });
            let boards: Vec<_> = boards.collect();
            return JudgePlan::of_boards(self.scenario, &boards, source);
        }
        // A direct start is one boot. It leaves the boot server alone, so nothing is stated of it.
        let mut scenario = self.scenario.clone();
        scenario.steps = vec![Step::switch_on(None)];
        let mut plan = JudgePlan::of_scenario(&scenario, self.board, self.stages(), source);
        plan.journal.clear();
        plan
    }
}
