//! Going through the stages of a chain: waiting for the evidence of each, within the bounds, and giving up with a reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use regex::Regex;
use tokio::time::{Instant, sleep_until, timeout};

use super::watchdog::Watchdog;
use crate::board::{Evidence, Limits, RequestEvidence, Stage};
use crate::console::Expectations;
use crate::report::{Class, StageTime};
use crate::timeline::{Cursor, Event, Power, Record, Timeline};

/// How long evidence that is under way may still come after QEMU has ended.
const AFTER_THE_END: Duration = Duration::from_secs(3);

/// What only this run can know and a stage's evidence may depend on.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// What the container will say if it is the registry's.
    pub(super) nonce: String,
    /// Digests of the container image's layers, as `sha256:…`.
    pub(super) layers: Vec<String>,
}

/// Bounds of a run, already scaled to the host.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    scale: f64,
    limits: Limits,
}

impl Bounds {
    pub(super) fn new(limits: &Limits, scale: f64) -> Self {
        Self {
            scale,
            limits: limits.clone(),
        }
    }

    pub(super) fn scaled(&self, bound: Duration) -> Duration {
        bound.mul_f64(self.scale)
    }

    pub(super) fn first_activity(&self) -> Duration {
        self.scaled(self.limits.first_activity)
    }

    pub(super) fn silence(&self) -> Duration {
        self.scaled(self.limits.silence)
    }
}

/// A stage that was not reached, and why.
#[derive(Debug)]
pub(super) struct NotReached {
    pub(super) stage: Stage,
    pub(super) waited: Duration,
    pub(super) class: Class,
    pub(super) cause: String,
}

/// Goes through the stages of one run.
pub(super) struct Sequencer {
    timeline: Timeline,
    cursor: Cursor,
    alarms: Cursor,
    expectations: Option<Expectations>,
    bounds: Bounds,
    facts: Facts,
    power_on: Duration,
}

impl Sequencer {
    /// A sequencer for a board that is switched on at `power_on` of the timeline's clock.
    pub(super) fn new(
        timeline: Timeline,
        expectations: Expectations,
        bounds: Bounds,
        facts: Facts,
    ) -> Self {
        Self {
            power_on: timeline.elapsed(),
            timeline,
            cursor: Cursor::default(),
            alarms: Cursor::default(),
            expectations: Some(expectations),
            bounds,
            facts,
        }
    }

    /// When the board was switched on, on the timeline's clock.
    pub(super) fn power_on(&self) -> Duration {
        self.power_on
    }

    /// Goes through `stages` until one is not reached. `ended` completes with QEMU's last words when QEMU ends, `stop` when
    /// the user wants the run to end.
    pub(super) async fn go(
        &mut self,
        stages: &[Stage],
        watchdog: &mut Watchdog,
        ended: impl Future<Output = String>,
        stop: impl Future<Output = ()>,
    ) -> (Vec<StageTime>, Result<(), NotReached>) {
        let mut reached = Vec::new();
        let mut last = Duration::ZERO;
        let whole = Instant::now() + self.bounds.scaled(self.bounds.limits.whole);
        tokio::pin!(ended, stop);
        for stage in stages {
            let began = Instant::now();
            let budget = self.bounds.scaled(stage.budget);
            let alarm = wait_for_alarm(self.timeline.clone(), self.alarms);
            let power = wait_for_power(self.timeline.clone());
            let give_up = async {
                tokio::select! {
                    (name, line) = alarm => GiveUp::now(Class::Board, format!("{name} on the console: {line}")),
                    () = sleep_until(began + budget) => {
                        GiveUp::now(Class::Board, format!("its budget of {:.0} s is used up", budget.as_secs_f64()))
                    }
                    () = sleep_until(whole) => {
                        GiveUp::now(Class::Board, "the run has used up its time as a whole".into())
                    }
                    cause = watchdog.bites() => GiveUp::now(Class::Board, cause),
                    words = &mut ended => {
                        let cause = format!("QEMU has ended; its last words: {words:?}");
                        GiveUp::after_last_words(Class::Emulator, cause)
                    }
                    cause = power => GiveUp::after_last_words(Class::Board, cause),
                    () = &mut stop => GiveUp::now(Class::Host, "stopped by the user".into()),
                }
            };
            match self.wait(stage, give_up).await {
                Ok(at) => {
                    let at = at.saturating_sub(self.power_on).max(last);
                    self.timeline.emit(Event::Stage {
                        name: stage.name.clone(),
                        reached: at,
                    });
                    reached.push(StageTime {
                        name: stage.name.clone(),
                        reached: at.as_secs_f64(),
                        took: (at - last).as_secs_f64(),
                    });
                    last = at;
                }
                Err(GiveUp { class, cause, .. }) => {
                    let not_reached = NotReached {
                        stage: stage.clone(),
                        waited: began.elapsed(),
                        class,
                        cause,
                    };
                    return (reached, Err(not_reached));
                }
            }
        }
        (reached, Ok(()))
    }

