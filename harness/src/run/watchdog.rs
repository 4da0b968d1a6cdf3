//! Notices that nothing happens any more: a board that is silent is stuck, however generous the budgets are.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::judge::Bounds;

/// How often activity is looked at.
const TICK: Duration = Duration::from_secs(1);

/// A number that grows whenever something happens.
pub(super) type Activity = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Watches for first activity and for silence.
pub(super) struct Watchdog {
    activity: Activity,
    first_activity: Duration,
    silence: Duration,
    started: Instant,
    initial: u64,
    last: u64,
    changed: Instant,
}

impl Watchdog {
    /// Starts watching now.
    pub(super) fn new(activity: Activity, bounds: &Bounds) -> Self {
        let (now, initial) = (Instant::now(), activity());
        Self {
            activity,
            first_activity: bounds.first_activity(),
            silence: bounds.silence(),
            started: now,
            initial,
            last: initial,
            changed: now,
        }
    }

    /// Completes with the reason once the board has been silent for too long.
    pub(super) async fn bites(&mut self) -> String {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let count = (self.activity)();
            if count != self.last {
                self.last = count;
                self.changed = Instant::now();
            } else if self.last == self.initial && self.started.elapsed() > self.first_activity {
                let bound = self.first_activity.as_secs_f64();
                return format!("no sign of life within {bound:.0} s of power-on");
            } else if self.changed.elapsed() > self.silence {
                let bound = self.silence.as_secs_f64();
                return format!("nothing on any serial port or on the network for {bound:.0} s");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::board::Limits;

    fn watchdog(activity: Activity) -> Watchdog {
        let limits = Limits {
            first_activity: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            whole: Duration::from_secs(100),
        };
        Watchdog::new(activity, &Bounds::new(&limits, 2.0))
    }

    #[tokio::test(start_paused = true)]
    async fn a_board_that_never_stirs_is_noticed_after_the_scaled_bound() {
        let started = Instant::now();
        let cause = watchdog(Arc::new(|| 5)).bites().await;
        assert_eq!(cause, "no sign of life within 20 s of power-on");
        assert!((20..24).contains(&started.elapsed().as_secs()));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_last_activity() {
        let started = Instant::now();
        let beats = AtomicU64::new(0);
        let stops_after_50 = move || beats.fetch_add(1, Ordering::Relaxed).min(50);
        let cause = watchdog(Arc::new(stops_after_50)).bites().await;
        assert_eq!(
            cause,
            "nothing on any serial port or on the network for 60 s"
        );
        assert!(
            (108..116).contains(&started.elapsed().as_secs()),
            "{:?}",
            started.elapsed()
        );
    }
}
