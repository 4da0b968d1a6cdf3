//! A scenario: what a file of `scenarios` says, checked against the boards that it is run on.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::boards::Lacking;
use super::boot::Boot;
use super::card::CardRules;
use super::deployment::Deployments;
use super::dhcp::DhcpFiles;
use super::fault::PlannedFault;
use super::journal::Assertion;
use super::named::NamedBoard;
use super::registry::Registry;
use super::services::{Services, Surroundings};
use super::step::Step;
use super::trigger::Trigger;
use super::{Expect, Tls};
use crate::board::{Board, Capability, Stage};
use crate::input::{BoardName, Pattern, ScenarioName, SourceText};
use crate::timeline::BoardId;

/// A scenario, read and checked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The file's name without `.toml`, and that of the variant behind it.
    pub name: ScenarioName,
    /// What it shows, in a few words.
    pub title: String,
    /// When it is run.
    pub tier: Tier,
    /// Words that filters find it by.
    pub tags: Vec<String>,
    /// Names of the boards that it is run on.
    pub boards: Vec<BoardName>,
    /// The boards of a run, if it has several; each run on one of `boards` has them all.
    pub several: Vec<NamedBoard>,
    /// What a board must be able to do for it.
    pub needs: BTreeSet<Capability>,
    /// The boards that it would be run on if they could do that: those of `boards = "all"`.
    pub lacking: Vec<Lacking>,
    /// How the board boots.
    pub boot: Boot,
    /// Which boot file DHCP names to clients that are no iPXE.
    pub dhcp: DhcpFiles,
    /// What is unusual about the TLS between the board and its boot server.
    pub tls: Tls,
    /// What is unusual about the board's firmware.
    pub firmware: Firmware,
    /// How a run must end when it is not by going through the whole chain.
    pub expect: Option<Expect>,
    /// How the registry serves the image.
    pub registry: Registry,
    /// Who plays the servers around the board.
    pub services: Services,
    /// What is done with the board, and what must come of it, in order. Without steps in the file the board is switched on once.
    pub steps: Vec<Step>,
    /// What must be so of the card when the run has ended.
    pub card: Option<CardRules>,
    /// What the boot server hands out in place of what `boot` says, once a step deploys it.
    pub deployments: Deployments,
    /// What goes wrong on purpose.
    pub faults: Vec<PlannedFault>,
    /// What chance is made of where a fault has a share. The same seed does the same again.
    pub seed: u64,
    /// Chance has made the faults, too, of the seed.
    pub is_chaos: bool,
    /// What the servers must have seen when the run has ended.
    pub journal: Vec<Assertion>,
    /// Lines on the console that look like an alarm and belong to this scenario.
    pub harmless: Vec<Pattern>,
    /// The status with which the pipeline of containers must end, unless `[expect]` says how the run ends.
    pub pipeline_status: i32,
    /// The stage up to which runs may share one boot.
    pub checkpoint: Option<String>,
    /// Names of the chain's stages that this scenario does not go through.
    pub(super) without: Vec<String>,
    /// Names of the files that it is made of, without `.toml`: its own, then those that it extends.
    pub files: Vec<String>,
    /// Its file.
    pub source: SourceText,
}
/// How often a scenario is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Always.
    Smoke,
    /// On request, and where images are released.
    Full,
}

/// What is unusual about the board's firmware.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Firmware {
    /// It does not write the network interface's hardware address into the device tree.
    pub leaves_address_out: bool,
}

impl Scenario {
    /// The same with other servers around its boards.
    ///
    /// # Errors
    /// It does not go with them; the error says why and what to do.
    pub fn with_services(&self, services: Services, boards: &[&Board]) -> Result<Self, String> {
        let scenario = Self {
            services,
            ..self.clone()
        };
        scenario.check_services(boards)?;
        Ok(scenario)
    }

    /// What it says goes with who plays the servers.
    pub(super) fn check_services(&self, boards: &[&Board]) -> Result<(), String> {
        if self.deploys() && !self.services.boot.is_played() {
            return Err("steps switch what the boot server hands out, and the boot server is not played by the run: leave `deploy` out, or the server".into());
        }
        let stages: Vec<_> = boards.iter().map(|b| (*b, self.stages(b))).collect();
        let proofs = self.expect.as_ref().map(|expect| expect.proofs.as_slice());
        self.services.check(&Surroundings {
            transport: self.boot.transport,
            tls: &self.tls,
            registry: &self.registry,
            stages: &stages,
            proofs: proofs.unwrap_or_default(),
            faults: &self.faults,
            triggers: &self.triggers().collect::<Vec<_>>(),
        })
    }

