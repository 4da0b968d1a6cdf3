//! How fast this host is right now, compared with the reference host on which the bounds were set.
//!
//! A wall-clock bound that ignores a slow or shared machine is a false alarm, so every bound is multiplied by [`host_scale`].

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Steps of the loop that is timed.
const STEPS: u64 = 20_000_000;
/// What the loop takes on the reference host, a quiet core of a 2-core virtual machine.
const REFERENCE: Duration = Duration::from_millis(20);
/// Slower than this and the measurement is taken for a hiccup.
const MOST: f64 = 8.0;

/// How many times slower than the reference host this one is, at least 1. Measured once per process.
#[must_use]
pub fn host_scale() -> f64 {
    static SCALE: LazyLock<f64> = LazyLock::new(|| {
        let samples = (0..3).map(|_| sample().as_secs_f64());
        let best = samples.fold(f64::INFINITY, f64::min);
        (best / REFERENCE.as_secs_f64()).clamp(1.0, MOST)
    });
    *SCALE
}

fn sample() -> Duration {
    let started = Instant::now();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..STEPS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
    started.elapsed()
}
