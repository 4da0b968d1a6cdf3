//! How tools stamp the lines of a log.
//!
//! Sources: ts(1) of moreutils, tio(1), grabserial's help, journalctl(1) `-o`, minicom(1), Tera Term's manual (log), GitHub's and GitLab's
//! job logs, Kubernetes' logging format of the Container Runtime Interface, RFC 3339, RFC 5424.

use std::sync::LazyLock;
use std::time::Duration;

use regex::{Captures, Regex};

/// A kind of stamp.
pub(super) struct Format {
    /// The tools that write it, for people.
    pub(super) name: &'static str,
    pattern: LazyLock<Option<Regex>>,
}

/// A line without its stamp.
#[derive(Debug, PartialEq)]
pub(super) struct Stamped<'l> {
    /// The UART that the stamp names; 0 without one.
    pub(super) uart: u8,
    /// Seconds on the log's clock, whatever its start.
    pub(super) seconds: f64,
    /// The clock begins anew at midnight.
    pub(super) is_time_of_day: bool,
    /// What the board said.
    pub(super) said: &'l str,
    /// The line goes on with the line before.
    pub(super) goes_on: bool,
    /// The next line goes on with this one.
    pub(super) is_part: bool,
    /// The program that wrote the line into a system's journal.
    pub(super) program: Option<&'l str>,
}

/// A kernel that has run for longer is a clock that counts from 1970: in seconds, of thirty years.
const LONGEST_UPTIME: Duration = Duration::from_secs(1_000_000_000);

const TIME: &str =
    r"(?<h>\d{1,2}):(?<m>\d\d):(?<s>\d\d(?:[.,]\d{1,9})?)(?: ?(?<half>[AaPp])\.?[Mm]\b\.?)?";
const ZONE: &str = r"(?: ?(?:Z|UTC|GMT|CES?T|[+-]\d\d:?\d\d))?";
const DATE: &str = r"(?<Y>\d{4})[-./](?<M>\d\d)[-./](?<D>\d\d)";
const MONTH: &str = r"(?<mon>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const DAY: &str = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const PROGRAM: &str = r" [\w.-]+ (?<program>[\w@./()-]+?)(?:\[\d+\])?: ?";

macro_rules! format {
    ($name:literal, $($piece:expr),+) => {
        Format {
            name: $name,
            pattern: LazyLock::new(|| Regex::new(&[$($piece),+].concat()).ok()),
        }
    };
}

/// Every known kind, the more special before the more general.
pub(super) static FORMATS: [Format; 18] = [
    format!(
        "our transcript",
        r"^\[ *(?<sec>\d+\.\d{6})\] uart(?<uart>\d): "
    ),
    format!(
        "GitLab",
        "^", DATE, "T", TIME, ZONE, r" [0-9a-f]{2}[OE](?<more>[ +])"
    ),
    format!("journald", "^", MONTH, r" +(?<D>\d{1,2}) ", TIME, PROGRAM),
    format!(
        "journald",
        "^(?:<\\d+>1 )?(?:", DAY, " )?", DATE, "[T ]", TIME, ZONE, PROGRAM
    ),
    format!(
        "journald",
        r"^\[ *(?<sec>\d+\.\d{6})\] [\w.-]+ (?<program>[\w@./()-]+?)\[\d+\]: ?"
    ),
    format!("journald", r"^(?<sec>\d{9,11}\.\d{6})", PROGRAM),
    format!(
        "Kubernetes",
        "^", DATE, "T", TIME, ZONE, " (?:stdout|stderr) (?<part>[FP])(?: |$)"
    ),
    format!(
        "GitHub",
        r"^(?:[^\t]{1,200}\t){0,2}\x{feff}?", DATE, "T", TIME, "Z(?: |$)"
    ),
    format!(
        "date and time",
        r"^[\[(<]?", DATE, "[T _-]", TIME, ZONE, r"[\])>]?(?: ?(?:\||->|>|:))?(?:[ \t]|$)"
    ),
    format!(
        "Tera Term or ctime",
        r"^\[?", DAY, " ", MONTH, r" +(?<D>\d{1,2}) ", TIME, ZONE, r" (?<Y>\d{4})\]?(?: |$)"
    ),
    format!(
        "ts",
        r"^[\[(]?", MONTH, r" +(?<D>\d{1,2}) ", TIME, r"[\])]?(?:[ \t]|$)"
    ),
    format!("grabserial", r"^\[", TIME, r" +\d+\.\d+\](?: |$)"),
    format!("Tera Term", r"^\[(?<D>\d{1,4}) ", TIME, r"\](?: |$)"),
    format!(
        "time of day",
        r"^[\[(]?", TIME, ZONE, r"[\])]?(?: ?(?:\||->|>))?(?:[ \t]|$)"
    ),
    format!("grabserial", r"^\[(?<sec>\d+\.\d+) +\d+\.\d+\](?: |$)"),
    format!(
        "seconds since 1970",
        r"^\[?(?<sec>\d{9,11}(?:\.\d+)?)\]?(?: ?(?:\||:))?(?:[ \t]|$)"
    ),
    format!("grabserial", r"^\[(?<sec>\d+\.\d{6})\](?: |$)"),
    format!(
        "seconds",
        r"^[\[(]? *(?<sec>\d+\.\d{1,9})(?: ?s[\])]?|\))?(?:[ \t]|$)"
    ),
];

