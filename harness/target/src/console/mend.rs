//! Lines of a serial port without what another program has written into the middle of them.
//!
//! U-Boot's timer says `cyclic function NAME took too long: …us vs …us max` wherever the output stands, while iPXE runs above it, and the
//! kernel writes its log into the lines of programs. The text that was interrupted goes on in the next line. [`Mender`] puts it together
//! again, so that a line is judged as its author wrote it.
//!
//! Source: U-Boot, `common/cyclic.c` (the text ends with `, disabling` before 2023.07).

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::printk::printk;

/// Interrupted text that is longer than this is not waited for, in bytes.
const LONGEST: usize = 1024;

static CYCLIC: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"cyclic function [^:]{1,64} took too long: \d+us vs \d+us max(?:, disabling)?").ok()
});

/// The kernel's stamp in the middle of a line, as wide as the kernel writes it.
static STAMP_INSIDE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\[[ \d]{4,9}\d\.\d{6}\](?:\[ *[TC]\d+\])? ").ok());

/// A line as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// Its text, without the kernel's stamp and without what a disturbed UART put before it.
    pub text: String,
    /// Who wrote it.
    pub author: Author,
}

/// Who wrote a line, as far as the line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The line has the stamp of the kernel's log: the kernel, or somebody who writes like it.
    Kernel {
        /// Time since the kernel started, if the stamp says it.
        at: Option<Duration>,
    },
    /// A boot loader, a program, or a kernel that does not stamp its lines.
    Other,
}

/// Puts the lines of one UART together again.
#[derive(Debug, Clone, Default)]
pub struct Mender {
    /// Text that was interrupted, and whose rest has not come yet.
    interrupted: String,
}

impl Mender {
    /// Takes the next whole line. Gives the lines that are complete with it, in order.
    pub fn line(&mut self, line: &str) -> Vec<Mended> {
        let (own, is_open) = without_cyclic(line);
        let (own, kernel) = split_at_stamp(&own);
        let is_open = is_open || kernel.is_some();
        let mut out: Vec<_> = kernel.map(mended).into_iter().collect();
        if printk(without_noise(own)).is_some() {
            // A whole line of the kernel's log: what it interrupted goes on after it.
            out.insert(0, mended(own));
        } else {
            self.interrupted.push_str(own);
            if !is_open || self.interrupted.len() > LONGEST {
                out.insert(0, mended(&std::mem::take(&mut self.interrupted)));
            }
        }
        out
    }

    /// An unfinished line, as it would be if it ended here.
    #[must_use]
    pub fn prompt(&self, text: &str) -> Vec<Mended> {
        let mut until_here = self.clone();
        let mut out = until_here.line(text);
        out.extend(until_here.end());
        out
    }

    /// Interrupted text whose rest will never come.
    pub fn end(&mut self) -> Option<Mended> {
        let rest = std::mem::take(&mut self.interrupted);
        (!rest.is_empty()).then(|| mended(&rest))
    }
}

/// A line without U-Boot's warnings on its timer, and whether the line goes on after the last of them.
fn without_cyclic(line: &str) -> (String, bool) {
    let Some(cyclic) = CYCLIC.as_ref() else {
        return (line.to_owned(), false);
    };
    // U-Boot ends its warning with a line end of its own.
    let is_open = cyclic
        .find_iter(line)
        .last()
        .is_some_and(|m| m.end() == line.trim_end().len());
    (cyclic.replace_all(line, "").into_owned(), is_open)
}

/// The text before a kernel's stamp inside of a line, and the kernel's line.
fn split_at_stamp(line: &str) -> (&str, Option<&str>) {
    // A line of the kernel's log may quote anything.
    if printk(without_noise(line)).is_some() {
        return (line, None);
    }
    let found = STAMP_INSIDE.as_ref().and_then(|stamp| stamp.find(line));
    match found.and_then(|m| line.split_at_checked(m.start())) {
        // A character or two are noise.
        Some((before, kernel)) if without_noise(before).trim().len() < 2 => ("", Some(kernel)),
        Some((before, kernel)) => (before, Some(kernel)),
        None => (line, None),
    }
}

/// A line without the bytes beyond ASCII that a UART whose speed or power changed shows before it.
fn without_noise(line: &str) -> &str {
    line.trim_start_matches('?')
}

