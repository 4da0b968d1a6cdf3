//! The stamp in front of a line of the Linux kernel's log.
//!
//! Source: Linux, `kernel/printk/printk.c`: `[%5lu.%06lu]`, then with CONFIG_PRINTK_CALLER `[T%u]` or `[C%u]`; and dmesg(1), which writes
//! the level before the stamp (`-x`, `-r`) and other kinds of time in its place (`-T`, `-e`, `-d`, `--time-format`).

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

/// A line of the kernel's log without its stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Printk<'l> {
    /// Time since the kernel started; `None` if the stamp is a date.
    pub at: Option<Duration>,
    /// What the kernel said.
    pub message: &'l str,
}

static STAMP: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let level = r"(?:<\d{1,3}>|[a-z0-9]{2,8} *:[a-z]{2,8} *: )?";
    let seconds = r"\[ *(?<s>\d{1,10}\.\d{6})(?: <[ +\d.]*>)?\]";
    let caller = r"(?: ?\[ *[TC]\d+\])?";
    let date = r"\[\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\]";
    let relative = r"\[(?:\w{3} +\d{1,2} \d\d:\d\d| +\+\d+\.\d{6})\]";
    let iso = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{6}[+-]\d\d:\d\d";
    Regex::new(&format!(
        "^{level}(?:{seconds}{caller}|{date}|{relative}|{iso})(?: |$)"
    ))
    .ok()
});

/// Reads the stamp of a line of the kernel's log; `None` if the line has none.
#[must_use]
pub fn printk(line: &str) -> Option<Printk<'_>> {
    let found = STAMP.as_ref()?.captures(line)?;
    let seconds = found.name("s").and_then(|s| s.as_str().parse().ok());
    Some(Printk {
        at: seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()),
        message: line.get(found.get(0)?.end()..)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_stamp_goes() {
        for line in [
            "[    0.000000] Booting Linux",
            "[12345.678901][    T1] Booting Linux",
            "[    0.000000] [   T42] Booting Linux",
            "<6>[    0.000000] Booting Linux",
            "kern  :info  : [    0.000000] Booting Linux",
            "[    0.000000 <    0.000000>] Booting Linux",
            "[Mon May  4 10:00:15 2026] Booting Linux",
            "[May 4 10:00] Booting Linux",
            "[  +0.000012] Booting Linux",
            "2026-05-04T10:00:15,123456+02:00 Booting Linux",
        ] {
            assert_eq!(
                printk(line).map(|p| p.message),
                Some("Booting Linux"),
                "{line}"
            );
        }
        let at = printk("[   12.500000] x").and_then(|p| p.at);
        assert_eq!(at, Some(Duration::from_millis(12_500)));
    }

    #[test]
    fn other_lines_have_none() {
        for line in [
            "[10.88]: Running",
            "[ OK ] Started",
            "NAME=\"x\"",
            "[    1.000000]x",
            "",
        ] {
            assert_eq!(printk(line), None, "{line}");
        }
    }
}
