//! `[[step]]`: what is done with a board, and what must come of it, in order. Without steps the board is switched on once.
//!
//! A step waits for its trigger, then switches or types, then waits for what it awaits; the next step begins when it is done. Whatever else
//! the board does goes on meanwhile: its chain of stages, its alarms and its bounds. Card, servers, leases and hardware address stay as the
//! boot before has left them.

use std::fmt;
use std::time::Duration;

use super::awaited::Await;
use super::trigger::Trigger;
use super::typing::Typing;
use crate::input::{DeploymentName, Pattern};
use crate::timeline::{BoardId, LinkState, Power};

/// How long a step may wait for what it awaits, unless it says otherwise or awaits a stage, which has its own budget. On the reference
/// host.
pub const WITHIN: Duration = Duration::from_secs(60);

/// The least time for which the power distribution unit leaves a board off: what gateways leave to a port of a real unit.
pub const LEAST_OFF: Duration = Duration::from_secs(5);

/// How long the power is away in a brown cycle, unless the step says otherwise.
pub const BROWN: Duration = Duration::from_millis(10);

/// A step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its board; `None` where a run has one.
    pub board: Option<BoardId>,
    /// Which boot of the board is under way when the step begins, counted from 0.
    pub begins_in: u32,
    /// Which one is after the step has switched.
    pub boot: u32,
    /// What is waited for before anything is done.
    pub after: Option<Trigger>,
    /// What the boot server hands out from then on.
    pub deploy: Option<DeploymentName>,
    /// What is done with the board's power.
    pub power: Option<PowerStep>,
    /// How long the power is away in a brown cycle.
    pub off: Duration,
    /// How the board is connected to its network from then on.
    pub link: Option<LinkState>,
    /// What is typed.
    pub send: Option<Typing>,
    /// What must come of it.
    pub wait: Option<Await>,
    /// The longest wait for it.
    pub within: Option<Duration>,
    /// What no UART may say from the beginning of the step to the end of its boot.
    pub never: Vec<Pattern>,
}

impl Step {
    /// The step of a scenario that has none: the board is switched on, and goes through its chain.
    #[must_use]
    pub fn switch_on(board: Option<BoardId>) -> Self {
        Self {
            board,
            begins_in: 0,
            boot: 0,
            after: None,
            deploy: None,
            power: Some(PowerStep::On),
            off: BROWN,
            link: None,
            send: None,
            wait: None,
            within: None,
            never: Vec::new(),
        }
    }

    /// The board is switched on, and that is all.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.power == Some(PowerStep::On)
            && self.after.is_none()
            && self.deploy.is_none()
            && self.link.is_none()
            && self.send.is_none()
            && self.wait.is_none()
            && self.never.is_empty()
    }

    /// It does something with the board itself.
    #[must_use]
    pub fn acts_on_board(&self) -> bool {
        self.power.is_some() || self.link.is_some() || self.send.is_some()
    }

    /// The step waits for what a UART says to somebody at the keyboard, to whom a prompt is nothing strange.
    #[must_use]
    pub fn awaits_answer(&self) -> bool {
        matches!(
            self.wait,
            Some(Await::Prompt(_) | Await::Expect(_) | Await::Status(_))
        )
    }

    /// The longest wait for what the step awaits, on the reference host; `None` where a stage's own budget bounds it.
    #[must_use]
    pub fn bound(&self) -> Option<Duration> {
        match &self.wait {
            Some(Await::Stage(_)) | None => self.within,
            Some(_) => Some(self.within.unwrap_or(WITHIN)),
        }
    }

    /// The boot ends with what the step awaits, and the next one follows by itself: the board resets itself, or software on the LAN has the
    /// power distribution unit cycle it.
    #[must_use]
    pub fn awaits_next_boot(&self) -> bool {
        self.awaits_power(Power::GuestReset) || self.awaits_power(Power::Off)
    }

    /// What it wants of the LAN that a board behind another does not have, and what to do; `None` if it wants nothing of it.
    pub(super) fn needs_lan(&self, behind: &BoardId) -> Option<String> {
        if self.deploy.is_some() {
            return Some(format!(
                "what the boot server hands out does not reach a board behind {behind}: leave `deploy` out"
            ));
        }
        let awaits = match &self.wait {
            Some(Await::Evidence(evidence)) => evidence.is_of_lan(),
            _ => false,
        };
        let is_of_lan = awaits || matches!(self.after, Some(Trigger::Request(_)));
        is_of_lan.then(|| {
            format!(
                "the run's LAN and servers see nothing of a board behind {behind}: wait for what its serial port says, `{{ serial = '…' }}`"
            )
        })
    }

    /// The step ends with this change of the board's power, of the board's own doing.
    #[must_use]
    pub fn awaits_power(&self, action: Power) -> bool {
        use crate::board::Evidence;
        matches!(&self.wait, Some(Await::Evidence(Evidence::Power(wanted))) if *wanted == action)
    }
}

impl fmt::Display for Step {
    /// What the step does, for people: `power cycle, until stage "iPXE" is reached`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(after) = &self.after {
            parts.push(format!("after {after}"));
        }
        if let Some(deploy) = &self.deploy {
            parts.push(format!("deploy {deploy}"));
        }
        if let Some(power) = self.power {
            parts.push(format!("power {power}"));
        }
        if let Some(link) = self.link {
            parts.push(format!("network link {link}"));
        }
        if let Some(send) = &self.send {
            parts.push(format!("type {:?}", send.text));
        }
        if let Some(wait) = &self.wait {
            parts.push(format!("until {wait}"));
        }
        if parts.is_empty() {
            parts.push("never say what must not be said".into());
        }
        if let Some(board) = &self.board {
            write!(f, "{board}: ")?;
        }
        f.write_str(&parts.join(", "))
    }
}

/// What is done with a board's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PowerStep {
    /// It is switched on.
    On,
    /// The power distribution unit switches it off, whatever it does at the moment.
    Off,
    /// The mains fail: the board loses its power at once, and the power distribution unit does not know. A later `on` brings it back
    /// without the unit's least off time.
    Cut,
    /// The power distribution unit switches it off, whatever it does at the moment, and on again after its least off time.
    Cycle,
    /// The reset button is pressed: the board starts again without its power having been away.
    Reset,
    /// The power is away for a moment, `off`, which is too short for memory and card to forget what they hold: the SoC starts again, and so do the
    /// devices on its buses.
    Brown,
}

impl PowerStep {
    /// A boot begins with it.
    #[must_use]
    pub fn begins_boot(self) -> bool {
        matches!(self, Self::On | Self::Cycle | Self::Reset | Self::Brown)
    }

    /// A boot ends with it.
    #[must_use]
    pub fn ends_boot(self) -> bool {
        self != Self::On
    }
}

impl fmt::Display for PowerStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Cut => "cut",
            Self::Cycle => "cycle",
            Self::Reset => "reset",
            Self::Brown => "brown",
        })
    }
}