    /// What its steps and faults wait for.
    pub(crate) fn triggers(&self) -> impl Iterator<Item = &Trigger> {
        let of_steps = self.steps.iter().filter_map(|step| step.after.as_ref());
        let of_faults = self.faults.iter().flat_map(PlannedFault::triggers);
        of_steps.chain(of_faults.map(|(_, trigger)| trigger))
    }

    /// What is stated of the servers' journals, and whether it can be checked: nobody sees the requests of a forwarded server.
    pub fn assertions(&self) -> impl Iterator<Item = (&Assertion, bool)> {
        self.journal.iter().map(|assertion| {
            let forwarded = self.services.mode(assertion.service()).forward();
            (assertion, forwarded.is_none())
        })
    }

    /// The names of a run's boards; `None` is the one board of a run that has one.
    #[must_use]
    pub fn board_ids(&self) -> Vec<Option<BoardId>> {
        match &*self.several {
            [] => vec![None],
            several => several.iter().map(|b| Some(b.id.clone())).collect(),
        }
    }

    /// The kinds among `boards` that a run on `board` has besides.
    pub fn kinds_beside<'b>(
        &self,
        board: &Board,
        boards: &'b [Board],
    ) -> impl Iterator<Item = &'b Board> {
        let kinds = NamedBoard::kinds(&self.several, boards).into_iter();
        let own = board.name.clone();
        kinds.filter(move |kind| kind.name != own)
    }

    /// The board whose card this one boots from; `None` if it has one of its own.
    #[must_use]
    pub fn card_of(&self, board: Option<&BoardId>) -> Option<&BoardId> {
        self.one_of(board)?.card.as_ref()
    }

    /// Other boards that boot from the same card in turn.
    #[must_use]
    pub fn card_with(&self, board: Option<&BoardId>) -> Vec<BoardId> {
        let owner = |id: &BoardId| self.card_of(Some(id)).unwrap_or(id).clone();
        let Some(own) = board.map(owner) else {
            return Vec::new();
        };
        let ids = self.several.iter().map(|named| &named.id);
        let others = ids.filter(|id| Some(*id) != board && owner(id) == own);
        others.cloned().collect()
    }

    /// The board that this one is behind; `None` if it is on the LAN.
    #[must_use]
    pub fn behind(&self, board: Option<&BoardId>) -> Option<&BoardId> {
        self.one_of(board)?.behind.as_ref()
    }

    /// One of several boards by its name.
    fn one_of(&self, board: Option<&BoardId>) -> Option<&NamedBoard> {
        let mut several = self.several.iter();
        several.find(|named| Some(&named.id) == board)
    }

    /// What chance is made of, if the scenario has faults.
    #[must_use]
    pub fn seed_of_faults(&self) -> Option<u64> {
        (!self.faults.is_empty()).then_some(self.seed)
    }

    /// How many boots a board of a run has.
    #[must_use]
    pub fn boots(&self, board: Option<&BoardId>) -> u32 {
        boots_of(&self.steps, board)
    }

    /// The stages that a run of this scenario on `board` must go through, in order.
    #[must_use]
    pub fn stages(&self, board: &Board) -> Vec<Stage> {
        self.split(board).0
    }

    /// The stage that a run of this scenario on `board` must not reach.
    #[must_use]
    pub fn forbidden(&self, board: &Board) -> Option<Stage> {
        self.split(board).1
    }

    fn split(&self, board: &Board) -> (Vec<Stage>, Option<Stage>) {
        let stages = stages_of(board, &self.without, &self.services);
        match &self.expect {
            Some(expect) => expect.split(stages),
            None => (stages, None),
        }
    }
}

/// The stages of a board that are not left out, with the evidence that such services can give.
pub(super) fn stages_of(board: &Board, without: &[String], services: &Services) -> Vec<Stage> {
    let on_the_way = |stage: &&Stage| !without.contains(&stage.name);
    let stages = board.stages.iter().filter(on_the_way).cloned();
    stages.map(|stage| services.adapted(stage)).collect()
}

/// How many boots of a board these steps make; without any, a board boots once.
pub(super) fn boots_of(steps: &[Step], board: Option<&BoardId>) -> u32 {
    let its = steps.iter().filter(|step| step.board.as_ref() == board);
    let boots = its.map(|step| step.boot + 1).max();
    boots.unwrap_or(u32::from(steps.is_empty()))
}
