//! Expectations: rexpect behind the recorder.
//!
//! rexpect polls and knows one time-out for a whole session, so it is asked in short turns, and the bound, the cancelling and the time of
//! the match are kept here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use regex::Regex;
use rexpect::ReadUntil;
use rexpect::error::Error;
use rexpect::reader::{NBReader, Options};

use super::tap::{Marks, Tap};

/// One turn of rexpect; between turns the caller may give up.
const TURN: Duration = Duration::from_millis(200);

/// What the board is expected to say, in order: text before a match is used up with it.
pub struct Expectations {
    reader: NBReader,
    marks: Arc<Mutex<Marks>>,
    consumed: usize,
}

/// Text that was expected and came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When the first byte of the match came, on the timeline's clock.
    pub at: Duration,
    /// The text that matched.
    pub text: String,
}

/// Text that was expected and will not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Missed {
    /// The caller gave up.
    #[error("gave up waiting")]
    GivenUp,
    /// The board is off: its UARTs have ended.
    #[error("the board went silent for good: its serial ports have ended")]
    Ended,
}

impl Expectations {
    pub(super) fn new(tap: Tap, marks: Arc<Mutex<Marks>>) -> Self {
        let options = Options::new().timeout_ms(Some(TURN.as_millis() as u64));
        Self {
            reader: NBReader::new(tap, options),
            marks,
            consumed: 0,
        }
    }

    /// Waits for text that matches, asking `give_up` between turns. Blocks: call it on a thread that may.
    ///
    /// # Errors
    /// The caller gave up, or the serial ports have ended.
    pub fn wait(&mut self, pattern: &Regex, give_up: impl Fn() -> bool) -> Result<Seen, Missed> {
        let needle = ReadUntil::Regex(pattern.clone());
        loop {
            match self.reader.read_until(&needle) {
                Ok((before, text)) => {
                    let start = self.consumed + before.len();
                    self.consumed = start + text.len();
                    let at = self
                        .marks
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .at(start);
                    return Ok(Seen { at, text });
                }
                Err(Error::Timeout { .. }) if give_up() => return Err(Missed::GivenUp),
                Err(Error::Timeout { .. }) => {}
                Err(_) => return Err(Missed::Ended),
            }
        }
    }
}

impl std::fmt::Debug for Expectations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expectations")
            .field("consumed", &self.consumed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tap::tap;
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn matches_come_in_order_with_their_times() {
        let (sender, reader, marks) = tap();
        let mut expectations = Expectations::new(reader, marks);
        sender.send("U-Boot 2025.01\n".into(), secs(1));
        sender.send("iPXE 1.21.1\nLinux\n".into(), secs(2));
        let never = || false;
        let seen = expectations
            .wait(&Regex::new("U-Boot").unwrap(), never)
            .unwrap();
        assert_eq!(seen.at, secs(1));
        let seen = expectations
            .wait(&Regex::new(r"iPXE \S+").unwrap(), never)
            .unwrap();
        assert_eq!(
            seen,
            Seen {
                at: secs(2),
                text: "iPXE 1.21.1".into()
            }
        );
        let again = expectations.wait(&Regex::new("U-Boot").unwrap(), || true);
        assert_eq!(again, Err(Missed::GivenUp));
        assert!(
            expectations
                .wait(&Regex::new("Linux").unwrap(), never)
                .is_ok()
        );
    }

    #[test]
    fn the_end_of_the_ports_ends_the_wait() {
        let (sender, reader, marks) = tap();
        let mut expectations = Expectations::new(reader, marks);
        drop(sender);
        assert_eq!(
            expectations.wait(&Regex::new("x").unwrap(), || false),
            Err(Missed::Ended)
        );
    }
}
