//! Reading a log: which stamps it has, then line by line.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use shakedown_base::Untrusted;
use shakedown_base::timeline::{Event, Record};

use super::super::clean::Cleaner;
use super::clock::{SinceStart, are_deltas};
use super::decode::decode;
use super::prefix::Prefix;
use super::stamp::{FORMATS, Format};

/// Lines that are looked at to tell how a log is stamped.
const SAMPLE: usize = 200;

/// A serial log, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// The lines, in order.
    pub records: Vec<Record>,
    /// What their times mean.
    pub clock: Clock,
    /// What stood before the board's text.
    pub stamps: Stamps,
}

/// What the times of a log mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Seconds since the first line.
    Seconds,
    /// The log has no times: the number of the line, in seconds.
    Lines,
}

/// What stood before the board's text in each line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stamps {
    /// Nothing.
    None,
    /// The stamps of these tools.
    Known(&'static str),
    /// Something that no known tool writes. It has been left out, and the log has no times.
    Unknown {
        /// For example.
        example: String,
    },
    /// Something before the lines by which a boot is known that is not the same before each line. It has been left in.
    Mixed {
        /// For example.
        example: String,
    },
}

impl fmt::Display for Stamps {
    /// A sentence for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |example: &str| Untrusted::new(example.to_owned()).at_most(80).to_string();
        match self {
            Self::None => f.write_str("the lines have no stamps"),
            Self::Known(name) => write!(f, "the lines are stamped as by {name}"),
            Self::Unknown { example } => write!(
                f,
                "each line begins with a prefix that is not known, for example \"{}\"; it was left out, and the log has no times",
                shown(example)
            ),
            Self::Mixed { example } => write!(
                f,
                "before some lines stands text that is not understood, for example \"{}\"; it was left in",
                shown(example)
            ),
        }
    }
}

impl Transcript {
    /// Reads a log. Whatever the bytes are, something comes of them.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let text = decode(bytes);
        let lines: Vec<&str> = text.split('\n').map(head).collect();
        let mut log = Log::default();
        let (clock, stamps) = if let Some(format) = known_format(&lines) {
            log.stamped(&lines, format);
            (Clock::Seconds, Stamps::Known(format.name))
        } else if let Some(prefix) = Prefix::of(lines.iter().copied()) {
            let stripped = |line: &&'_ str| prefix.strip(line).unwrap_or(line).to_owned();
            let stripped: Vec<_> = lines.iter().map(stripped).collect();
            log.unstamped(&stripped.join("\n"));
            let example = prefix.example.to_owned();
            (Clock::Lines, Stamps::Unknown { example })
        } else {
            log.unstamped(&text);
            let stamps = match mixed(&log.lines) {
                Some(example) => Stamps::Mixed { example },
                None => Stamps::None,
            };
            (Clock::Lines, stamps)
        };
        Self {
            records: log.lines.into_iter().map(Line::record).collect(),
            clock,
            stamps,
        }
    }
}

/// A line without the escape sequences and zeros that it begins with.
fn head(line: &str) -> &str {
    static SEQUENCES: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^(?:\x1b\[[0-9;?]*[A-Za-z]|\x1b[78]|[\r\x00\x{feff}])+").ok()
    });
    let found = SEQUENCES.as_ref().and_then(|s| s.find(line));
    found.and_then(|m| line.get(m.end()..)).unwrap_or(line)
}

/// The first kind of stamp that three of four lines have, or else the one that most have, if half of them do.
fn known_format(lines: &[&str]) -> Option<&'static Format> {
    let is_text = |line: &&str| !line.trim().is_empty();
    let sample = lines.iter().copied().filter(is_text).take(SAMPLE);
    let sample: Vec<&str> = sample.collect();
    let stamped = |format: &Format| {
        let stamped = sample.iter().filter(|l| format.take(l).is_some());
        let (kernels, others): (Vec<&str>, Vec<&str>) =
            stamped.partition(|l| format.is_like_the_kernels(l));
        // The kernel cannot have written all of them itself.
        if others.is_empty() {
            0
        } else {
            kernels.len() + others.len()
        }
    };
    let counts: Vec<_> = FORMATS.iter().map(|f| (f, stamped(f))).collect();
    let most_lines = counts
        .iter()
        .find(|(_, n)| *n > 0 && 4 * n >= 3 * sample.len());
    let half = || {
        let best = counts.iter().rev().max_by_key(|(_, n)| *n)?;
        (best.1 > 0 && 2 * best.1 >= sample.len()).then_some(best)
    };
    most_lines.or_else(half).map(|(format, _)| *format)
}

