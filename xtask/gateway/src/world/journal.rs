//! What a program says, as it comes.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of a log that are kept; the beginning of a longer one is dropped.
const KEPT: usize = 4 << 20;

/// The lines of a program so far. Clones see the same lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<(Mutex<String>, Condvar)>);

impl Log {
    /// Takes everything that comes out of `reader`, until its end, in a thread of its own.
    pub(crate) fn follow(&self, reader: impl Read + Send + 'static) {
        let log = self.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            while reader
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                log.push(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
    }

    /// Adds text.
    pub(crate) fn push(&self, text: &str) {
        let mut all = self.lock();
        all.push_str(text);
        let surplus = all.len().saturating_sub(KEPT);
        if surplus > 0 {
            let cut = (surplus..all.len())
                .find(|at| all.is_char_boundary(*at))
                .unwrap_or(surplus);
            all.drain(..cut);
        }
        self.0.1.notify_all();
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        self.lock().clone()
    }

    /// The first line with `text` in it, once it is there; `None` when it is not within `patience`.
    pub(crate) fn wait_for(&self, text: &str, patience: Duration) -> Option<String> {
        let end = Instant::now() + patience;
        let mut all = self.lock();
        loop {
            if let Some(line) = all.lines().find(|line| line.contains(text)) {
                return Some(line.to_owned());
            }
            let left = end.checked_duration_since(Instant::now())?;
            let waited = self.0.1.wait_timeout(all, left);
            all = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_waited_for_and_a_wait_ends() {
        let log = Log::default();
        log.follow(&b"one\ntwo \xff\n"[..]);
        let patience = Duration::from_secs(5);
        assert_eq!(log.wait_for("tw", patience).unwrap(), "two \u{fffd}");
        assert_eq!(log.wait_for("three", Duration::from_millis(1)), None);
    }
}
