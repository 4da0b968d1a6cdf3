//! Serial logs that somebody else's tool wrote: what the board said, and when, as far as the log knows.
//!
//! Known: our own `transcript.log`; lines stamped in brackets by `tio --timestamp` (`24hour`, `24hour-start`, `iso8601`, `epoch`) or
//! `ts`; `grabserial -t`; and anything without stamps, as `picocom --logfile`, `script` or `cat` write it. A kernel's own stamps are part
//! of what it says.

use std::sync::LazyLock;
use std::time::Duration;

use regex::{Captures, Regex};

use super::clean::Cleaner;
use shakedown_base::timeline::{Event, Record};

/// Lines that are looked at to tell how a log is stamped.
const SAMPLE: usize = 200;
/// A clock that goes back by more has passed midnight.
const HALF_A_DAY: Duration = Duration::from_secs(12 * 60 * 60);

/// A serial log, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// The lines, in order.
    pub records: Vec<Record>,
    /// What their times mean.
    pub clock: Clock,
}

/// What the times of a log mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Seconds since the first line.
    Seconds,
    /// The log has no times: the number of the line, in seconds.
    Lines,
}

/// How a log's lines are stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamps {
    /// `[    1.234567] uart0: `, ours.
    Own,
    /// `[12:34:56.789] ` and with a date before.
    ClockTime,
    /// `[1.234567 0.000123] ` and `[1700000000.123] `.
    Seconds,
    None,
}

impl Transcript {
    /// Reads a log. Whatever the bytes are, something comes of them.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let stamps = Stamps::of(&text);
        let mut log = Log::default();
        match stamps {
            Stamps::None => log.unstamped(bytes),
            _ => text.split('\n').for_each(|line| log.stamped(line, stamps)),
        }
        Self {
            records: log.records,
            clock: match stamps {
                Stamps::None => Clock::Lines,
                _ => Clock::Seconds,
            },
        }
    }
}

impl Stamps {
    /// The way in which three of four lines are stamped.
    fn of(text: &str) -> Self {
        let lines = || text.lines().filter(|l| !l.trim().is_empty()).take(SAMPLE);
        let enough = |stamps: &Self| {
            let stamped = lines().filter(|l| stamps.take(l).is_some()).count();
            stamped > 0 && 4 * stamped >= 3 * lines().count()
        };
        let known = [Self::Own, Self::ClockTime, Self::Seconds];
        known.into_iter().find(enough).unwrap_or(Self::None)
    }

    /// A line's UART, its time on a clock of whatever start, and what the board said.
    fn take<'l>(&self, line: &'l str) -> Option<(u8, Duration, &'l str)> {
        static OWN: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"^\[ *(?<s>\d+\.\d{6})\] uart(?<uart>\d): ").ok());
        static CLOCK_TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(r"^\[(?:\d{4}-\d\d-\d\d[T ])?(?<h>\d\d):(?<m>\d\d):(?<s>\d\d(?:\.\d+)?)[^\]]{0,6}\] ?").ok()
        });
        static SECONDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(r"^\[(?:(?<s>\d{9,}(?:\.\d+)?)|(?<rel>\d+\.\d+) \d+\.\d+)\] ?").ok()
        });
        let pattern = match self {
            Self::Own => OWN.as_ref(),
            Self::ClockTime => CLOCK_TIME.as_ref(),
            Self::Seconds => SECONDS.as_ref(),
            Self::None => None,
        }?;
        let found = pattern.captures(line)?;
        let number = |name| number(&found, name);
        let seconds = number("s").or_else(|| number("rel"))?
            + 60.0 * number("m").unwrap_or(0.0)
            + 3600.0 * number("h").unwrap_or(0.0);
        let at = Duration::try_from_secs_f64(seconds).ok()?;
        let uart = number("uart").map_or(0, |n| n as u8);
        Some((uart, at, line.get(found.get(0)?.end()..)?))
    }
}

fn number(found: &Captures<'_>, name: &str) -> Option<f64> {
    found.name(name)?.as_str().parse().ok()
}

/// A log in the reading.
#[derive(Default)]
struct Log {
    records: Vec<Record>,
    /// The clock's first reading, its last one, and what has to be added to it since midnights.
    clock: Option<(Duration, Duration, Duration)>,
}

