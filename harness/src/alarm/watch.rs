//! Alarms applied to records, one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::definition::{Alarm, Alarms, Speaker};
use super::kernel_clock::KernelClock;
use crate::console::{Author, Mended, Mender};
use crate::timeline::{Event, Record};

/// How far the run has come before a record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress<'s> {
    /// The last stage that was reached, by its name.
    pub stage: Option<&'s str>,
    /// A container may be writing to the console.
    pub in_container: bool,
}

/// An alarm that a line has raised.
#[derive(Debug, Clone)]
pub struct Raised {
    /// Which.
    pub alarm: Arc<Alarm>,
    /// When the line began, on the record's clock.
    pub at: Duration,
    /// The UART that said it.
    pub uart: u8,
    /// The line, without what another program wrote into it.
    pub line: String,
}

/// Watches the serial lines of one boot of one board.
#[derive(Debug, Clone)]
pub struct AlarmWatch {
    alarms: Alarms,
    /// The record's times are times, not numbers of lines.
    has_times: bool,
    uarts: BTreeMap<u8, Uart>,
}

#[derive(Debug, Clone, Default)]
struct Uart {
    mender: Mender,
    clock: KernelClock,
}

impl AlarmWatch {
    /// A watch for a record whose times are times.
    #[must_use]
    pub fn new(alarms: &Alarms) -> Self {
        Self {
            alarms: alarms.clone(),
            has_times: true,
            uarts: BTreeMap::new(),
        }
    }

    /// The same for a record whose times are numbers of lines.
    #[must_use]
    pub fn without_times(self) -> Self {
        Self {
            has_times: false,
            ..self
        }
    }

    /// The alarms that a record raises. `progress` is what had been reached before it.
    pub fn observe(&mut self, record: &Record, progress: Progress<'_>) -> Vec<Raised> {
        let (uart, mended) = match &record.event {
            Event::Serial { uart, line } => (
                *uart,
                self.uarts.entry(*uart).or_default().mender.line(line),
            ),
            Event::Prompt { uart, text } => (
                *uart,
                self.uarts.entry(*uart).or_default().mender.prompt(text),
            ),
            _ => return Vec::new(),
        };
        self.judge(uart, record.at, mended, progress)
    }

    /// The alarms that interrupted lines raise whose rest has not come until `at`, the end of the record.
    pub fn end(&mut self, at: Duration, progress: Progress<'_>) -> Vec<Raised> {
        let mut raised = Vec::new();
        let uarts: Vec<u8> = self.uarts.keys().copied().collect();
        for uart in uarts {
            let rest = self.uarts.get_mut(&uart).and_then(|u| u.mender.end());
            raised.extend(self.judge(uart, at, rest.into_iter().collect(), progress));
        }
        raised
    }

    fn judge(
        &mut self,
        uart: u8,
        at: Duration,
        lines: Vec<Mended>,
        progress: Progress<'_>,
    ) -> Vec<Raised> {
        let mut raised = Vec::new();
        for Mended { text, author } in lines {
            let Some(speakers) = self.speakers(uart, at, author, progress.in_container) else {
                continue;
            };
            if let Some(alarm) = self.alarms.raised_by(&text, progress.stage, speakers) {
                raised.push(Raised {
                    alarm,
                    at,
                    uart,
                    line: text,
                });
            }
        }
        raised
    }

    /// Who may have said a line; `None` if it may be the container.
    fn speakers(
        &mut self,
        uart: u8,
        at: Duration,
        author: Author,
        in_container: bool,
    ) -> Option<&'static [Speaker]> {
        let clock = &mut self.uarts.entry(uart).or_default().clock;
        match (author, in_container) {
            (Author::Other, false) => Some(&[Speaker::Kernel, Speaker::Other]),
            (Author::Other, true) | (Author::Kernel { at: None }, true) => None,
            (Author::Kernel { at: None }, false) => Some(&[Speaker::Kernel]),
            (Author::Kernel { at: Some(kernel) }, in_container) => {
                if in_container && !clock.agrees(at, kernel, self.has_times) {
                    return None;
                }
                clock.set(at, kernel);
                Some(&[Speaker::Kernel])
            }
        }
    }
}
