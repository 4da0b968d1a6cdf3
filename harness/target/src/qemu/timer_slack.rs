//! Lets QEMU's timers come late by a millisecond, so that those that are due together cost one wake-up.
//!
//! QEMU's DWC2 model has a timer for each start of a USB microframe, 8,000 a second for as long as a high-speed device is plugged in, and makes
//! up for those it missed. Waking up for each is a quarter of the CPU time of a boot. The kernel would coalesce them, but QEMU asks it for
//! a timer slack of a nanosecond when it starts. The slack is inherited by threads and processes, so QEMU's parent sets it, and a filter for
//! system calls answers QEMU's request with success and does nothing.
//!
//! Source: PR_SET_TIMERSLACK(2const); seccomp(2), `SECCOMP_RET_ERRNO`; QEMU's `util/qemu-timer.c` for the request.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU64;

use rustix::thread::set_current_timer_slack;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Nanoseconds that a timer may be late: below the guests' ticks of 4 ms, above the microframe's 125 µs.
const SLACK: NonZeroU64 = NonZeroU64::new(1_000_000).expect("a millisecond is not zero");

/// Sets the slack of this thread and of all that it will start, for good. They gain no privileges from then on, as seccomp demands.
///
/// # Errors
/// The kernel has no seccomp, or the host's architecture is unknown to the filter; timers are then as precise as they are asked for.
pub(super) fn relax() -> io::Result<()> {
    let filter = keep_slack().map_err(io::Error::other)?;
    set_current_timer_slack(Some(SLACK))?;
    seccompiler::apply_filter(&filter).map_err(io::Error::other)
}

/// A filter under which `prctl(PR_SET_TIMERSLACK, …)` succeeds without effect.
fn keep_slack() -> Result<BpfProgram, seccompiler::BackendError> {
    let request = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        u64::from(libc::PR_SET_TIMERSLACK.unsigned_abs()),
    )?;
    let rules = BTreeMap::from([(libc::SYS_prctl, vec![SeccompRule::new(vec![request])?])]);
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(0),
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

#[cfg(test)]
mod tests {
    use rustix::thread::current_timer_slack;

    use super::*;

    #[test]
    fn a_request_for_precision_keeps_the_slack() {
        std::thread::spawn(|| {
            relax().unwrap();
            set_current_timer_slack(NonZeroU64::new(1)).unwrap();
            assert_eq!(current_timer_slack().unwrap(), SLACK.get());
            let child = std::process::Command::new("cat")
                .arg("/proc/self/timerslack_ns")
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&child.stdout).trim(), "1000000");
        })
        .join()
        .unwrap();
        assert_ne!(
            current_timer_slack().unwrap(),
            SLACK.get(),
            "other threads are as they were"
        );
    }
}
