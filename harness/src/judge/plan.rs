//! What a run is judged by.

use std::time::Duration;

use crate::alarm::Alarms;
use crate::board::{Board, ContainerMarks, Evidence, Stage};
use crate::input::Pattern;
use crate::scenario::{Assertion, Await, BootEnd, CardRules, Expect, Scenario, Step, end_of};
use crate::services::Digest;
use crate::timeline::{BoardId, Power};

/// How much earlier than a serial line an event of ours may be recorded that came after it: a line takes its time through a UART, and
/// our events take none. As long may a UART still speak after the board has stopped.
pub const OVERTAKING: Duration = Duration::from_secs(3);

/// The longest wait for progress once the console has said what is wrong.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Hex digits of a nonce.
const NONCE_DIGITS: usize = 32;

/// What a run is judged by.
#[derive(Debug, Clone)]
pub struct JudgePlan {
    /// Where the records come from.
    pub source: Source,
    /// What each boot must do, in order.
    pub boots: Vec<BootPlan>,
    /// What is done with the boards, and what must come of it, in order. Records of another source than a run have none.
    pub steps: Vec<Step>,
    /// What the servers must have seen when the run has ended.
    pub journal: Vec<Assertion>,
    /// What must be so of each board's card when the run has ended.
    pub card: Option<CardRules>,
    /// The container says the same at each boot: its registry is not the run's.
    pub has_one_nonce: bool,
}

/// Where records come from, and hence what they can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A run of ours.
    Run {
        /// The version of its timeline ([`TIMELINE_VERSION`](crate::timeline::TIMELINE_VERSION)).
        version: u32,
    },
    /// A serial log: nothing of network, servers and power.
    SerialLog {
        /// Its times are times, not numbers of lines.
        has_times: bool,
    },
}

/// A board that is judged.
#[derive(Debug, Clone)]
pub struct JudgedBoard<'a> {
    /// Its name; `None` where a run has one.
    pub id: Option<BoardId>,
    /// What kind it is.
    pub board: &'a Board,
    /// The stages that its boots go through, or as many of them as their steps say.
    pub stages: Vec<Stage>,
}

/// What one boot of one board must do.
#[derive(Debug, Clone)]
pub struct BootPlan {
    /// The board; `None` where a run has one.
    pub board: Option<BoardId>,
    /// Which boot of it, counted from 0.
    pub boot: u32,
    /// The board that it is behind: nobody sees what it does on its network.
    pub behind: Option<BoardId>,
    /// Other boards that boot from the same card in turn: what they have fetched may be on it.
    pub card_with: Vec<BoardId>,
    /// The stages that must be reached, in order.
    pub stages: Vec<Stage>,
    /// What makes its end a good one.
    pub end: EndPlan,
    /// How the console shows where the container speaks.
    pub container: Option<ContainerMarks>,
    /// What the container says if it is the registry's, one of these: an image that another board fetches for this one has the nonce of one of
    /// that board's boots. None where nobody knows, as of a serial log.
    pub nonces: Vec<String>,
    /// Digests of the container image's layers, `sha256:…`.
    pub layers: Vec<String>,
    /// What the console must never say, and what lines mean.
    pub alarms: Alarms,
    /// Lines that look like an alarm and belong to the scenario.
    pub harmless: Vec<Pattern>,
    /// Names of the alarms that a step awaits.
    pub expected_alarms: Vec<String>,
    /// Changes of the board's power, of its own doing, that a step awaits.
    pub expected_power: Vec<Power>,
}

/// What makes the end of a boot a good one.
#[derive(Debug, Clone)]
pub enum EndPlan {
    /// The whole chain, and the pipeline's status.
    Chain {
        /// The status that the initramfs must say; `None` where it is of no interest.
        status: Option<i32>,
    },
    /// What the scenario expects in its place.
    Expected {
        /// The expectation.
        expect: Expect,
        /// The stage that must not be reached.
        forbidden: Option<Box<Stage>>,
    },
    /// Its steps have been done, or one of them takes its power away. How far it comes by then is of no interest.
    Open,
}

