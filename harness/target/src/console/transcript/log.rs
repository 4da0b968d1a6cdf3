//! A log in the reading: its lines, cleaned, each with its time.

use std::time::Duration;

use shakedown_base::timeline::{Event, Record};

use super::super::clean::{Cleaner, TAKEN_BACK};
use super::clock::{SinceStart, are_deltas};
use super::prefix::Prefix;
use super::recording::Said;
use super::stamp::{FORMATS, Format, Stamped};

/// A line in the reading.
pub(super) struct Line {
    uart: u8,
    at: Duration,
    pub(super) text: String,
}

/// A log in the reading.
#[derive(Default)]
pub(super) struct Log {
    pub(super) lines: Vec<Line>,
}

impl Log {
    /// Reads lines without stamps; their times are their numbers.
    pub(super) fn unstamped(&mut self, text: &str) {
        let text = Cleaner::default().clean(text.as_bytes());
        for (number, line) in (1..).zip(text.lines()) {
            self.push(0, Duration::from_secs(number), line);
        }
    }

    /// Reads lines that are stamped in this way.
    pub(super) fn stamped(&mut self, lines: &[&str], format: &Format) {
        let stamps: Vec<Option<Stamped<'_>>> = lines.iter().map(|l| format.take(l)).collect();
        let seconds: Vec<f64> = stamps.iter().flatten().map(|s| s.seconds).collect();
        let programs = stamps.iter().flatten();
        let program = program_of_the_board(programs.filter_map(|s| Some((s.program?, s.said))));
        let is_own = format.is_own();
        let mut clock = SinceStart::new(!is_own && are_deltas(&seconds));
        let mut is_open = false;
        for (line, stamped) in lines.iter().zip(stamps) {
            let Some(stamped) = stamped else {
                self.broken(line);
                continue;
            };
            let at = if is_own {
                Duration::try_from_secs_f64(stamped.seconds).unwrap_or_default()
            } else {
                clock.next(stamped.seconds, stamped.is_time_of_day)
            };
            if program.is_some() && stamped.program != program {
                continue;
            }
            let goes_on = stamped.goes_on || std::mem::replace(&mut is_open, stamped.is_part);
            match self.lines.last_mut() {
                Some(last) if goes_on => {
                    let more = Cleaner::default().clean(stamped.said.as_bytes());
                    last.text += more.trim_end_matches('\n');
                }
                _ => self.clean(stamped.uart, at, stamped.said),
            }
        }
    }

    /// Reads a line that the board broke where the tool did not.
    fn broken(&mut self, line: &str) {
        if !line.trim().is_empty() {
            let last = self.lines.last();
            let (uart, at) = last.map_or((0, Duration::ZERO), |l| (l.uart, l.at));
            self.clean(uart, at, line);
        }
    }

    /// Reads a recording, whose pieces may end within a line. Returns whether it has times; otherwise they are the numbers of lines.
    pub(super) fn recorded(&mut self, said: &[Said]) -> bool {
        let seconds: Vec<f64> = said.iter().filter_map(|said| said.seconds).collect();
        let has_times = !seconds.is_empty();
        let programs = said.iter();
        let programs = programs.filter_map(|s| Some((s.program.as_deref()?, s.text.as_str())));
        let program = program_of_the_board(programs);
        let mut clock = SinceStart::new(false);
        let (mut cleaner, mut at, mut is_open) = (Cleaner::default(), Duration::ZERO, false);
        for said in said {
            if program.is_some() && said.program.as_deref() != program {
                continue;
            }
            if let Some(seconds) = said.seconds {
                at = clock.next(seconds, false);
            }
            for piece in cleaner
                .clean_open(said.text.as_bytes())
                .split_inclusive('\n')
            {
                if !std::mem::replace(&mut is_open, !piece.ends_with('\n')) {
                    self.push(0, at, "");
                }
                self.add(piece.trim_end_matches('\n'));
            }
        }
        if !has_times {
            for (number, line) in (1..).zip(&mut self.lines) {
                line.at = Duration::from_secs(number);
            }
        }
        has_times
    }

    /// Adds text to the last line.
    fn add(&mut self, piece: &str) {
        let Some(last) = self.lines.last_mut() else {
            return;
        };
        for c in piece.chars() {
            match c {
                TAKEN_BACK => drop(last.text.pop()),
                _ => last.text.push(c),
            }
        }
    }

    /// Takes off what most lines begin with behind their stamps.
    pub(super) fn take_prefix_off(&mut self) {
        let Some(prefix) = Prefix::of(self.lines.iter().map(|line| line.text.as_str())) else {
            return;
        };
        let rest = |line: &Line| Some(prefix.strip(&line.text)?.to_owned());
        let rests: Vec<Option<String>> = self.lines.iter().map(rest).collect();
        for (line, rest) in self.lines.iter_mut().zip(rests) {
            if let Some(rest) = rest {
                line.text = rest;
            }
        }
    }

    /// The lines as a timeline has them.
    pub(super) fn records(self) -> Vec<Record> {
        let record = |line: Line| {
            let (uart, text) = (line.uart, line.text);
            Record::new(line.at, Event::Serial { uart, line: text })
        };
        self.lines.into_iter().map(record).collect()
    }

    fn clean(&mut self, uart: u8, at: Duration, said: &str) {
        if said.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            self.push(uart, at, said);
            return;
        }
        let text = Cleaner::default().clean(said.as_bytes());
        if text.is_empty() {
            self.push(uart, at, "");
        }
        for line in text.lines() {
            self.push(uart, at, line);
        }
    }

    fn push(&mut self, uart: u8, at: Duration, line: &str) {
        let text = line.to_owned();
        self.lines.push(Line { uart, at, text });
    }
}

impl Format {
    /// Whether this is the format of our own transcripts.
    pub(super) fn is_own(&self) -> bool {
        std::ptr::eq(self, &FORMATS[0])
    }
}

/// The program that wrote the board's text into a journal that holds others' too: the one that has said the most lines by which a boot is
/// known.
fn program_of_the_board<'l>(lines: impl Iterator<Item = (&'l str, &'l str)>) -> Option<&'l str> {
    const KNOWN: [&str; 5] = [
        "U-Boot 20",
        "initialising devices",
        "] Booting Linux",
        "Run /init",
        "ipxe",
    ];
    let known = lines.filter(|(_, said)| KNOWN.iter().any(|k| said.contains(k)));
    let mut programs: Vec<&str> = known.map(|(program, _)| program).collect();
    programs.sort_unstable();
    let count = |program: &&[&'l str]| program.len();
    let most = programs.chunk_by(|a, b| a == b).max_by_key(count)?;
    most.first().copied()
}
