//! A core of this machine that a run has to itself.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::claim::Claim;

/// A claimed core.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) number: usize,
    _claim: Claim,
}

impl Core {
    /// Claims a free one of the cores that this thread may use, and binds the thread to it. If there is none, returns the names of the claims in
    /// the way.
    pub(super) fn claim(pool: &str) -> Result<Self, Vec<String>> {
        let allowed = sched_getaffinity(None).unwrap_or_else(|_| {
            let mut first = CpuSet::new();
            first.set(0);
            first
        });
        let mut held = Vec::new();
        // The first core last: it serves most of the host's interrupts.
        for number in (1..CpuSet::MAX_CPU).chain([0]) {
            if !allowed.is_set(number) {
                continue;
            }
            let name = format!("{pool}/core/{number}");
            let Some(claim) = Claim::try_on(&name) else {
                held.push(name);
                continue;
            };
            let mut only = CpuSet::new();
            only.set(number);
            // A thread that may not be bound has the core to itself all the same.
            let _ = sched_setaffinity(None, &only);
            return Ok(Self {
                number,
                _claim: claim,
            });
        }
        Err(held)
    }
}
