//! Reading a log: which stamps it has, then line by line.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use shakedown_base::Untrusted;
use shakedown_base::timeline::{Event, Record};

use super::super::printk;
use super::decode::decode;
use super::escape::without_sequences;
use super::foreign::{self, NotALog};
use super::log::{Line, Log};
use super::order::is_reversed;
use super::prefix::Prefix;
use super::recording::Recording;
use super::stamp::{FORMATS, Format};
use super::{lava, recording};

/// Lines that are looked at to tell how a log is stamped.
const SAMPLE: usize = 200;
/// Steps of a recorder's stamps that tell a log that runs backwards. Where stamps say the time since the line before, half of the steps
/// go back.
const STAMPS: usize = 12;
/// The same for the kernel's stamps.
const KERNELS: usize = 3;

/// A serial log, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// The lines, in order.
    pub records: Vec<Record>,
    /// What their times mean.
    pub clock: Clock,
    /// What stood before the board's text.
    pub stamps: Stamps,
    /// The log began with its last line. The lines are in the order in which the board said them.
    pub is_reversed: bool,
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
        Self::of_text(&decode(bytes))
    }

    fn of_text(text: &str) -> Self {
        let text = without_sequences(text);
        match recording::read(&text).or_else(|| lava::read(&text)) {
            Some(recording) => Self::recorded(recording),
            None => Self::written(&text),
        }
    }

    /// Reads a log, and refuses a file that is not a log.
    ///
    /// # Errors
    /// [`NotALog`]: the file is empty, packed, or something else.
    pub fn read_log(bytes: &[u8]) -> Result<Self, NotALog> {
        foreign::refuse(bytes)?;
        let text = decode(bytes);
        foreign::refuse_text(&text)?;
        let read = Self::of_text(&text);
        let is_blank = read.records.iter().all(|record| match &record.event {
            Event::Serial { line, .. } => line.trim().is_empty(),
            _ => false,
        });
        match is_blank {
            true => Err(NotALog::Blank),
            false => Ok(read),
        }
    }

    fn recorded(mut recording: Recording) -> Self {
        let seconds = recording.said.iter().filter_map(|said| said.seconds);
        let kernels = recording.said.iter().filter_map(|said| kernels(&said.text));
        let is_reversed = is_reversed(seconds, STAMPS) || is_reversed(kernels, KERNELS);
        if is_reversed {
            recording.said.reverse();
        }
        let mut log = Log::default();
        let has_times = log.recorded(&recording.said);
        log.take_prefix_off();
        Self {
            records: log.records(),
            clock: if has_times {
                Clock::Seconds
            } else {
                Clock::Lines
            },
            stamps: Stamps::Known(recording.name),
            is_reversed,
        }
    }

    fn written(text: &str) -> Self {
        let mut lines: Vec<&str> = text.split('\n').map(head).collect();
        let mut log = Log::default();
        let Some(format) = known_format(&lines) else {
            return Self::unstamped(lines);
        };
        let stamped = lines.iter().filter_map(|line| format.take(line));
        let is_reversed = is_reversed(stamped.map(|s| s.seconds), STAMPS);
        if is_reversed {
            lines.reverse();
        }
        log.stamped(&lines, format);
        if !format.is_own() {
            log.take_prefix_off();
        }
        Self {
            records: log.records(),
            clock: Clock::Seconds,
            stamps: Stamps::Known(format.name),
            is_reversed,
        }
    }

    /// Reads a log without times.
    fn unstamped(mut lines: Vec<&str>) -> Self {
        let prefix = Prefix::of(lines.iter().copied());
        if let Some(prefix) = &prefix {
            for line in &mut lines {
                *line = prefix.strip(line).unwrap_or(line);
            }
        }
        let is_reversed = is_reversed(lines.iter().filter_map(|line| kernels(line)), KERNELS);
        if is_reversed {
            lines.reverse();
        }
        let mut log = Log::default();
        log.unstamped(&lines.join("\n"));
        let stamps = match prefix {
            Some(prefix) => Stamps::Unknown {
                example: prefix.example.to_owned(),
            },
            None => match mixed(&log.lines) {
                Some(example) => Stamps::Mixed { example },
                None => Stamps::None,
            },
        };
        Self {
            records: log.records(),
            clock: Clock::Lines,
            stamps,
            is_reversed,
        }
    }
}

/// Seconds that the kernel had run for, as a line says.
fn kernels(line: &str) -> Option<f64> {
    Some(printk(line)?.at?.as_secs_f64())
}

/// A line without the marks, zeros and carriage returns that it begins with.
fn head(line: &str) -> &str {
    line.trim_start_matches(['\r', '\0', '\u{feff}'])
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
