//! The pipe between the recorder and rexpect.
//!
//! rexpect reads from a thread of its own that spins on errors and cannot be stopped, so this end never fails: it blocks until text comes
//! and ends only when the recorder is gone. Text is ASCII, hence rexpect's Latin-1 reading changes nothing.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// The recorder's end.
#[derive(Debug, Clone)]
pub(super) struct TapSender {
    text: mpsc::Sender<String>,
    marks: Arc<Mutex<Marks>>,
}

/// The matcher's end.
#[derive(Debug)]
pub(super) struct Tap {
    text: mpsc::Receiver<String>,
    rest: Vec<u8>,
}

/// When each part of the text came.
#[derive(Debug, Default)]
pub(super) struct Marks {
    length: usize,
    chunks: Vec<(usize, Duration)>,
}

/// A connected pair, and the clock of the text that passes.
pub(super) fn tap() -> (TapSender, Tap, Arc<Mutex<Marks>>) {
    let (tx, rx) = mpsc::channel();
    let marks = Arc::new(Mutex::new(Marks::default()));
    let sender = TapSender {
        text: tx,
        marks: Arc::clone(&marks),
    };
    let tap = Tap {
        text: rx,
        rest: Vec::new(),
    };
    (sender, tap, marks)
}

impl TapSender {
    /// Passes text on that came at `at`.
    pub(super) fn send(&self, text: String, at: Duration) {
        self.marks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(text.len(), at);
        // A run without expectations has dropped the other end.
        let _ = self.text.send(text);
    }
}

impl Marks {
    fn add(&mut self, length: usize, at: Duration) {
        self.chunks.push((self.length, at));
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
                Ok(text) => self.rest = text.into_bytes(),
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
