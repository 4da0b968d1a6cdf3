//! How much goes over the NIC's cable, once a second.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::lan::Direction;
use crate::timeline::{Event, Timeline};

/// How often the timeline is told.
const TICK: Duration = Duration::from_secs(1);

/// Counts bytes, and puts those of every second that had any onto the timeline.
#[derive(Debug)]
pub(crate) struct Meter {
    timeline: Timeline,
    ticks: Interval,
    from_board: u64,
    to_board: u64,
}

impl Meter {
    pub(crate) fn new(timeline: Timeline) -> Self {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            timeline,
            ticks,
            from_board: 0,
            to_board: 0,
        }
    }

    /// Waits for the end of a second; [`Self::tell`] is due then.
    pub(crate) async fn second(&mut self) -> Instant {
        self.ticks.tick().await
    }

    /// Counts a frame of `bytes`.
    pub(crate) fn count(&mut self, direction: Direction, bytes: usize) {
        match direction {
            Direction::FromGuest => self.from_board += bytes as u64,
            Direction::ToGuest => self.to_board += bytes as u64,
        }
    }

    /// Tells the timeline what has been counted, if anything.
    pub(crate) fn tell(&mut self) {
        let from_board = std::mem::take(&mut self.from_board);
        let to_board = std::mem::take(&mut self.to_board);
        if (from_board, to_board) != (0, 0) {
            self.timeline.emit(Event::Traffic {
                from_board,
                to_board,
            });
        }
    }
}