impl JudgePlan {
    /// A scenario on a board, whose boots go through `stages`, or through as many of them as their steps say. If the scenario has several
    /// boards, each is of this kind.
    #[must_use]
    pub fn of_scenario(
        scenario: &Scenario,
        board: &Board,
        stages: Vec<Stage>,
        source: Source,
    ) -> Self {
        let judged = |id| JudgedBoard {
            id,
            board,
            stages: stages.clone(),
        };
        let boards: Vec<_> = scenario.board_ids().into_iter().map(judged).collect();
        Self::of_boards(scenario, &boards, source)
    }

    /// A scenario on its boards.
    #[must_use]
    pub fn of_boards(scenario: &Scenario, boards: &[JudgedBoard<'_>], source: Source) -> Self {
        let boots = boards.iter().flat_map(|judged| {
            let count = scenario.boots(judged.id.as_ref());
            (0..count).map(move |number| BootPlan::of_board(scenario, judged, number))
        });
        Self {
            source,
            boots: boots.collect(),
            steps: match source {
                Source::Run { .. } => scenario.steps.clone(),
                Source::SerialLog { .. } => Vec::new(),
            },
            journal: scenario
                .assertions()
                .filter(|(_, can_be_checked)| *can_be_checked)
                .map(|(assertion, _)| assertion.clone())
                .collect(),
            card: scenario.card.clone(),
            has_one_nonce: !scenario.services.registry.is_played(),
        }
    }

    /// The stages of all boots, in order, by their names; those of later boots say which.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let label = |boot: &BootPlan| {
            let stages = boot.stages.iter();
            let labels = stages.map(|stage| label(boot.board.as_ref(), boot.boot, &stage.name));
            labels.collect::<Vec<_>>()
        };
        self.boots.iter().flat_map(label).collect()
    }

    /// The same that ends when this stage has been reached, whatever comes of the rest.
    #[must_use]
    pub fn until(mut self, name: &str) -> Self {
        // In one boot, whatever the scenario does with the board's power; its last boot has the stages of the whole chain.
        let nonces = self.boots.first().map(|boot| boot.nonces.clone());
        let whole = self.boots.pop().map(|boot| BootPlan {
            boot: 0,
            nonces: nonces.unwrap_or_default(),
            ..boot
        });
        self.boots = whole
            .map(|boot| boot.until(Some(name)))
            .into_iter()
            .collect();
        self.steps = vec![Step::switch_on(None)];
        self.journal.clear();
        self.card = None;
        self
    }

    /// The same with what only the run can know: the nonce and the layers of its image.
    #[must_use]
    pub fn knowing(mut self, nonce: Option<&str>, layers: &[String]) -> Self {
        let boots = self.boots.iter();
        let boots: Vec<_> = boots.map(|boot| (boot.board.clone(), boot.boot)).collect();
        for boot in &mut self.boots {
            let nonces = |nonce| match (self.has_one_nonce, &boot.behind) {
                (true, _) => vec![nonce_of_boot(nonce, None, 0)],
                (false, None) => vec![nonce_of_boot(nonce, boot.board.as_ref(), boot.boot)],
                (false, Some(other)) => boots
                    .iter()
                    .filter(|(board, _)| board.as_ref() == Some(other))
                    .map(|(board, number)| nonce_of_boot(nonce, board.as_ref(), *number))
                    .collect(),
            };
            boot.nonces = nonce.map(nonces).unwrap_or_default();
            boot.layers = layers.to_vec();
        }
        self
    }
}