impl Format {
    /// Takes the stamp off a line; `None` if it has no such stamp.
    pub(super) fn take<'l>(&self, line: &'l str) -> Option<Stamped<'l>> {
        let found = self.pattern.as_ref()?.captures(line)?;
        let is_time_of_day = found.name("h").is_some() && days(&found).is_none();
        Some(Stamped {
            uart: number(&found, "uart").map_or(0, |n| n as u8),
            seconds: seconds(&found)?,
            is_time_of_day,
            said: line.get(found.get(0)?.end()..)?,
            goes_on: found.name("more").is_some_and(|m| m.as_str() == "+"),
            is_part: found.name("part").is_some_and(|m| m.as_str() == "P"),
            program: found.name("program").map(|m| m.as_str()),
        })
    }

    /// Whether the stamp that this takes off a line may be the kernel's own, which is part of what the kernel says.
    pub(super) fn is_like_the_kernels(&self, line: &str) -> bool {
        let said = self.take(line).map(|stamped| stamped.said);
        super::super::printk(line).is_some_and(|kernel| {
            // The kernel pads its seconds to five places.
            let is_padded = line.starts_with("[ ") || line.find('.').is_some_and(|dot| dot > 5);
            let is_recent = kernel.at.is_some_and(|at| at < LONGEST_UPTIME);
            is_recent && is_padded && said == Some(kernel.message)
        })
    }
}

/// Seconds on a log's clock of a date or a time alone.
pub(super) fn seconds_of(text: &str) -> Option<f64> {
    FORMATS
        .iter()
        .find_map(|format| Some(format.take(text)?.seconds))
}

fn seconds(found: &Captures<'_>) -> Option<f64> {
    if let Some(seconds) = number(found, "sec") {
        return Some(seconds);
    }
    let of_day = 3600.0 * hours(found)? + 60.0 * number(found, "m")? + number(found, "s")?;
    Some(86_400.0 * days(found).unwrap_or(0.0) + of_day)
}

/// Hours since midnight, of a clock of 24 hours or of twice 12.
fn hours(found: &Captures<'_>) -> Option<f64> {
    let hours = number(found, "h")?;
    Some(match found.name("half").map(|half| half.as_str()) {
        Some("A" | "a") => hours % 12.0,
        Some(_) => hours % 12.0 + 12.0,
        None => hours,
    })
}

