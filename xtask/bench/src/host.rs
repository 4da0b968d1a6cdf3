//! What the host did while something was measured: how fast it is, and how much of it went to its neighbours.
//!
//! Source: proc_stat(5), the line `cpu`: time in ticks spent in eight ways, the last of which is stolen by the hypervisor.

use std::fmt;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use shakedown_harness::host::host_scale;

/// Kernel ticks in a second, as `/proc` counts them on every Linux.
const TICKS: f64 = 100.0;

/// CPU time of the whole host since it was started, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    all: u64,
    stolen: u64,
}

/// An observation that has begun.
pub(super) struct Observation {
    before: Ticks,
    scale: f64,
}

/// What the host was like during an observation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Conditions {
    cores: usize,
    /// How many times slower than the reference host.
    scale: f64,
    stolen_seconds: f64,
    /// Stolen time as a part of all CPU time of the host.
    stolen_share: f64,
}

impl Observation {
    /// Begins to observe. The speed of the host is taken now, before anything that is measured keeps it busy.
    pub(super) fn begin() -> Result<Self> {
        Ok(Self {
            scale: host_scale(),
            before: Ticks::now()?,
        })
    }

    /// Ends the observation.
    pub(super) fn end(self) -> Result<Conditions> {
        let now = Ticks::now()?;
        let all = now.all.saturating_sub(self.before.all);
        let stolen = now.stolen.saturating_sub(self.before.stolen);
        Ok(Conditions {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            scale: self.scale,
            stolen_seconds: stolen as f64 / TICKS,
            stolen_share: stolen as f64 / all.max(1) as f64,
        })
    }
}

impl Ticks {
    fn now() -> Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        Self::parse(&stat).context("/proc/stat has no line `cpu` with eight numbers")
    }

    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let numbers = line.split_ascii_whitespace().take(8).map(str::parse);
        let numbers: Vec<u64> = numbers.collect::<Result<_, _>>().ok()?;
        Some(Self {
            all: numbers.iter().sum(),
            stolen: *numbers.get(7)?,
        })
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "host: {} cores, {:.1} times slower than the reference host; neighbours took {:.1} s of CPU time, {:.0} % of all",
            self.cores,
            self.scale,
            self.stolen_seconds,
            self.stolen_share * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_guests_is_not_counted_twice() {
        let stat = "cpu  100 1 20 300 4 5 6 70 90 9\ncpu0 50 0 10 150 2 2 3 35 45 4\nintr 1\n";
        let (all, stolen) = (506, 70);
        assert_eq!(Ticks::parse(stat), Some(Ticks { all, stolen }));
        assert_eq!(Ticks::parse("cpu0 1 2 3 4 5 6 7 8\n"), None);
        assert_eq!(Ticks::parse("cpu  1 2 3 4 5 6 7\n"), None);
    }
}
