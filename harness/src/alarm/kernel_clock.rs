//! The kernel's clock, as its log shows it. A container can print a line that looks like the kernel's; it does not know the kernel's time.

use std::time::Duration;

/// How much the kernel's clock and the record's may differ between two lines of the log. The record's has the UART's delay in it.
const SLACK: Duration = Duration::from_secs(5);

/// The last line of the kernel's log that was genuine.
#[derive(Debug, Clone, Default)]
pub(super) struct KernelClock {
    /// The record's time, and the kernel's.
    last: Option<(Duration, Duration)>,
}

impl KernelClock {
    /// Takes a line for genuine.
    pub(super) fn set(&mut self, record: Duration, kernel: Duration) {
        self.last = Some((record, kernel));
    }

    /// Whether a line whose stamp says `kernel` and that came at `record` agrees with the lines before. `has_times` says that the
    /// record's times are times.
    pub(super) fn agrees(&self, record: Duration, kernel: Duration, has_times: bool) -> bool {
        let Some((last_record, last_kernel)) = self.last else {
            return false;
        };
        let passed = record.saturating_sub(last_record);
        kernel >= last_kernel && (!has_times || (kernel - last_kernel).abs_diff(passed) <= SLACK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_must_agree_with_the_time_that_has_passed() {
        let secs = Duration::from_secs;
        let mut clock = KernelClock::default();
        assert!(!clock.agrees(secs(30), secs(5), true));
        clock.set(secs(30), secs(5));
        assert!(clock.agrees(secs(60), secs(36), true));
        assert!(!clock.agrees(secs(60), secs(99), true));
        assert!(!clock.agrees(secs(60), secs(4), false));
        assert!(clock.agrees(secs(60), secs(99), false));
    }
}