impl Log {
    fn unstamped(&mut self, bytes: &[u8]) {
        let text = Cleaner::default().clean(bytes);
        for (number, line) in (1..).zip(text.lines()) {
            self.push(0, Duration::from_secs(number), line);
        }
    }

    fn stamped(&mut self, line: &str, stamps: Stamps) {
        let (uart, at, said) = match stamps.take(line) {
            Some((uart, clock, said)) => (uart, self.since_start(clock, stamps), said),
            // A line that the board broke where the tool did not.
            None if line.trim().is_empty() => return,
            None => {
                let last = self.records.last();
                (0, last.map_or(Duration::ZERO, |r| r.at), line)
            }
        };
        for line in Cleaner::default().clean(said.as_bytes()).lines() {
            self.push(uart, at, line);
        }
    }

    /// Time since the first line. Clocks never go back, except at midnight; what does is taken for as late as the line before.
    fn since_start(&mut self, clock: Duration, stamps: Stamps) -> Duration {
        if stamps == Stamps::Own {
            return clock;
        }
        let (first, last, mut days) = self.clock.unwrap_or((clock, clock, Duration::ZERO));
        if last > clock + days + HALF_A_DAY {
            days += 2 * HALF_A_DAY;
        }
        let now = last.max(clock + days);
        self.clock = Some((first, now, days));
        now.saturating_sub(first)
    }

    fn push(&mut self, uart: u8, at: Duration, line: &str) {
        let line = line.to_owned();
        self.records
            .push(Record::new(at, Event::Serial { uart, line }));
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (Clock, String) {
        let transcript = Transcript::read(text.as_bytes());
        let mut out = String::new();
        for record in transcript.records {
            if let Event::Serial { uart, line } = record.event {
                let _ = writeln!(out, "{:.3} {uart} {line}", record.at.as_secs_f64());
            }
        }
        (transcript.clock, out)
    }

    #[test]
    fn our_own() {
        let text = "[    0.812345] uart0: U-Boot 2025.01\n[   31.000000] uart1: [    0.000000] Booting Linux\n";
        insta::assert_snapshot!(read(text).1, @r"
        0.812 0 U-Boot 2025.01
        31.000 1 [    0.000000] Booting Linux
        ");
    }

    #[test]
    fn tio_with_the_time_of_day_over_midnight() {
        let text = "[23:59:59.500] U-Boot 2025.01\r\n[00:00:01.000] \x1b[2Khello\r\n\n[00:00:00.900] late\r\n";
        let (clock, text) = read(text);
        assert_eq!(clock, Clock::Seconds);
        insta::assert_snapshot!(text, @r"
        0.000 0 U-Boot 2025.01
        1.500 0 hello
        1.500 0 late
        ");
    }

    #[test]
    fn other_stamps() {
        let iso = "[2026-11-24T23:11:34.100] a\n[2026-11-24T23:11:35.200+0100] b\n";
        assert_eq!(read(iso), (Clock::Seconds, "0.000 0 a\n1.100 0 b\n".into()));
        let epoch = "[1700000000.25] a\n[1700000001.75] b\n";
        assert_eq!(read(epoch).1, "0.000 0 a\n1.500 0 b\n");
        let grabserial = "[0.000002 0.000002] a\n[2.500002 2.500000] b\n";
        assert_eq!(read(grabserial).1, "0.000 0 a\n2.500 0 b\n");
    }

    #[test]
    fn a_plain_log_counts_lines_and_leaves_the_kernels_stamps_alone() {
        let (clock, text) =
            read("Terminal ready\r\n[    0.000000] Booting Linux\r\n[    1.000000] Run /init\r\n");
        assert_eq!(clock, Clock::Lines);
        insta::assert_snapshot!(text, @r"
        1.000 0 Terminal ready
        2.000 0 [    0.000000] Booting Linux
        3.000 0 [    1.000000] Run /init
        ");
    }

    proptest! {
        #[test]
        fn whatever_is_read_its_times_never_go_back(bytes: Vec<u8>, stamped in "(\\[[0-9:. T-]{0,24}\\] ?[a-z\n]{0,4}){0,40}") {
            for bytes in [bytes.as_slice(), stamped.as_bytes()] {
                let transcript = Transcript::read(bytes);
                let times: Vec<_> = transcript.records.iter().map(|r| r.at).collect();
                prop_assert!(times.is_sorted(), "{times:?}");
            }
        }
    }
}
