//! What proves a stage, and what ends a run before: pure functions of events, so that a live run and a recorded one are judged alike.

use std::time::Duration;

use crate::board::{Evidence, Limits, RequestEvidence, Stage};
use crate::input::Pattern;
use crate::report::Class;
use crate::timeline::{Event, Power, Record};

/// How long evidence that is under way may still come after the board has stopped.
const AFTER_THE_END: Duration = Duration::from_secs(3);

/// What only this run can know and its judgement depends on.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// What the container will say if it is the registry's.
    pub(super) nonce: String,
    /// Digests of the container image's layers, as `sha256:…`.
    pub(super) layers: Vec<String>,
    /// Lines that raise an alarm and belong to the scenario.
    pub(super) harmless: Vec<Pattern>,
}

/// Bounds of a run, already scaled to the host.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    scale: f64,
    limits: Limits,
    budgets: bool,
}

impl Bounds {
    pub(super) fn new(limits: &Limits, scale: f64) -> Self {
        Self {
            scale,
            limits: limits.clone(),
            budgets: true,
        }
    }

    /// The same for a record whose clock says nothing of the bounds: a real board's, or one without times.
    pub(super) fn without_budgets(self) -> Self {
        Self {
            budgets: false,
            ..self
        }
    }

    pub(super) fn scaled(&self, bound: Duration) -> Duration {
        bound.mul_f64(self.scale)
    }

    /// The longest that a stage may take.
    pub(super) fn budget(&self, stage: &Stage) -> Duration {
        /// Longer than any run.
        const NONE: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        if self.budgets {
            self.scaled(stage.budget)
        } else {
            NONE
        }
    }

    pub(super) fn first_activity(&self) -> Duration {
        self.scaled(self.limits.first_activity)
    }

    pub(super) fn silence(&self) -> Duration {
        self.scaled(self.limits.silence)
    }

    pub(super) fn whole(&self) -> Duration {
        self.scaled(self.limits.whole)
    }
}

/// A stage that was not reached, and why.
#[derive(Debug)]
pub(super) struct NotReached {
    pub(super) stage: Stage,
    pub(super) waited: Duration,
    pub(super) why: GiveUp,
}

/// A reason to wait no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GiveUp {
    /// When it came up, on the timeline's clock.
    pub(super) at: Duration,
    pub(super) class: Class,
    pub(super) cause: String,
    /// The board has stopped, and what it said or asked last may still be on its way.
    pub(super) last_words: bool,
}

impl GiveUp {
    pub(super) fn new(at: Duration, class: Class, cause: impl Into<String>) -> Self {
        Self {
            at,
            class,
            cause: cause.into(),
            last_words: false,
        }
    }

    pub(super) fn after_last_words(self) -> Self {
        Self {
            last_words: true,
            ..self
        }
    }

    /// The budget of a stage that was awaited since `since` is used up.
    pub(super) fn out_of_budget(since: Duration, budget: Duration) -> Self {
        let cause = format!("its budget of {:.0} s is used up", budget.as_secs_f64());
        Self::new(since + budget, Class::Board, cause)
    }

    /// How much longer evidence may come.
    pub(super) fn grace(&self) -> Duration {
        if self.last_words {
            AFTER_THE_END
        } else {
            Duration::ZERO
        }
    }
}

/// Why a run ends at this event, if it does: something appeared that must not, or the guest stopped the board, which is then the
/// last event that it sends.
pub(super) fn objection(record: &Record, facts: &Facts) -> Option<GiveUp> {
    let against = |cause: String| Some(GiveUp::new(record.at, Class::Board, cause));
    let stopped = |cause: &str| against(cause.into()).map(GiveUp::after_last_words);
    match &record.event {
        Event::Alarm { line, .. } if facts.harmless.iter().any(|h| h.regex().is_match(line)) => {
            None
        }
        Event::Alarm { name, line } => against(format!("{name} on the console: {line}")),
        Event::Power {
            action: Power::GuestReset,
        } => stopped("the board has reset itself"),
        Event::Power {
            action: Power::GuestShutdown,
        } => stopped("the board has powered itself off"),
        _ => None,
    }
}

/// Judges evidence that came at `at` for a stage awaited since `since`: what came first decides, whatever was noticed first.
pub(super) fn judge(
    at: Duration,
    since: Duration,
    budget: Duration,
    records: &[Record],
    facts: &Facts,
) -> Result<Duration, GiveUp> {
    let earlier = records
        .iter()
        .find_map(|r| objection(r, facts).filter(|o| o.at + o.grace() < at));
    match earlier {
        Some(objection) => Err(objection),
        None if at > since + budget => Err(GiveUp::out_of_budget(since, budget)),
        None => Ok(at),
    }
}

