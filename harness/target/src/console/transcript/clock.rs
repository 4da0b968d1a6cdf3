//! One clock, in seconds since the first line, of the times that a log's stamps say.

use std::time::Duration;

/// A clock that goes back by more has passed midnight, in seconds.
const HALF_A_DAY: f64 = 43_200.0;
/// A year-less date that goes back by more has passed New Year, in seconds.
const HALF_A_YEAR: f64 = 183.0 * 86_400.0;

/// Whether stamps say the time since the line before: a clock does not go back again and again.
pub(super) fn are_deltas(seconds: &[f64]) -> bool {
    let steps = seconds.windows(2);
    let back = steps.filter(|pair| match pair {
        [before, after] => *after < *before - 0.000_5 && *before < HALF_A_DAY,
        _ => false,
    });
    let back = back.count();
    back >= 2 && 10 * back >= seconds.len()
}

/// Makes times since the first line.
#[derive(Debug)]
pub(super) struct SinceStart {
    deltas: bool,
    first: Option<f64>,
    /// The last time, with what must be added to the log's clock.
    last: f64,
    ahead: f64,
}

impl SinceStart {
    /// `deltas`: each stamp says the time since the line before.
    pub(super) fn new(deltas: bool) -> Self {
        Self {
            deltas,
            first: None,
            last: 0.0,
            ahead: 0.0,
        }
    }

    /// The time of the next line. It never goes back.
    pub(super) fn next(&mut self, seconds: f64, is_time_of_day: bool) -> Duration {
        if self.deltas {
            // The first one may count from the start of the recorder.
            let step = if self.first.is_none() { 0.0 } else { seconds };
            self.first = Some(0.0);
            self.last += step;
            return duration(self.last);
        }
        let first = *self.first.get_or_insert(seconds);
        self.last = self.last.max(first);
        if is_time_of_day && self.last > seconds + self.ahead + HALF_A_DAY {
            self.ahead += 2.0 * HALF_A_DAY;
        } else if !is_time_of_day && self.last > seconds + self.ahead + HALF_A_YEAR {
            self.ahead += 2.0 * HALF_A_YEAR;
        }
        self.last = self.last.max(seconds + self.ahead);
        duration(self.last - first)
    }
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(seconds: &[f64], is_time_of_day: bool) -> Vec<f64> {
        let mut clock = SinceStart::new(are_deltas(seconds));
        let next = |s: &f64| clock.next(*s, is_time_of_day).as_secs_f64().round();
        seconds.iter().map(next).collect()
    }

    #[test]
    fn deltas_are_added_up_and_clocks_pass_midnight() {
        assert_eq!(
            times(&[5.0, 1.0, 2.0, 1.0, 1.0], true),
            [0.0, 1.0, 3.0, 4.0, 5.0]
        );
        assert_eq!(
            times(&[86_399.0, 1.0, 0.0, 3.0], true),
            [0.0, 2.0, 2.0, 4.0]
        );
        assert_eq!(times(&[10.0, 12.0, 30.0], true), [0.0, 2.0, 20.0]);
    }
}
