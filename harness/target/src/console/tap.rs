//! The pipe between the recorder and rexpect.
//!
//! Both the text that waits here and the marks are bounded: a matcher that is far behind loses text, and the record does not.
//!
//! rexpect reads from a thread of its own that spins on errors and cannot be stopped, so this end never fails: it blocks until text comes
//! and ends only when the recorder is gone. Text is ASCII, hence rexpect's Latin-1 reading changes nothing.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// The most text that waits for the matcher, in bytes.
const MOST_WAITING: usize = 4 << 20;
/// The most marks that are kept. The time of older text is that of the oldest mark.
const MOST_MARKS: usize = 1 << 16;

/// The recorder's end.
#[derive(Debug, Clone)]
pub(super) struct TapSender {
    text: mpsc::Sender<String>,
    marks: Arc<Mutex<Marks>>,
    waiting: Arc<AtomicUsize>,
}

/// The matcher's end.
#[derive(Debug)]
pub(super) struct Tap {
    text: mpsc::Receiver<String>,
    rest: Vec<u8>,
    waiting: Arc<AtomicUsize>,
}

/// When each part of the text came.
#[derive(Debug, Default)]
pub(super) struct Marks {
    length: usize,
    chunks: VecDeque<(usize, Duration)>,
}

/// A connected pair, and the clock of the text that passes.
pub(super) fn tap() -> (TapSender, Tap, Arc<Mutex<Marks>>) {
    let (tx, rx) = mpsc::channel();
    let marks = Arc::new(Mutex::new(Marks::default()));
    let waiting = Arc::new(AtomicUsize::new(0));
    let sender = TapSender {
        text: tx,
        marks: Arc::clone(&marks),
        waiting: Arc::clone(&waiting),
    };
    let tap = Tap {
        text: rx,
        rest: Vec::new(),
        waiting,
    };
    (sender, tap, marks)
}

impl TapSender {
    /// Passes text on that came at `at`. Returns whether there was room for it.
    pub(super) fn send(&self, text: String, at: Duration) -> bool {
        if self.waiting.load(Ordering::Relaxed) + text.len() > MOST_WAITING {
            return false;
        }
        self.waiting.fetch_add(text.len(), Ordering::Relaxed);
        self.marks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(text.len(), at);
        // A run without expectations has dropped the other end.
        let _ = self.text.send(text);
        true
    }
}

impl Marks {
    fn add(&mut self, length: usize, at: Duration) {
        if self.chunks.len() == MOST_MARKS {
            self.chunks.pop_front();
        }
        self.chunks.push_back((self.length, at));
        self.length += length;
    }

    /// When the byte at `offset` of the text came.
    pub(super) fn at(&self, offset: usize) -> Duration {
        let after = self.chunks.partition_point(|(start, _)| *start <= offset);
        self.chunks
            .get(after.saturating_sub(1))
            .map_or(Duration::ZERO, |(_, at)| *at)
    }
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.text.recv() {
                Ok(text) => {
                    self.waiting.fetch_sub(text.len(), Ordering::Relaxed);
                    self.rest = text.into_bytes();
                }
                Err(mpsc::RecvError) => return Ok(0),
            }
        }
        let n = self.rest.as_slice().read(buffer)?;
        self.rest.drain(..n);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matcher_that_is_far_behind_loses_text() {
        let (sender, mut tap, _marks) = tap();
        let chunk = || "x".repeat(MOST_WAITING / 4);
        let sent = (0..6).filter(|_| sender.send(chunk(), Duration::ZERO));
        assert_eq!(sent.count(), 4);
        drop(tap.read(&mut [0; 16]));
        assert!(sender.send(chunk(), Duration::ZERO));
    }

    #[test]
    fn text_comes_out_whole_and_ends_with_the_recorder() {
        let (sender, mut tap, marks) = tap();
        sender.send("U-Boot ".into(), Duration::from_secs(1));
        sender.send("2025.01\n".into(), Duration::from_secs(2));
        drop(sender);
        let mut text = String::new();
        tap.read_to_string(&mut text).unwrap();
        assert_eq!(text, "U-Boot 2025.01\n");
        let marks = marks.lock().unwrap();
        assert_eq!(marks.at(6), Duration::from_secs(1));
        assert_eq!(marks.at(7), Duration::from_secs(2));
    }
}
