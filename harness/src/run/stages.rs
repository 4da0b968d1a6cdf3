//! Going through the stages of a chain: waiting for the evidence of each, within the bounds, and giving up with a reason.
//!
//! A recorded run goes through here too: everything has happened then, nothing is waited for, and the times of the record decide.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use regex::Regex;
use tokio::time::{Instant, sleep_until, timeout};

use super::judge::{Bounds, Facts, GiveUp, NotReached, judge, objection, proves};
use super::watchdog::Watchdog;
use crate::board::{Evidence, Stage};
use crate::console::Expectations;
use crate::report::{Class, CpuSeconds, StageTime};
use crate::timeline::{Cursor, Event, Record, Timeline, power_on};

/// Goes through the stages of one run.
pub(super) struct Sequencer {
    timeline: Timeline,
    cursor: Cursor,
    expectations: Option<Expectations>,
    bounds: Bounds,
    facts: Facts,
    power_on: Duration,
    meter: Option<Meter>,
    restored: Vec<StageTime>,
}

/// Reads the CPU time that has been used so far.
pub(super) type Meter = Arc<dyn Fn() -> CpuSeconds + Send + Sync>;

impl Sequencer {
    /// A sequencer for a board that is switched on now.
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
            expectations: Some(expectations),
            bounds,
            facts,
            meter: None,
            restored: Vec::new(),
        }
    }

    /// The same with the CPU time of each stage.
    pub(super) fn metered(self, meter: Meter) -> Self {
        Self {
            meter: Some(meter),
            ..self
        }
    }

    /// The same for a board that was switched on at `power_on` of the timeline's clock.
    pub(super) fn since(self, power_on: Duration) -> Self {
        Self { power_on, ..self }
    }

    /// The same for a board that goes on from a checkpoint, and for what comes onto the timeline from now on: the first stages of the
    /// chain have been reached.
    pub(super) fn going_on_from(self, restored: Vec<StageTime>) -> Self {
        let records = self.timeline.snapshot();
        Self {
            power_on: power_on(&records).unwrap_or(self.power_on),
            cursor: Cursor::behind(&records),
            restored,
            ..self
        }
    }

    /// When the board was switched on, on the timeline's clock.
    pub(super) fn power_on(&self) -> Duration {
        self.power_on
    }

    /// The bounds that it keeps.
    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// What it knows of the run.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Goes through `stages` until one is not reached. `ended` completes when there is nothing more to come, as when QEMU has
    /// ended, `stop` when the user wants the run to end.
    pub(super) async fn go(
        &mut self,
        stages: &[Stage],
        watchdog: &mut Watchdog,
        ended: impl Future<Output = GiveUp>,
        stop: impl Future<Output = ()>,
    ) -> (Vec<StageTime>, Result<(), NotReached>) {
        let mut reached = self.restored.clone();
        let last = reached.last().map_or(0.0, |stage| stage.reached);
        let mut last = Duration::from_secs_f64(last);
        let mut used = self.used();
        let whole = Instant::now() + self.bounds.whole();
        // Once they have completed, they say so at every stage.
        let (ended, stop) = (ended.shared(), stop.shared());
        for stage in stages.iter().skip(reached.len()) {
            let until = Instant::now() + self.bounds.budget(stage);
            let since = self.power_on + last;
            let budget = self.bounds.budget(stage);
            let (timeline, facts) = (self.timeline.clone(), self.facts.clone());
            let give_up = async {
                let now = |class, cause| GiveUp::new(timeline.elapsed(), class, cause);
                tokio::select! {
                    biased;
                    objection = wait_for_objection(&timeline, &facts) => objection,
                    end = ended.clone() => end,
                    () = stop.clone() => now(Class::Host, "stopped by the user".into()),
                    () = sleep_until(until) => GiveUp::out_of_budget(since, budget),
                    () = sleep_until(whole) => {
                        now(Class::Board, "the run has used up its time as a whole".into())
                    }
                    cause = watchdog.bites() => now(Class::Board, cause),
                }
            };
            let evidence = self.wait(stage, give_up).await;
            let judged = evidence
                .and_then(|at| judge(at, since, budget, &self.timeline.snapshot(), &self.facts));
            match judged {
                Ok(at) => {
                    let at = at.saturating_sub(self.power_on).max(last);
                    self.timeline.emit(Event::Stage {
                        name: stage.name.clone(),
                        reached: at,
                    });
                    let used_now = self.used();
                    reached.push(StageTime {
                        name: stage.name.clone(),
                        reached: at.as_secs_f64(),
                        took: (at - last).as_secs_f64(),
                        cpu: used_now.zip(used).map(|(now, before)| now - before),
                        restored: false,
                    });
                    (last, used) = (at, used_now);
                }
                Err(why) => {
                    let not_reached = NotReached {
                        stage: stage.clone(),
                        waited: why.at.saturating_sub(since),
                        why,
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
            Evidence::Serial(pattern) | Evidence::Container(pattern) => {
                self.wait_for_serial(pattern.regex().clone(), give_up).await
            }
            Evidence::Nonce => {
                let exact = Regex::new(&regex::escape(&self.facts.nonce));
                let exact = exact.map_err(|e| self.lost(e.to_string()))?;
                self.wait_for_serial(exact, give_up).await
            }
            evidence => {
                let is_evidence = |r: &Record| proves(evidence, &r.event, &self.facts);
                let wanted = self.timeline.wait_for(&mut self.cursor, is_evidence);
                tokio::pin!(wanted);
                tokio::select! {
                    biased;
                    record = &mut wanted => Ok(record.at),
                    reason = give_up => {
                        let late = timeout(reason.grace(), wanted).await;
                        late.map(|record| record.at).map_err(|_| reason)
                    }
                }
            }
        }
    }

    /// Waits on a thread of its own, since rexpect blocks.
    async fn wait_for_serial(
        &mut self,
        pattern: Regex,
        give_up: impl Future<Output = GiveUp>,
    ) -> Result<Duration, GiveUp> {
        let lost = self.lost("the matcher of the serial ports has failed".into());
        let mut expectations = self.expectations.take().ok_or_else(|| lost.clone())?;
        let flag = Arc::new(AtomicBool::new(false));
        let given_up = Arc::clone(&flag);
        let mut matcher = tokio::task::spawn_blocking(move || {
            let seen = expectations.wait(&pattern, || given_up.load(Ordering::Relaxed));
            (expectations, seen)
        });
        tokio::pin!(give_up);
        let (finished, reason) = tokio::select! {
            biased;
            finished = &mut matcher => (finished, None),
            reason = &mut give_up => {
                let late = timeout(reason.grace(), &mut matcher).await;
                // Text that came before the reason may be under way to the matcher, which looks once more and then sees this.
                flag.store(true, Ordering::Relaxed);
                let finished = match late {
                    Ok(finished) => finished,
                    Err(_) => matcher.await,
                };
                (finished, Some(reason))
            }
        };
        let (expectations, seen) = finished.map_err(|_| lost)?;
        self.expectations = Some(expectations);
        match (seen, reason) {
            (Ok(seen), _) => Ok(seen.at),
            (Err(_), Some(reason)) => Err(reason),
            // The ports have ended, and whoever ended them has more to say.
            (Err(_), None) => Err(give_up.await),
        }
    }

    fn used(&self) -> Option<CpuSeconds> {
        self.meter.as_ref().map(|meter| meter())
    }

    fn lost(&self, cause: String) -> GiveUp {
        GiveUp::new(self.timeline.elapsed(), Class::Host, cause)
    }
}

/// The first thing on the timeline that ends the run.
async fn wait_for_objection(timeline: &Timeline, facts: &Facts) -> GiveUp {
    loop {
        let is_objection = |r: &Record| objection(r, facts).is_some();
        let record = timeline
            .wait_for(&mut Cursor::default(), is_objection)
            .await;
        if let Some(objection) = objection(&record, facts) {
            return objection;
        }
    }
}

#[cfg(test)]
mod tests;
