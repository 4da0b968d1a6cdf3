//! When to plug the device in again, so that a guest's next program finds it.
//!
//! QEMU's DWC2 has no core soft reset, so a kernel that waits for a connect event never sees one for a device that the boot loader
//! used before it. What it leaves behind is visible here: the port is reset while the device is configured, and nobody talks to
//! the device afterwards. A guest that enumerates resets the port as well, but then asks for descriptors within milliseconds.
//!
//! The same kernel may lose a connect event before its driver has seen it. It then resets the port of a device that nobody has configured, again and
//! again, and never gets a request through; a host that enumerates asks after its second reset at the latest.
//!
//! It cannot go round in circles faster than the silence lasts, and a guest that talks to the device ends them.

use std::time::Duration;

use tokio::time::Instant;

/// How long after a reset the guest must be silent to have left the device.
///
/// Longer than any enumeration pauses (tens of milliseconds, ten times that on a starved host), shorter than a kernel takes from
/// its first instruction to its host controller driver.
pub const QUIET_RESET: Duration = Duration::from_millis(1500);

/// Further resets prolong the silence up to this many times its length: a kernel that lacks the connect event may reset the port
/// again and again without getting a request through.
const LONGEST: u32 = 3;

/// Resets without a request between them that an enumeration has at most. U-Boot resets twice.
const ENUMERATION: u32 = 2;

#[derive(Debug)]
pub(super) struct Handover {
    quiet: Duration,
    /// Resets since the last request.
    resets: u32,
    silence: Option<Silence>,
}

/// Nobody has talked to the device since it was reset.
#[derive(Debug, Clone, Copy)]
struct Silence {
    since: Instant,
    due: Instant,
}

impl Handover {
    pub(super) const fn new(quiet: Duration) -> Self {
        Self {
            quiet,
            resets: 0,
            silence: None,
        }
    }

    /// The guest reset the port of a device that was `configured` until then, or not. A further reset in the silence may be the beginning of
    /// an enumeration, which gets its time.
    pub(super) fn reset(&mut self, configured: bool, now: Instant) {
        self.resets = self.resets.saturating_add(1);
        let since = match self.silence {
            Some(silence) => silence.since,
            None if configured || self.resets > ENUMERATION => now,
            None => return,
        };
        let due = (now + self.quiet).min(since + self.quiet * LONGEST);
        self.silence = Some(Silence { since, due });
    }

    /// The guest talked to the device, or the device is gone.
    pub(super) const fn disarm(&mut self) {
        self.resets = 0;
        self.silence = None;
    }

    /// When the silence will have lasted long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        self.silence.map(|silence| silence.due)
    }

    /// True once, when it has.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.silence.take_if(|silence| silence.due <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn only_a_silent_reset_of_a_configured_device_counts() {
        let start = Instant::now();
        let mut handover = Handover::new(100 * MS);
        handover.reset(false, start);
        assert_eq!(handover.due(), None, "first enumeration");

        handover.reset(true, start);
        handover.disarm();
        assert!(!handover.take(start + 200 * MS), "a request followed");

        handover.reset(true, start);
        assert!(!handover.take(start + 99 * MS));
        assert!(handover.take(start + 100 * MS));
        assert!(!handover.take(start + 300 * MS), "once is enough");
    }

    #[test]
    fn resets_without_any_request_count_too() {
        let start = Instant::now();
        let mut handover = Handover::new(100 * MS);
        for _ in 0..5 {
            // As often as U-Boot, with a request in the end.
            handover.reset(false, start);
            handover.reset(false, start);
            assert_eq!(handover.due(), None);
            handover.disarm();
        }
        handover.reset(false, start);
        handover.reset(false, start + 30 * MS);
        handover.reset(false, start + 60 * MS);
        assert_eq!(handover.due(), Some(start + 160 * MS));
        assert!(handover.take(start + 160 * MS));
    }

    #[test]
    fn resets_in_the_silence_prolong_it_but_not_for_ever() {
        let start = Instant::now();
        let mut handover = Handover::new(100 * MS);
        handover.reset(true, start);
        handover.reset(false, start + 90 * MS);
        assert!(!handover.take(start + 110 * MS));
        assert!(handover.take(start + 190 * MS));

        handover.reset(true, start);
        for reset in 1..8 {
            handover.reset(false, start + reset * 50 * MS);
        }
        assert_eq!(handover.due(), Some(start + 300 * MS));
    }
}
