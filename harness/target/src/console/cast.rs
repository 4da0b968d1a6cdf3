//! Recordings of a serial port that terminals can play: asciicast v2, one file per UART, on the timeline's clock.
//!
//! Source: asciinema's description of asciicast v2: a header as one JSON object, then `[seconds, "o", text]` a line. The text is all that
//! the port said, escape sequences included; bytes that are no UTF-8 become U+FFFD.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

/// The terminal that firmware and boot loaders believe in.
const COLUMNS: u16 = 80;
const ROWS: u16 = 25;

/// The recording of one UART.
#[derive(Debug)]
pub(super) struct Recording {
    file: File,
    /// The beginning of a character that the rest of is still to come.
    rest: Vec<u8>,
}

/// A piece of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CastEvent {
    /// When, on the timeline's clock.
    pub at: Duration,
    /// What the port said.
    pub text: String,
}

impl Recording {
    /// Opens `path`; an existing recording is continued. `clock` is the timeline's now.
    pub(super) fn open(path: &Path, title: &str, clock: Duration) -> io::Result<Self> {
        let mut file = File::options().create(true).append(true).open(path)?;
        if file.metadata()?.len() == 0 {
            let started = SystemTime::now().checked_sub(clock);
            let since_epoch = started.and_then(|t| t.duration_since(UNIX_EPOCH).ok());
            let header = json!({
                "version": 2, "width": COLUMNS, "height": ROWS, "title": title,
                "timestamp": since_epoch.unwrap_or_default().as_secs(),
            });
            writeln!(file, "{header}")?;
        }
        Ok(Self {
            file,
            rest: Vec::new(),
        })
    }

    /// Adds bytes that came at `at`.
    pub(super) fn add(&mut self, at: Duration, bytes: &[u8]) -> io::Result<()> {
        self.rest.extend_from_slice(bytes);
        let text = take_text(&mut self.rest);
        if text.is_empty() {
            return Ok(());
        }
        let seconds = at.as_micros() as f64 / 1e6;
        writeln!(self.file, "{}", json!([seconds, "o", text]))
    }
}

/// Takes what is text from the front of `bytes`, and leaves a character that is not whole yet.
fn take_text(bytes: &mut Vec<u8>) -> String {
    let cut = bytes.utf8_chunks().last().map_or(0, |last| {
        let tail = last.invalid();
        // Three bytes at most can be the beginning of a character; a broken one shows itself by what follows it.
        let unfinished =
            !tail.is_empty() && std::str::from_utf8(tail).is_err_and(|e| e.error_len().is_none());
        bytes.len() - if unfinished { tail.len() } else { 0 }
    });
    let rest = bytes.split_off(cut);
    let whole = std::mem::replace(bytes, rest);
    String::from_utf8_lossy(&whole).into_owned()
}

/// Reads a recording; lines that are no output are passed over, since a run that was killed leaves a cut one.
#[must_use]
pub fn read_cast(text: &str) -> Vec<CastEvent> {
    let events = text.lines().filter_map(|line| {
        let (at, kind, text): (f64, String, String) = serde_json::from_str(line).ok()?;
        let at = Duration::try_from_secs_f64(at).ok()?;
        (kind == "o").then_some(CastEvent { at, text })
    });
    events.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_recording_is_read_back_and_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("uart0.cast");
        let second = Duration::from_secs(1);
        let mut recording = Recording::open(&path, "UART 0", Duration::ZERO).unwrap();
        recording.add(second, b"\x1b[1mU-Boot\x1b[0m \xc3").unwrap();
        recording.add(second * 2, b"\xa9\r\n\xff!").unwrap();
        let mut again = Recording::open(&path, "UART 0", second * 3).unwrap();
        again.add(second * 3, b"once more").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("\"version\":2").count(), 1);
        let event = |seconds, text: &str| CastEvent {
            at: second * seconds,
            text: text.into(),
        };
        assert_eq!(
            read_cast(&text),
            [
                event(1, "\x1b[1mU-Boot\x1b[0m "),
                event(2, "é\r\n\u{fffd}!"),
                event(3, "once more"),
            ]
        );
    }

    proptest! {
        #[test]
        fn no_character_is_lost_however_it_comes(text: String, cuts: Vec<proptest::sample::Index>) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|i| i.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let (mut rest, mut out) = (Vec::new(), String::new());
            for pair in cuts.windows(2) {
                rest.extend_from_slice(&bytes[pair[0]..pair[1]]);
                out += &take_text(&mut rest);
            }
            prop_assert_eq!(out, text);
        }

        #[test]
        fn foreign_text_never_panics(text: String) {
            let _ = read_cast(&text);
        }
    }
}