fn mended(line: &str) -> Mended {
    let line = without_noise(line);
    match printk(line) {
        Some(kernel) => Mended {
            text: kernel.message.to_owned(),
            author: Author::Kernel { at: kernel.at },
        },
        None => Mended {
            text: line.to_owned(),
            author: Author::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CYCLIC_TEXT: &str = "cyclic function video_init took too long: 7108us vs 5000us max";

    fn texts(lines: &[&str]) -> Vec<String> {
        let mut mender = Mender::default();
        let mut out: Vec<_> = lines.iter().flat_map(|l| mender.line(l)).collect();
        out.extend(mender.end());
        out.into_iter().map(|m| m.text).collect()
    }

    #[test]
    fn a_line_that_u_boot_interrupts_is_one_line() {
        let whole = "file:autoexec.ipxe... Not found (https://ipxe.org/7f4de18e)";
        let first = format!("file:autoexec.ipxe...{CYCLIC_TEXT}");
        let rest = " Not found (https://ipxe.org/7f4de18e)";
        assert_eq!(texts(&[&first, rest]), [whole]);
        let disabling = format!("{first}, disabling");
        assert_eq!(texts(&[&disabling, CYCLIC_TEXT, rest]), [whole]);
        assert_eq!(texts(&[CYCLIC_TEXT, whole]), [whole]);
    }

    #[test]
    fn a_line_that_the_kernel_interrupts_is_one_line_too() {
        let lines = [
            "?Trying to [   10.377445] SMSC LAN8710: attached",
            "[   10.400000] more",
            "pull x",
            "done",
        ];
        assert_eq!(
            texts(&lines),
            ["SMSC LAN8710: attached", "more", "Trying to pull x", "done"]
        );
    }

    #[test]
    fn the_kernel_may_quote_its_own_stamps() {
        let line =
            "[    0.000000] Kernel command line: x=\"[    1.000000] Kernel panic - not syncing\"";
        let mended = Mender::default().line(line);
        assert_eq!(mended.len(), 1);
        assert!(
            mended[0].text.starts_with("Kernel command line"),
            "{mended:?}"
        );
        assert_eq!(
            mended[0].author,
            Author::Kernel {
                at: Some(Duration::ZERO)
            }
        );
    }

    #[test]
    fn a_prompt_is_judged_and_changes_nothing() {
        let mut mender = Mender::default();
        assert_eq!(mender.line(&format!("U-B{CYCLIC_TEXT}")), []);
        assert_eq!(mender.prompt("oot> ")[0].text, "U-Boot> ");
        assert_eq!(mender.line("oot> help")[0].text, "U-Boot> help");
    }

    proptest! {
        /// Wherever U-Boot's remark comes, and however often, the lines are what they were.
        #[test]
        fn a_remark_anywhere_changes_no_line(
            lines in proptest::collection::vec("[a-zA-Z:/.() ]{0,30}[a-z]", 1..6),
            places in proptest::collection::vec(0_usize..200, 0..4),
        ) {
            let mut text = lines.join("\n") + "\n";
            for place in places {
                // A remark never comes into the middle of another one.
                let free: Vec<_> = (0..text.len()).filter(|i| !inside(&text, *i)).collect();
                text.insert_str(free[place % free.len()], &format!("{CYCLIC_TEXT}\n"));
            }
            let disturbed: Vec<_> = text.lines().collect();
            prop_assert_eq!(texts(&disturbed), lines);
        }

        #[test]
        fn no_text_is_lost(lines in proptest::collection::vec("[a-z ?\\[\\]0-9.]{0,40}", 0..8)) {
            let mut mender = Mender::default();
            let mut out: Vec<_> = lines.iter().flat_map(|l| mender.line(l)).collect();
            out.extend(mender.end());
            let length: usize = out.iter().map(|m| m.text.len()).sum();
            prop_assert!(length <= lines.iter().map(String::len).sum());
            prop_assert!(out.len() >= lines.iter().filter(|l| printk(l).is_some()).count());
        }
    }

    fn inside(text: &str, at: usize) -> bool {
        let remark = format!("{CYCLIC_TEXT}\n");
        text.match_indices(&remark)
            .any(|(start, _)| start < at && at < start + remark.len())
    }
}
