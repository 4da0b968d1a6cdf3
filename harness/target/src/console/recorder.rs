//! The record of all UARTs: the merged transcript, the timeline, and what the matcher gets.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use shakedown_base::timeline::{Event, Timeline};

use super::feed::Feed;
use super::lines::Said;
use super::tap::TapSender;

/// The most text of one run that goes onto the timeline, into the transcript and to the matcher, in bytes; each line costs
/// [`LINE`] more. What is beyond is only in the raw record.
const MOST_TEXT: u64 = 96 << 20;
/// What a line costs besides its text, in bytes: about the size of its record.
const LINE: u64 = 96;

/// Merges the lines of all UARTs.
pub(super) struct Recorder {
    transcript: File,
    timeline: Timeline,
    tap: TapSender,
    feed: Feed,
    /// How much text there is, in bytes.
    text: u64,
    /// Something has been said for once: text is left out, the matcher is behind, the transcript cannot be written.
    noted: [bool; 3],
}

impl Recorder {
    pub(super) fn new(transcript: File, timeline: &Timeline, tap: TapSender) -> Self {
        Self {
            transcript,
            timeline: timeline.clone(),
            tap,
            feed: Feed::default(),
            text: 0,
            noted: [false; 3],
        }
    }

    /// The timeline that it writes to.
    pub(super) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Takes what a UART has said. `received` is how many bytes it has sent in all, for the record of a flood.
    pub(super) fn take(&mut self, uart: u8, said: Vec<Said>, received: u64) {
        for said in said {
            let length = match &said {
                Said::Line { text, .. } | Said::Prompt { text } => text.len(),
            };
            self.text += LINE + length as u64;
            if self.text > MOST_TEXT {
                if !std::mem::replace(&mut self.noted[0], true) {
                    self.timeline.emit(Event::Flood {
                        of: "console".into(),
                        bytes: received,
                    });
                }
                continue;
            }
            match said {
                Said::Line { began, text } => self.line(uart, began, text),
                Said::Prompt { text } => self.emit(Event::Prompt { uart, text }),
            }
        }
    }

    fn line(&mut self, uart: u8, began: Duration, line: String) {
        let at = began.as_secs_f64();
        if let Err(e) = writeln!(self.transcript, "[{at:12.6}] uart{uart}: {line}")
            && !std::mem::replace(&mut self.noted[2], true)
        {
            self.timeline
                .note("console", format!("cannot write the transcript: {e}"));
        }
        self.emit(Event::Serial { uart, line });
    }

    fn emit(&mut self, event: Event) {
        if let Some(text) = self.feed.text_of(&event)
            && !self.tap.send(text, self.timeline.elapsed())
            && !std::mem::replace(&mut self.noted[1], true)
        {
            let text = "the board says more than the matcher of serial text keeps up with; some of it is not looked at";
            self.timeline.note("console", text);
        }
        self.timeline.emit(event);
    }
}
