//! Notices what only a clock can notice. A pure function of the clocks, the guest's signs of life and the judgement so far.

use std::time::Duration;

use super::bounds::Bounds;
use crate::judge::{Deadline, OfBoard};
use crate::timeline::{Bound, BudgetClock, Event, HostTrouble};

/// Bytes that a guest may write to its serial ports from one power-on to the next: more than 115,200 baud can carry in 20 minutes.
const MOST_CONSOLE: u64 = 16 << 20;
/// Lines that a guest may write to its serial ports from one power-on to the next, each of which is a record.
const MOST_LINES: u64 = 200_000;
/// Bytes that a guest may send to the network from one power-on to the next.
const MOST_NETWORK: u64 = 512 << 20;
/// Things that a guest may make the servers do from one power-on to the next: requests, handshakes, leases, names.
const MOST_SERVED: u64 = 50_000;
/// Others have the host's cores: so much of the last [`WINDOW`] was taken from the emulator.
const STARVED: f64 = 0.3;
const WINDOW: Duration = Duration::from_secs(20);

/// What the guest has done so far. Only the guest makes these numbers grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    /// Bytes on its serial ports.
    pub(crate) console: u64,
    /// Lines on its serial ports.
    pub(crate) lines: u64,
    /// Frames that it has sent, and fetched.
    pub(crate) frames: u64,
    /// Bytes that it has sent to the network.
    pub(crate) sent: u64,
    /// What it has made the servers do.
    pub(crate) served: u64,
}

/// The clocks at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Now {
    /// The timeline's.
    pub(super) wall: Duration,
    /// For how long others have kept the emulator from running, since it was started.
    pub(super) starved: Duration,
}

impl Now {
    /// Time that the emulator had since `earlier`.
    fn had_since(self, earlier: Self) -> Duration {
        let wall = self.wall.saturating_sub(earlier.wall);
        wall.saturating_sub(self.starved.saturating_sub(earlier.starved))
    }
}

/// Watches one run.
#[derive(Debug)]
pub(super) struct Watch {
    bounds: Bounds,
    started: Now,
    /// When the guest last gave a sign of life, and what it had done by then.
    alive: Now,
    activity: Activity,
    initial: Activity,
    /// Stages that had been reached, and since when the next one is awaited.
    count: usize,
    awaited: Now,
    /// The beginning of the window in which starving is measured.
    window: Now,
}

impl Watch {
    pub(super) fn new(bounds: Bounds, now: Now, activity: Activity) -> Self {
        Self {
            bounds,
            started: now,
            alive: now,
            activity,
            initial: activity,
            count: 0,
            awaited: now,
            window: now,
        }
    }

    /// The event that must be put onto the timeline now, if there is one. `owes`: the boot that is under way must still do something.
    pub(super) fn look(
        &mut self,
        now: Now,
        activity: Activity,
        progress: OfBoard<'_>,
        owes: bool,
    ) -> Option<Event> {
        if activity != self.activity {
            (self.activity, self.alive) = (activity, now);
        }
        // While somebody types at the board, its next stage is not due.
        if progress.count() != self.count || progress.is_talked_to() || !owes {
            (self.count, self.awaited) = (progress.count(), now);
        }
        self.flood(activity)
            .or_else(|| self.starved(now))
            .or_else(|| self.bound(now, progress))
            .or_else(|| self.budget(now, progress))
            .or_else(|| owes.then(|| self.silence(now)).flatten())
    }

    fn flood(&self, activity: Activity) -> Option<Event> {
        let of = |of: &str, bytes| {
            Some(Event::Flood {
                of: of.into(),
                bytes,
            })
        };
        if activity.console > MOST_CONSOLE || activity.lines > MOST_LINES {
            of("console", activity.console)
        } else if activity.sent > MOST_NETWORK {
            of("network", activity.sent)
        } else if activity.served > MOST_SERVED {
            of("servers", activity.served)
        } else {
            None
        }
    }

    fn starved(&mut self, now: Now) -> Option<Event> {
        let wall = now.wall.saturating_sub(self.window.wall);
        if wall < WINDOW {
            return None;
        }
        let had = now.had_since(self.window);
        self.window = now;
        let share = 1.0 - had.as_secs_f64() / wall.as_secs_f64();
        (share >= STARVED).then(|| Event::Host {
            trouble: HostTrouble::Starved,
            text: format!(
                "others have used this run's core for {:.0} % of the last {:.0} s: run fewer boards at a time",
                share * 100.0,
                wall.as_secs_f64()
            ),
        })
    }

    /// Bounds of the judgement, which are of the wall clock.
    fn bound(&self, now: Now, progress: OfBoard<'_>) -> Option<Event> {
        let due = progress.deadlines(self.bounds.scale()).into_iter();
        let Deadline { of, since, until } = due
            .filter(|deadline| deadline.until <= now.wall)
            .min_by_key(|deadline| deadline.until)?;
        Some(Event::Budget {
            of,
            seconds: until.saturating_sub(since).as_secs_f64(),
            clock: BudgetClock::Wall,
        })
    }

    fn budget(&self, now: Now, progress: OfBoard<'_>) -> Option<Event> {
        let used_up = |of, bound: Duration, since: Now| {
            let wall = now.wall.saturating_sub(since.wall);
            Bounds::is_over(bound, now.had_since(since), wall).then_some(Event::Budget {
                of,
                seconds: bound.as_secs_f64(),
                clock: BudgetClock::Cpu,
            })
        };
        let stage = progress.awaited().and_then(|stage| {
            let of = Bound::Stage(stage.name.clone());
            used_up(of, self.bounds.stage(stage), self.awaited)
        });
        stage.or_else(|| used_up(Bound::Run, self.bounds.whole(), self.started))
    }

    fn silence(&self, now: Now) -> Option<Event> {
        let never = self.activity == self.initial;
        let bound = match never {
            true => self.bounds.first_activity(),
            false => self.bounds.silence(),
        };
        let wall = now.wall.saturating_sub(self.alive.wall);
        Bounds::is_over(bound, now.had_since(self.alive), wall).then_some(Event::Silence {
            seconds: wall.as_secs_f64(),
            since_power_on: never,
        })
    }
}