/// Days since a time in the past; good enough to tell one day from the next.
fn days(found: &Captures<'_>) -> Option<f64> {
    const BEFORE: [f64; 12] = [
        0.0, 31.0, 60.0, 91.0, 121.0, 152.0, 182.0, 213.0, 244.0, 274.0, 305.0, 335.0,
    ];
    let day = number(found, "D")?;
    let named = found.name("mon").and_then(|name| {
        let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
        months.find(name.as_str()).map(|at| at / 3)
    });
    let numbered = || number(found, "M").map(|month| (month as usize).saturating_sub(1));
    let month = named.or_else(numbered).and_then(|month| BEFORE.get(month));
    Some(366.0 * number(found, "Y").unwrap_or(0.0) + month.unwrap_or(&0.0) + day)
}

fn number(found: &Captures<'_>, name: &str) -> Option<f64> {
    found.name(name)?.as_str().replace(',', ".").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        for format in &FORMATS {
            assert!(format.pattern.is_some(), "{}", format.name);
        }
    }

    #[test]
    fn the_first_format_that_fits_is_the_right_one() {
        let cases = [
            ("[    0.812345] uart1: x", "our transcript"),
            ("2026-05-04T10:00:00.123456Z 00O x", "GitLab"),
            ("May 04 10:00:00 gateway conserver[812]: x", "journald"),
            (
                "2026-05-04T10:00:00+0200 gateway conserver[812]: x",
                "journald",
            ),
            (
                "Mon 2026-05-04 10:00:00 UTC gateway conserver[812]: x",
                "journald",
            ),
            ("[    5.123456] gateway conserver[812]: x", "journald"),
            ("2026-05-04T10:00:00.123456789Z stdout F x", "Kubernetes"),
            ("2026-05-04T10:00:00.1234567Z x", "GitHub"),
            ("boot\tRun e2e\t2026-05-04T10:00:00.1234567Z x", "GitHub"),
            ("[2026-05-04T10:00:00.123+0200] x", "date and time"),
            ("[2026.05.04 10:00:00] x", "date and time"),
            ("2026-05-04 10:00:00,123 x", "date and time"),
            ("[Mon May 04 10:00:00.000 2026] x", "Tera Term or ctime"),
            ("May  4 10:00:00 x", "ts"),
            ("[10:00:00.000000 0.000000] x", "grabserial"),
            ("[0 00:00:01.234] x", "Tera Term"),
            ("[10:00:00.123] x", "time of day"),
            ("00:00:02 x", "time of day"),
            ("10:00:00 PM x", "time of day"),
            ("[10:00:00.123 a.m.] x", "time of day"),
            ("10:00:00.123 -> x", "time of day"),
            ("[0.000002 0.000002] x", "grabserial"),
            ("[1700000000.25] x", "seconds since 1970"),
            ("[1777881600.000000] x", "seconds since 1970"),
            ("[0.100000] x", "grabserial"),
            ("3.100000 x", "seconds"),
        ];
        for (line, name) in cases {
            let first = FORMATS.iter().find_map(|f| Some((f.name, f.take(line)?)));
            let Some((found, stamped)) = first else {
                panic!("{line}: no format");
            };
            assert_eq!((found, stamped.said), (name, "x"), "{line}");
        }
    }

    #[test]
    fn a_clock_that_counts_from_1970_is_none_of_the_kernels() {
        let format = FORMATS
            .iter()
            .find(|f| f.name == "seconds since 1970")
            .unwrap();
        assert!(!format.is_like_the_kernels("[1777881600.000000] x"));
        let grabserial = FORMATS.iter().rfind(|f| f.name == "grabserial").unwrap();
        assert!(grabserial.is_like_the_kernels("[86400.000000] x"));
    }

    #[test]
    fn twice_twelve_hours_are_a_day() {
        let hours = |text: &str| seconds_of(text).map(|seconds| seconds / 3600.0);
        assert_eq!(hours("12:00:00 AM"), Some(0.0));
        assert_eq!(hours("12:30:00 PM"), Some(12.5));
        assert_eq!(hours("11:00:00 PM"), Some(23.0));
        assert_eq!(hours("23:00:00"), Some(23.0));
    }
}
