//! How fast a core of this host is, compared with the reference host on which the bounds were set.
//!
//! Measured on the thread that asks, hence on the core that a run owns, by the time that the thread had that core: what others take away
//! meanwhile is measured apart, while the run lasts ([`Starvation`](super::Starvation)).

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Steps of the loop that is timed.
const STEPS: u64 = 20_000_000;
/// What the loop takes on the reference host, a quiet core of a 2-core virtual machine.
const REFERENCE: Duration = Duration::from_millis(20);
/// Slower than this and the measurement is taken for a hiccup.
const MOST: f64 = 8.0;

/// How many times slower than the reference host this thread's core is, at least 1.
#[must_use]
pub fn host_scale() -> f64 {
    let samples = (0..3).map(|_| sample().as_secs_f64());
    let best = samples.fold(f64::INFINITY, f64::min);
    (best / REFERENCE.as_secs_f64()).clamp(1.0, MOST)
}

fn sample() -> Duration {
    let started = thread_time();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..STEPS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
    thread_time().saturating_sub(started)
}

/// CPU time that this thread has used.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
