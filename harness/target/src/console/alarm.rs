//! What must never appear on a console, whatever the scenario waits for.

use std::sync::LazyLock;

use regex::RegexSet;

use shakedown_base::timeline::Event;

/// Name and pattern of every alarm. Patterns are matched against whole lines.
const ALARMS: &[(&str, &str)] = &[
    ("kernel panic", r"Kernel panic - not syncing"),
    (
        "kernel fault",
        r"Internal error: Oops|Unable to handle kernel|kernel BUG at",
    ),
    ("out of memory", r"Out of memory: Killed process|oom-kill:"),
    (
        "kernel stall",
        r"rcu: INFO: .* detected stalls|watchdog: BUG: soft lockup",
    ),
    ("iPXE error", r"https?://ipxe\.org/[0-9a-f]{8}"),
    (
        "U-Boot crash",
        r#""Synchronous Abort" handler|"Error" handler, esr"#,
    ),
    ("no MAC address", r"No valid MAC address found"),
    (
        "EFI variables lost",
        r"Cannot persist EFI variables without system partition",
    ),
];

/// Lines that look like an alarm and are part of every good boot: iPXE looks for its script under two names.
const HARMLESS: &[&str] = &[r"^file:autoexec\.ipxe\.\.\. Not found"];

static ALARM_SET: LazyLock<RegexSet> = LazyLock::new(|| compile(ALARMS.iter().map(|(_, p)| *p)));
static HARMLESS_SET: LazyLock<RegexSet> = LazyLock::new(|| compile(HARMLESS.iter().copied()));

#[expect(
    clippy::expect_used,
    reason = "the patterns are constants, and a test compiles them"
)]
fn compile<'a>(patterns: impl Iterator<Item = &'a str>) -> RegexSet {
    RegexSet::new(patterns).expect("console patterns compile")
}

/// The event of the first alarm that a line raises.
pub(super) fn event(line: &str) -> Option<Event> {
    alarm_name(line).map(|name| Event::Alarm {
        name: name.into(),
        line: line.into(),
    })
}

/// The name of the first alarm that a line raises.
#[must_use]
pub fn alarm_name(line: &str) -> Option<&'static str> {
    let index = ALARM_SET.matches(line).iter().next()?;
    let (name, _) = ALARMS.get(index)?;
    (!HARMLESS_SET.is_match(line)).then_some(*name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_know_their_lines() {
        let cases = [
            (
                "[    1.2] Kernel panic - not syncing: VFS",
                Some("kernel panic"),
            ),
            (
                "chain failed: Permission denied (https://ipxe.org/0216eb3c)",
                Some("iPXE error"),
            ),
            (
                "iPXE 1.21.1 -- Open Source Network Boot Firmware -- https://ipxe.org",
                None,
            ),
            (
                "file:autoexec.ipxe... Not found (https://ipxe.org/7f4de18e)",
                None,
            ),
            ("Net:   No ethernet found.", None),
        ];
        for (line, alarm) in cases {
            assert_eq!(alarm_name(line), alarm, "{line}");
        }
    }
}
