//! How many runs the host carries at a time (proc_meminfo(5), `MemAvailable`: what can be had without swapping).

use std::fs;
use std::thread::available_parallelism;

use super::usage::bytes_of;

/// Bytes that a run takes: the board's memory, QEMU with the code that it makes for the guest, and the harness.
pub(super) const MEMORY: u64 = 3 << 29;

/// Runs that the host carries at a time: one for each core, and no more than fit into the memory that is free now; at least one.
#[must_use]
pub fn runs_at_a_time() -> usize {
    let cores = available_parallelism().map_or(1, usize::from);
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let fitting = bytes_of(&meminfo, "MemAvailable:").map_or(cores, |bytes| {
        usize::try_from(bytes / MEMORY).unwrap_or(usize::MAX)
    });
    cores.min(fitting).max(1)
}