/// Whether an event is the evidence. Stages look for serial evidence behind rexpect instead, where text before a match is used up.
pub(super) fn proves(evidence: &Evidence, event: &Event, facts: &Facts) -> bool {
    match (evidence, event) {
        (Evidence::Firmware, Event::Firmware { .. }) | (Evidence::Lease, Event::Lease { .. }) => {
            true
        }
        (Evidence::Dhcp(wanted), Event::Lease { vendor_class, .. }) => {
            let class = vendor_class.as_deref().unwrap_or_default();
            let matches = |p: &Pattern| p.regex().is_match(class);
            wanted.vendor_class.as_ref().is_none_or(matches)
                && !wanted.except.as_ref().is_some_and(matches)
        }
        (Evidence::Serial(pattern) | Evidence::Container(pattern), Event::Serial { line, .. }) => {
            pattern.regex().is_match(line)
        }
        (Evidence::Nonce, Event::Serial { line, .. }) => line.contains(&facts.nonce),
        (Evidence::Tls { service }, Event::Tls(tls)) => {
            tls.service == *service && tls.error.is_none()
        }
        (Evidence::TlsFailure { service, error }, Event::Tls(tls)) => {
            let matches = |e: &String| error.regex().is_match(e);
            tls.service == *service && tls.error.as_ref().is_some_and(matches)
        }
        (Evidence::Power(wanted), Event::Power { action }) => wanted == action,
        (
            Evidence::Request(RequestEvidence {
                service,
                target,
                layer,
                status,
            }),
            Event::Request(r),
        ) => {
            let answered = match status {
                Some(status) => r.status == *status,
                None => r.complete && (200..300).contains(&r.status),
            };
            r.service == *service
                && answered
                && target.regex().is_match(&r.target)
                && (!layer || facts.layers.iter().any(|l| r.target.ends_with(l.as_str())))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, event: Event) -> Record {
        Record::new(Duration::from_secs(seconds), event)
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Evidence at this second for a stage that has a minute.
    fn judged(seconds: u64, records: &[Record]) -> Result<Duration, GiveUp> {
        let facts = Facts::default();
        judge(secs(seconds), secs(0), secs(60), records, &facts)
    }

    #[test]
    fn what_came_first_decides() {
        let records = [at(
            10,
            Event::Alarm {
                name: "kernel panic".into(),
                line: "panic".into(),
            },
        )];
        let judged = |seconds| judged(seconds, &records);
        assert_eq!(judged(9), Ok(secs(9)));
        assert_eq!(judged(10), Ok(secs(10)));
        assert!(judged(11).unwrap_err().cause.contains("kernel panic"));
    }

    #[test]
    fn an_alarm_that_belongs_to_the_scenario_is_none() {
        #[derive(serde::Deserialize)]
        struct File {
            harmless: Vec<Pattern>,
        }
        let File { harmless } = toml::from_str(r"harmless = ['/secrets/\S+ Not found']").unwrap();
        let facts = Facts {
            harmless,
            ..Facts::default()
        };
        let judged = |path: &str| {
            let line = format!("https://boot/{path} Not found (https://ipxe.org/2d0c613b)");
            let name = "iPXE error".into();
            let records = [at(10, Event::Alarm { name, line })];
            judge(secs(12), secs(0), secs(60), &records, &facts)
        };
        assert_eq!(judged("secrets/abc..."), Ok(secs(12)));
        assert!(judged("files/kernel...").is_err());
    }

    #[test]
    fn last_words_count_for_a_while_after_the_board_has_stopped() {
        let action = Power::GuestShutdown;
        let records = [at(10, Event::Power { action })];
        let judged = |seconds| judged(seconds, &records);
        assert_eq!(judged(12), Ok(secs(12)));
        assert!(judged(14).unwrap_err().cause.contains("powered itself off"));
    }

    #[test]
    fn evidence_after_the_budget_is_none() {
        let judged = |seconds| judge(secs(seconds), secs(10), secs(20), &[], &Facts::default());
        assert_eq!(judged(31), Err(GiveUp::out_of_budget(secs(10), secs(20))));
        assert_eq!(judged(30), Ok(secs(30)));
    }
}