    /// Waits for a stage's evidence; returns when it came, on the timeline's clock.
    async fn wait(
        &mut self,
        stage: &Stage,
        give_up: impl Future<Output = GiveUp>,
    ) -> Result<Duration, GiveUp> {
        match &stage.evidence {
            Evidence::Serial(pattern) => {
                self.wait_for_serial(pattern.regex().clone(), give_up).await
            }
            Evidence::Nonce => {
                let exact = Regex::new(&regex::escape(&self.facts.nonce));
                let exact = exact.map_err(|e| GiveUp::now(Class::Host, e.to_string()))?;
                self.wait_for_serial(exact, give_up).await
            }
            evidence => {
                let is_evidence = |r: &Record| proves(evidence, &r.event, &self.facts);
                let evidence = self.timeline.wait_for(&mut self.cursor, is_evidence);
                Ok(unless(evidence, give_up).await?.at)
            }
        }
    }

    /// Waits on a thread of its own, since rexpect blocks.
    async fn wait_for_serial(
        &mut self,
        pattern: Regex,
        give_up: impl Future<Output = GiveUp>,
    ) -> Result<Duration, GiveUp> {
        let lost = || {
            GiveUp::now(
                Class::Host,
                "the matcher of the serial ports has failed".into(),
            )
        };
        let mut expectations = self.expectations.take().ok_or_else(lost)?;
        // When the run gives up, this function ends and the matcher sees it by this flag; nothing waits for it any more.
        let flag = Arc::new(AtomicBool::new(false));
        let given_up = Arc::clone(&flag);
        let matcher = tokio::task::spawn_blocking(move || {
            let seen = expectations.wait(&pattern, || given_up.load(Ordering::Relaxed));
            (expectations, seen)
        });
        let finished = unless(matcher, give_up).await;
        flag.store(true, Ordering::Relaxed);
        let (expectations, seen) = finished?.map_err(|_| lost())?;
        self.expectations = Some(expectations);
        seen.map(|seen| seen.at)
            .map_err(|missed| GiveUp::now(Class::Emulator, missed.to_string()))
    }
}

/// A reason to wait no longer.
#[derive(Debug)]
struct GiveUp {
    class: Class,
    cause: String,
    /// The board has stopped, and what it said or asked last may still be on its way.
    last_words: bool,
}

impl GiveUp {
    fn now(class: Class, cause: String) -> Self {
        Self {
            class,
            cause,
            last_words: false,
        }
    }

    fn after_last_words(class: Class, cause: String) -> Self {
        Self {
            class,
            cause,
            last_words: true,
        }
    }
}

/// The output of `wanted`, unless there is a reason to give up first.
async fn unless<T>(
    wanted: impl Future<Output = T>,
    give_up: impl Future<Output = GiveUp>,
) -> Result<T, GiveUp> {
    tokio::pin!(wanted);
    tokio::select! {
        biased;
        output = &mut wanted => Ok(output),
        reason = give_up => {
            if reason.last_words && let Ok(output) = timeout(AFTER_THE_END, wanted).await {
                return Ok(output);
            }
            Err(reason)
        }
    }
}

/// The first alarm of the run.
async fn wait_for_alarm(timeline: Timeline, mut cursor: Cursor) -> (String, String) {
    let record = timeline
        .wait_for(&mut cursor, |r| matches!(r.event, Event::Alarm { .. }))
        .await;
    match record.event {
        Event::Alarm { name, line } => (name, line),
        other => ("alarm".into(), format!("{other:?}")),
    }
}

/// The guest powers off or resets the board, which is the last event that a board sends.
async fn wait_for_power(timeline: Timeline) -> String {
    let by_guest = |r: &Record| {
        matches!(
            r.event,
            Event::Power {
                action: Power::GuestShutdown | Power::GuestReset
            }
        )
    };
    let record = timeline.wait_for(&mut Cursor::default(), by_guest).await;
    match record.event {
        Event::Power {
            action: Power::GuestReset,
        } => "the board has reset itself".to_owned(),
        _ => "the board has powered itself off".to_owned(),
    }
}

/// Whether an event is the evidence. Stages look for serial evidence behind rexpect instead, where text before a match is used up.
pub(super) fn proves(evidence: &Evidence, event: &Event, facts: &Facts) -> bool {
    match (evidence, event) {
        (Evidence::Firmware, Event::Firmware { .. }) | (Evidence::Lease, Event::Lease { .. }) => {
            true
        }
        (Evidence::Serial(pattern), Event::Serial { line, .. }) => pattern.regex().is_match(line),
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
mod tests;