impl BootPlan {
    /// A boot of a board, counted from 0.
    fn of_board(scenario: &Scenario, judged: &JudgedBoard<'_>, number: u32) -> Self {
        let JudgedBoard { id, board, stages } = judged;
        let is_its = |step: &&Step| step.board == *id && step.boot == number;
        let waits = || {
            let steps = scenario.steps.iter().filter(is_its);
            steps.filter_map(|step| step.wait.as_ref())
        };
        let behind = scenario.behind(id.as_ref()).cloned();
        let is_seen = |evidence: &Evidence| behind.is_none() || !evidence.is_of_lan();
        let plan = Self {
            board: id.clone(),
            boot: number,
            behind: behind.clone(),
            card_with: scenario.card_with(id.as_ref()),
            stages: seen(stages, is_seen),
            end: match &scenario.expect {
                Some(expect) => {
                    let mut expect = expect.clone();
                    expect.proofs.retain(is_seen);
                    EndPlan::Expected {
                        expect,
                        forbidden: scenario.forbidden(board).map(Box::new),
                    }
                }
                None => EndPlan::Chain {
                    status: Some(scenario.pipeline_status),
                },
            },
            container: board.container.clone(),
            nonces: Vec::new(),
            layers: Vec::new(),
            alarms: board.alarms.clone(),
            harmless: scenario.harmless.clone(),
            expected_alarms: waits()
                .filter_map(|wait| match wait {
                    Await::Alarm(name) => Some(name.clone()),
                    _ => None,
                })
                .collect(),
            expected_power: waits()
                .filter_map(|wait| match wait {
                    Await::Evidence(Evidence::Power(power)) => Some(*power),
                    _ => None,
                })
                .collect(),
        };
        match end_of(&scenario.steps, id.as_ref(), number) {
            BootEnd::Whole => plan,
            BootEnd::Until(stage) => plan.until(Some(&stage)),
            BootEnd::Open => Self {
                end: EndPlan::Open,
                ..plan
            },
        }
    }

    /// The same that ends well when this stage has been reached, whatever comes of the rest.
    fn until(mut self, name: Option<&str>) -> Self {
        if let Some(name) = name {
            let last = self.stages.iter().position(|s| s.name == name);
            self.stages.truncate(last.map_or(0, |i| i + 1));
            self.end = EndPlan::Chain { status: None };
        }
        self
    }
}

/// The stages whose evidence is seen. The time that the others may take is that of the next one.
fn seen(stages: &[Stage], is_seen: impl Fn(&Evidence) -> bool) -> Vec<Stage> {
    let mut unseen = Duration::ZERO;
    let mut all = Vec::new();
    for stage in stages {
        unseen += stage.budget;
        if is_seen(&stage.evidence) {
            let budget = std::mem::take(&mut unseen);
            all.push(Stage {
                budget,
                ..stage.clone()
            });
        }
    }
    all
}

/// What the container says at a boot of a board, given the run's nonce, which is what it says at the first boot of the only board. Boots
/// are counted from 0.
#[must_use]
pub fn nonce_of_boot(nonce: &str, board: Option<&BoardId>, boot: u32) -> String {
    let text = match (board, boot) {
        (None, 0) => return nonce.into(),
        (None, boot) => format!("{nonce} {boot}"),
        (Some(board), boot) => format!("{nonce} {board} {boot}"),
    };
    let digest = Digest::of(text.as_bytes());
    digest.hex().chars().take(NONCE_DIGITS).collect()
}

/// The name of a stage of a boot, for people: it says which board where there are several, and which boot if it is a later one.
#[must_use]
pub fn label(board: Option<&BoardId>, boot: u32, stage: &str) -> String {
    let stage = match boot {
        0 => stage.into(),
        _ => format!("boot {}: {stage}", boot + 1),
    };
    match board {
        None => stage,
        Some(board) => format!("{board}: {stage}"),
    }
}

impl Source {
    /// Records of this source can prove such evidence.
    #[must_use]
    pub fn knows(self, evidence: &Evidence) -> bool {
        match self {
            Self::Run { .. } => true,
            Self::SerialLog { .. } => {
                matches!(evidence, Evidence::Serial(_) | Evidence::Container(_))
            }
        }
    }

    pub(super) fn is_log(self) -> bool {
        matches!(self, Self::SerialLog { .. })
    }

    pub(super) fn has_times(self) -> bool {
        self != Self::SerialLog { has_times: false }
    }
}
