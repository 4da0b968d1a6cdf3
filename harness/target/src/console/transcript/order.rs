//! Logs that begin with their last line, as `journalctl --reverse`, `tac` and some web pages write them.

/// Whether most steps between these times go back. A clock that starts again, at midnight or when a board resets, goes back from time to time.
/// Times since the line before go back at every second step.
///
/// `least` is how many steps there must be.
pub(super) fn is_reversed(seconds: impl Iterator<Item = f64>, least: usize) -> bool {
    let seconds: Vec<f64> = seconds.collect();
    let (mut back, mut steps) = (0, 0);
    for pair in seconds.windows(2) {
        if let [before, after] = pair
            && before != after
        {
            steps += 1;
            back += usize::from(after < before);
        }
    }
    steps >= least && 4 * back >= 3 * steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_log_that_runs_backwards_is_reversed() {
        let is_reversed = |seconds: &[f64]| is_reversed(seconds.iter().copied(), 4);
        assert!(is_reversed(&[9.0, 8.0, 8.0, 3.0, 1.0, 0.0]));
        assert!(is_reversed(&[5.0, 4.0, 3.0, 2.0, 1.0, 60.0, 50.0]));
        assert!(!is_reversed(&[1.0, 0.0]));
        assert!(!is_reversed(&[0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0]));
        // Times since the line before.
        assert!(!is_reversed(&[0.0, 1.0, 2.0, 1.0, 3.0, 1.0, 1.0, 2.0, 1.0]));
        assert!(!is_reversed(&[0.0; 20]));
    }
}
