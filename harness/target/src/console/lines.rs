//! From the bytes of one UART to whole lines and prompts.
//!
//! This is the only meaning that serial text has: a line when it ends, and a prompt when an unfinished line stands still. It depends on
//! the bytes and on when they came, and not on how many came at a time.

use std::time::Duration;

use super::clean::{Cleaner, TAKEN_BACK};

/// An unfinished line that has not changed for this long is a prompt.
pub(super) const SETTLED: Duration = Duration::from_millis(400);
/// A longer line is recorded in pieces, in bytes.
const LONGEST: usize = 16 * 1024;
/// Each further piece of a long line repeats this much of the one before, so that text of that length is whole in one of them.
const OVERLAP: usize = 128;
/// A line that grows slowly, such as a progress display, is a prompt so many times at most.
const MOST_PROMPTS: u8 = 8;

/// Something that a UART has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// A whole line, or a piece of a very long one.
    Line {
        /// When its first byte came.
        began: Duration,
        /// Its text, without its end.
        text: String,
    },
    /// An unfinished line that stood still.
    Prompt {
        /// The text so far.
        text: String,
    },
}

/// Makes lines of the bytes of one UART.
#[derive(Default)]
pub(super) struct Lines {
    cleaner: Cleaner,
    line: String,
    began: Duration,
    /// When the last byte came.
    last: Duration,
    /// The unfinished line has been given as a prompt since it last changed.
    is_settled: bool,
    prompts: u8,
    /// How much of the line is the end of the piece before.
    repeated: usize,
}

impl Lines {
    /// Takes bytes that came at `at`.
    pub(super) fn take(&mut self, at: Duration, bytes: &[u8]) -> Vec<Said> {
        let mut said: Vec<_> = self.settle(at).into_iter().collect();
        for c in self.cleaner.clean_open(bytes).chars() {
            match c {
                '\n' => {
                    if self.line.is_empty() {
                        self.began = at;
                    }
                    said.extend(self.finish());
                }
                TAKEN_BACK if self.line.len() <= self.repeated => {}
                TAKEN_BACK => {
                    self.line.pop();
                }
                c => {
                    if self.line.is_empty() {
                        self.began = at;
                    }
                    self.line.push(c);
                    if self.line.len() >= LONGEST {
                        let rest = self.line.get(self.line.len() - OVERLAP..);
                        let rest = rest.unwrap_or_default().to_owned();
                        said.extend(self.finish());
                        (self.repeated, self.line) = (rest.len(), rest);
                    }
                }
            }
        }
        if !bytes.is_empty() {
            (self.last, self.is_settled) = (at, false);
        }
        said
    }

    /// When the unfinished line is a prompt if nothing comes before.
    pub(super) fn settles_at(&self) -> Option<Duration> {
        let is_open = self.line.len() > self.repeated && !self.line.trim().is_empty();
        (is_open && !self.is_settled && self.prompts < MOST_PROMPTS).then(|| self.last + SETTLED)
    }

    /// The prompt that the unfinished line is by now, if it is one.
    pub(super) fn settle(&mut self, now: Duration) -> Option<Said> {
        self.settles_at().filter(|at| *at <= now)?;
        self.is_settled = true;
        self.prompts += 1;
        let text = self.line.clone();
        Some(Said::Prompt { text })
    }

    /// The UART will say no more: the unfinished line is all that there is of it.
    pub(super) fn end(&mut self) -> Option<Said> {
        if self.line.is_empty() {
            return None;
        }
        self.finish()
    }

    fn finish(&mut self) -> Option<Said> {
        let text = std::mem::take(&mut self.line);
        let repeated = std::mem::take(&mut self.repeated);
        let began = self.began;
        (self.is_settled, self.prompts) = (false, 0);
        // The end of a long line that has been given whole.
        (repeated == 0 || text.len() > repeated).then_some(Said::Line { began, text })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn texts(said: Vec<Said>) -> Vec<String> {
        let text = |said| match said {
            Said::Line { text, .. } => text,
            Said::Prompt { text } => format!("{text}…"),
        };
        said.into_iter().map(text).collect()
    }

    #[test]
    fn a_line_that_stands_still_is_a_prompt_and_later_a_line() {
        let mut lines = Lines::default();
        let mut said = lines.take(ms(0), b"a\r\nU-Boot> ");
        assert_eq!(lines.settles_at(), Some(ms(400)));
        said.extend(lines.settle(ms(399)));
        said.extend(lines.settle(ms(400)));
        said.extend(lines.settle(ms(900)));
        said.extend(lines.take(ms(1000), b"help\r\n"));
        assert_eq!(texts(said), ["a", "U-Boot> …", "U-Boot> help"]);
        assert_eq!(lines.end(), None);
    }

    #[test]
    fn a_backspace_takes_back_what_came_before() {
        let mut lines = Lines::default();
        let mut said = lines.take(ms(0), b"12%");
        said.extend(lines.take(ms(1), b"\x08\x08\x08ok\r\n"));
        assert_eq!(texts(said), ["ok"]);
    }

    #[test]
    fn a_very_long_line_comes_in_pieces_and_loses_nothing() {
        let mut lines = Lines::default();
        let nonce = "c0ffee0123456789";
        for before in [LONGEST - 200, LONGEST - 10, LONGEST, 3 * LONGEST] {
            let text = "x".repeat(before) + nonce + "\n";
            let pieces = texts(lines.take(ms(0), text.as_bytes()));
            assert!(pieces.iter().all(|p| p.len() <= LONGEST));
            assert!(pieces.iter().any(|p| p.contains(nonce)), "{before}");
        }
        assert_eq!(lines.end(), None);
    }

    proptest! {
        /// Byte by byte or in chunks, asked now and then whether a line has settled or not: the same lines and prompts.
        #[test]
        fn how_many_bytes_come_at_a_time_changes_nothing(
            bursts in proptest::collection::vec(("[a-z>#$ \r\n\x08\x1b\\[0-9m]{0,24}", 0_u64..900), 0..12),
            ask in proptest::collection::vec(0_u64..4000, 0..8),
        ) {
            let run = |byte_by_byte: bool, ask: &[u64]| {
                let mut lines = Lines::default();
                let (mut said, mut now) = (Vec::new(), 0);
                for (text, pause) in &bursts {
                    for at in ask.iter().filter(|at| (now..now + pause).contains(*at)) {
                        said.extend(lines.settle(ms(*at)));
                    }
                    now += pause;
                    let size = if byte_by_byte { 1 } else { 1000 };
                    for chunk in text.as_bytes().chunks(size) {
                        said.extend(lines.take(ms(now), chunk));
                    }
                }
                said.extend(lines.settle(ms(now + 1000)));
                said.extend(lines.end());
                said
            };
            let mut ask = ask;
            ask.sort_unstable();
            let expected = run(false, &[]);
            prop_assert_eq!(&run(true, &[]), &expected);
            prop_assert_eq!(&run(true, &ask), &expected);
            prop_assert_eq!(&run(false, &ask), &expected);
        }
    }
}
