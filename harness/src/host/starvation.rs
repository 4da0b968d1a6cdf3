//! For how long a process could have run and did not, because others had the core.
//!
//! Source: Linux, Documentation/scheduler/sched-stats.rst: the second field of `/proc/PID/task/TID/schedstat` is the time that the thread
//! has waited on a run queue, in nanoseconds; proc(5): field `steal` of `/proc/stat`, in ticks of a hundredth of a second, is what other
//! virtual machines took.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// A tick of `/proc/stat`.
const TICK: Duration = Duration::from_millis(10);

/// Adds up what others take away from a process.
#[derive(Debug)]
pub(crate) struct Starvation {
    pid: u32,
    /// The core that the process is bound to, if it is to one.
    core: Option<usize>,
    /// What each thread had waited for when last looked at.
    waited: HashMap<String, u64>,
    stolen: u64,
    total: Duration,
}

impl Starvation {
    /// Begins with a process now.
    pub(crate) fn of(pid: u32, core: Option<usize>) -> Self {
        let mut this = Self {
            pid,
            core,
            waited: HashMap::new(),
            stolen: 0,
            total: Duration::ZERO,
        };
        this.total();
        this.total = Duration::ZERO;
        this
    }

    /// What others have taken away since the beginning. Of a process that has ended, until then.
    pub(crate) fn total(&mut self) -> Duration {
        // The thread that waited longest is the one that had work to do.
        let mut longest = 0;
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid));
        for thread in threads.into_iter().flatten().flatten() {
            let id = thread.file_name().to_string_lossy().into_owned();
            let Some(waited) = fs::read_to_string(thread.path().join("schedstat"))
                .ok()
                .and_then(|text| run_delay(&text))
            else {
                continue;
            };
            let before = self.waited.insert(id, waited).unwrap_or(waited);
            longest = longest.max(waited.saturating_sub(before));
        }
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let stolen = self.core.and_then(|core| steal(&stat, core)).unwrap_or(0);
        let ticks = stolen.saturating_sub(self.stolen);
        self.stolen = stolen;
        self.total += Duration::from_nanos(longest);
        self.total += TICK * u32::try_from(ticks).unwrap_or(u32::MAX);
        self.total
    }
}

/// The second field of `schedstat`, in nanoseconds.
fn run_delay(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The field `steal` of a core in `/proc/stat`, in ticks.
fn steal(stat: &str, core: usize) -> Option<u64> {
    let line = stat
        .lines()
        .find_map(|line| line.strip_prefix(&format!("cpu{core} ")))?;
    line.split_ascii_whitespace().nth(7)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found() {
        assert_eq!(run_delay("123 456 7\n"), Some(456));
        assert_eq!(run_delay("123"), None);
        let stat = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 80 9 10\ncpu1 1 2 3 4 5 6 7 81 0 0\nintr 5\n";
        assert_eq!(steal(stat, 1), Some(81));
        assert_eq!(steal(stat, 2), None);
    }

    #[test]
    fn a_process_that_has_ended_is_starved_no_more() {
        let mut starvation = Starvation::of(u32::MAX, None);
        assert_eq!(starvation.total(), Duration::ZERO);
    }
}
