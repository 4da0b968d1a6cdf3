//! Bounds of a run, scaled to the host.

use std::time::Duration;

use crate::board::{Limits, Stage};

/// How many times as long as a bound may last by the wall clock, when others keep the emulator from running.
const MOST_WALL: u32 = 4;

/// Bounds of a run. They are of the time that the emulator had a core, and are scaled to how fast that core is.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    scale: f64,
    limits: Limits,
}

impl Bounds {
    pub(crate) fn new(limits: &Limits, scale: f64) -> Self {
        Self {
            scale,
            limits: limits.clone(),
        }
    }

    /// How many times slower than the reference host this one is.
    pub(crate) fn scale(&self) -> f64 {
        self.scale
    }

    /// The longest that a stage may take.
    pub(super) fn stage(&self, stage: &Stage) -> Duration {
        self.scaled(stage.budget)
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

    fn scaled(&self, bound: Duration) -> Duration {
        bound.mul_f64(self.scale)
    }

    /// The bound is used up: by the time that the emulator had, or by far too much time on the wall.
    pub(super) fn is_over(bound: Duration, had: Duration, wall: Duration) -> bool {
        had >= bound || wall >= bound * MOST_WALL
    }
}
