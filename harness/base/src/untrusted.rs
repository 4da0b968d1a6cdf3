//! Text that somebody else wrote - a guest, an image, a bundle, a log - made safe to show.
//!
//! A terminal obeys escape sequences, and bidirectional controls change the order in which text is read. [`Untrusted`] shows both as
//! escapes. Markup is not its concern: HTML and XML are escaped where they are written.
//!
//! Source: ECMA-48 (control functions), Unicode TR 9 (bidirectional controls), TR 36 (invisible characters).

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

/// Foreign text for people. Its text form is one line: control characters, line ends, bidirectional controls and invisible characters
/// appear as escapes such as `\n`, `\x1b` or `\u{202e}`; everything else appears as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untrusted<'t> {
    text: Cow<'t, str>,
    most: usize,
}

impl<'t> Untrusted<'t> {
    /// All of `text`.
    pub fn new(text: impl Into<Cow<'t, str>>) -> Self {
        Self {
            text: text.into(),
            most: usize::MAX,
        }
    }

    /// Bytes that are likely to be text. Invalid UTF-8 is replaced.
    #[must_use]
    pub fn bytes(bytes: &'t [u8]) -> Self {
        Self::new(String::from_utf8_lossy(bytes))
    }

    /// The same, cut after `most` characters of the original text; `…` tells that it was cut.
    #[must_use]
    pub fn at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }
}

/// The same as [`Untrusted::new`] of a borrowed text, for format strings.
#[must_use]
pub fn untrusted(text: &str) -> Untrusted<'_> {
    Untrusted::new(text)
}

/// Foreign text of several lines: each line is safe to show, and the line ends stay. For text whose lines mean nothing to who reads it, as in
/// an error that shows the place of a mistake; where a line of its own says something, [`Untrusted`] is the one to take.
#[must_use]
pub fn untrusted_lines(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        format!("{}{end}", Untrusted::new(line))
    });
    lines.collect()
}

/// JSON text, which has foreign text in its strings, for a terminal: what [`Untrusted`] escapes stands in it as `\u` escapes, which read back
/// as the same characters.
#[must_use]
pub fn untrusted_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\u{7f}' || is_deceptive(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

impl Display for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.text.chars();
        for c in chars.by_ref().take(self.most) {
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                c if is_deceptive(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        if chars.next().is_some() {
            f.write_char('…')?;
        }
        Ok(())
    }
}

/// A character beyond ASCII that a terminal obeys, or that changes what people read without being seen.
fn is_deceptive(c: char) -> bool {
    matches!(c,
        // C1 controls.
        '\u{80}'..='\u{9f}'
        // Soft hyphen, Arabic letter mark, Mongolian vowel separator.
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        // Zero-width characters, direction marks, separators, embeddings, isolates, invisible operators.
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        // Byte order mark, interlinear annotations, tags.
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_the_rest_stays() {
        let shown = |text: &str| Untrusted::new(text.to_owned()).to_string();
        assert_eq!(shown("Zürich – 日本"), "Zürich – 日本");
        assert_eq!(shown("\x1b]0;x\x07a\r\nb"), "\\x1b]0;x\\x07a\\r\\nb");
        assert_eq!(shown("user\u{202e}gpj.exe"), "user\\u{202e}gpj.exe");
        assert_eq!(shown("\u{9b}2J"), "\\u{9b}2J");
        assert_eq!(Untrusted::bytes(b"a\xff\x00").to_string(), "a\u{fffd}\\x00");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        assert_eq!(Untrusted::new("abcd").at_most(3).to_string(), "abc…");
        assert_eq!(Untrusted::new("abc").at_most(3).to_string(), "abc");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(untrusted_lines("a\x1b\nb\r\n\nc"), "a\\x1b\nb\\r\n\nc");
        assert_eq!(untrusted_lines(""), "");
    }

    proptest! {
        #[test]
        fn json_says_the_same_and_harms_no_terminal(text: String) {
            let hostile = format!("{text}\u{202e}\u{9b}\u{7f}\u{e0041}\x1b");
            let shown = untrusted_json(&serde_json::to_string(&hostile).unwrap());
            prop_assert!(!shown.chars().any(|c| c.is_control() || is_deceptive(c)), "{shown:?}");
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), hostile);
        }

        #[test]
        fn whatever_comes_is_one_line_without_controls(text: String, bytes: Vec<u8>) {
            for shown in [Untrusted::new(text.clone()).to_string(), Untrusted::bytes(&bytes).to_string()] {
                prop_assert!(!shown.chars().any(|c| c.is_control() || is_deceptive(c)), "{shown:?}");
            }
        }
    }
}