/// What stands before a line by which a boot is known.
fn mixed(lines: &[Line]) -> Option<String> {
    static KNOWN: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^(?<before>[^\[ ].{7,}?[\s\]>|:)])(?:U-Boot 20\d\d\.\d\d\S* \(|[\w.-]+ initialising devices\.\.\.|(?:\[[ \d.]+\] )Booting Linux on physical)").ok()
    });
    lines.iter().find_map(|line| {
        let found = KNOWN.as_ref()?.captures(&line.text)?;
        Some(found.name("before")?.as_str().to_owned())
    })
}

/// A line in the reading.
struct Line {
    uart: u8,
    at: Duration,
    text: String,
}

impl Line {
    fn record(self) -> Record {
        let (uart, line) = (self.uart, self.text);
        Record::new(self.at, Event::Serial { uart, line })
    }
}

/// A log in the reading.
#[derive(Default)]
struct Log {
    lines: Vec<Line>,
}

impl Log {
    fn unstamped(&mut self, text: &str) {
        let text = Cleaner::default().clean(text.as_bytes());
        for (number, line) in (1..).zip(text.lines()) {
            self.push(0, Duration::from_secs(number), line);
        }
    }

    fn stamped(&mut self, lines: &[&str], format: &Format) {
        let stamps = || lines.iter().filter_map(|line| format.take(line));
        let seconds: Vec<f64> = stamps().map(|stamped| stamped.seconds).collect();
        let is_own = std::ptr::eq(format, &FORMATS[0]);
        let program = program_of_the_board(format, lines);
        let mut clock = SinceStart::new(!is_own && are_deltas(&seconds));
        for line in lines {
            let Some(stamped) = format.take(line) else {
                // A line that the board broke where the tool did not.
                if !line.trim().is_empty() {
                    let last = self.lines.last();
                    let (uart, at) = last.map_or((0, Duration::ZERO), |l| (l.uart, l.at));
                    self.clean(uart, at, line);
                }
                continue;
            };
            let at = if is_own {
                Duration::try_from_secs_f64(stamped.seconds).unwrap_or_default()
            } else {
                clock.next(stamped.seconds, stamped.is_time_of_day)
            };
            let is_other = program.is_some() && stamped.program != program;
            match (stamped.said, self.lines.last_mut()) {
                (None, _) => {}
                _ if is_other => {}
                (Some(said), Some(last)) if stamped.goes_on => {
                    last.text += Cleaner::default()
                        .clean(said.as_bytes())
                        .trim_end_matches('\n');
                }
                (Some(said), _) => self.clean(stamped.uart, at, &said),
            }
        }
    }

    fn clean(&mut self, uart: u8, at: Duration, said: &str) {
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

/// The program that wrote the board's text into a journal that holds others' too: the one that has said the most lines by which a boot is
/// known.
fn program_of_the_board<'l>(format: &Format, lines: &[&'l str]) -> Option<&'l str> {
    const KNOWN: [&str; 5] = [
        "U-Boot 20",
        "initialising devices",
        "] Booting Linux",
        "Run /init",
        "ipxe",
    ];
    let known = lines
        .iter()
        .filter(|line| KNOWN.iter().any(|k| line.contains(k)));
    let mut programs: Vec<&str> = known.filter_map(|l| format.take(l)?.program).collect();
    programs.sort_unstable();
    let count = |program: &&str| programs.iter().filter(|p| *p == program).count();
    programs.iter().copied().max_by_key(count)
}
