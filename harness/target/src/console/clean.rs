//! From a terminal's bytes to plain text: escape sequences removed, line ends made one, everything else printable ASCII.
//!
//! Source: ECMA-48 as the `vte` parser reads it. A bare carriage return ends a line, since progress displays and GitLab's section marks
//! use it to write a line anew; a backspace takes the last character back while the line is still open.
//!
//! A sequence that is never ended, as noise and a board that resets leave it, ends with its line. A title, or another string (ECMA-48,
//! section 5.6), ends at a BEL too.
//!
//! [`styled_lines`] makes the same lines of a recording, and keeps colours and characters beyond ASCII for those who look at it.

use std::time::Duration;

use vte::{Params, Parser, Perform};

use super::cast::CastEvent;
use super::style::Style;

/// A line of a serial port with its colours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StyledLine {
    /// When its first character came, on the timeline's clock.
    pub at: Duration,
    /// Its text in pieces of one style each.
    pub spans: Vec<(Style, String)>,
}

/// Stands in open text for a backspace that takes back what was given before.
pub(super) const TAKEN_BACK: char = '\x08';

/// Ends whatever sequence is open; nothing is shown of it (ECMA-48, section 8.3.6).
const CANCEL: u8 = 0x18;
const BEL: u8 = 0x07;

/// An incremental cleaner for one UART.
#[derive(Default)]
pub(super) struct Cleaner {
    parser: Parser,
    state: State,
}

#[derive(Default)]
struct State {
    out: String,
    after_cr: bool,
    style: Style,
    /// Where in `out` a style begins.
    styles: Vec<(usize, Style)>,
}

impl Cleaner {
    /// The clean text of the next bytes. Only `\n` and printable ASCII come out; every byte beyond ASCII is a `?`.
    pub(super) fn clean(&mut self, bytes: &[u8]) -> String {
        let mut text = self.clean_open(bytes);
        text.retain(|c| c != TAKEN_BACK);
        text
    }

    /// The same for a line that may be open: it begins with a [`TAKEN_BACK`] for every character that the bytes take back of the text
    /// before.
    pub(super) fn clean_open(&mut self, bytes: &[u8]) -> String {
        let ascii = |&byte: &u8| if byte.is_ascii() { byte } else { b'?' };
        self.advance(bytes.iter().map(ascii));
        self.state.styles.clear();
        std::mem::take(&mut self.state.out)
    }

    /// Gives bytes to the parser, which keeps no sequence open beyond the line that it is in.
    fn advance(&mut self, bytes: impl Iterator<Item = u8>) {
        let mut ended = Vec::with_capacity(bytes.size_hint().0);
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => ended.extend([CANCEL, byte]),
                BEL => ended.push(CANCEL),
                _ => ended.push(byte),
            }
        }
        self.parser.advance(&mut self.state, &ended);
    }

    /// The next characters with their colours, in pieces of one style each.
    fn styled(&mut self, text: &str) -> Vec<(Style, String)> {
        let before = self.state.style;
        self.advance(text.bytes());
        let out = std::mem::take(&mut self.state.out);
        let changes = std::mem::take(&mut self.state.styles);
        let starts = std::iter::once((0, before)).chain(changes.iter().copied());
        let ends = changes.iter().map(|(at, _)| *at).chain([out.len()]);
        let pieces = starts.zip(ends).filter_map(|((start, style), end)| {
            // A backspace may have taken the place back at which a style began.
            let piece = out.get(start..end.min(out.len()))?;
            // What another piece of the recording brought stays as it is.
            let piece = piece.replace(TAKEN_BACK, "");
            (!piece.is_empty()).then_some((style, piece))
        });
        pieces.collect()
    }
}

/// The lines of a recording, a last one without a line end included.
#[must_use]
pub fn styled_lines(recording: &[CastEvent]) -> Vec<StyledLine> {
    let mut cleaner = Cleaner::default();
    let mut lines = Vec::new();
    let mut line = StyledLine::default();
    for event in recording {
        for (style, text) in cleaner.styled(&event.text) {
            for piece in text.split_inclusive('\n') {
                if line.spans.is_empty() {
                    line.at = event.at;
                }
                line.push(style, piece.trim_end_matches('\n'));
                if piece.ends_with('\n') {
                    lines.push(std::mem::take(&mut line));
                }
            }
        }
    }
    if !line.spans.is_empty() {
        lines.push(line);
    }
    lines
}

impl StyledLine {
    fn push(&mut self, style: Style, text: &str) {
        match self.spans.last_mut() {
            _ if text.is_empty() => {}
            Some((last, line)) if *last == style => line.push_str(text),
            _ => self.spans.push((style, text.to_owned())),
        }
    }

    /// The line without its colours.
    #[must_use]
    pub fn text(&self) -> String {
        self.spans.iter().map(|(_, text)| text.as_str()).collect()
    }
}

impl State {
    fn push(&mut self, c: char) {
        if std::mem::take(&mut self.after_cr) {
            self.out.push('\n');
        }
        self.out.push(c);
    }
}

impl Perform for State {
    fn print(&mut self, c: char) {
        // vte takes DEL for a printable character.
        if !c.is_control() {
            self.push(c);
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                self.after_cr = false;
                self.out.push('\n');
            }
            b'\r' => self.after_cr = true,
            b'\t' => self.push(' '),
            0x08 if self.out.is_empty() || self.out.ends_with(TAKEN_BACK) => {
                self.out.push(TAKEN_BACK)
            }
            0x08 if !self.out.ends_with('\n') => {
                self.out.pop();
            }
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignored: bool, action: char) {
        if action == 'm' && intermediates.is_empty() && !ignored {
            self.style.select(params);
            self.styles.push((self.out.len(), self.style));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clean(text: &str) -> String {
        Cleaner::default().clean(text.as_bytes())
    }

    #[test]
    fn sequences_go_and_lines_stay() {
        assert_eq!(
            clean("\x1b[1;31mERROR\x1b[0m: x\r\nnext\r\n"),
            "ERROR: x\nnext\n"
        );
        assert_eq!(clean("\x1b]0;title\x07login:"), "login:");
        assert_eq!(clean("\x1b7\x1b8login:"), "login:");
    }

    #[test]
    fn a_string_that_is_never_ended_ends_with_its_line() {
        for start in ["\x1b_", "\x1b]0;", "\x1b^", "\x1bX", "\x1bPq", "\x1b[3"] {
            for end in ["\n", "\r", "\r\n"] {
                let text = clean(&format!("a{start}{end}U-Boot 2025.01{end}"));
                assert_eq!(text.trim_end(), "a\nU-Boot 2025.01", "{start:?} {end:?}");
            }
            // It is in two pieces.
            let mut cleaner = Cleaner::default();
            let text = cleaner.clean(start.as_bytes()) + &cleaner.clean(b"\nlogin:");
            assert_eq!(text, "\nlogin:", "{start:?}");
        }
        for end in ["\x07", "\x1b\\"] {
            for start in ["\x1b_bk;t=1", "\x1b]0;a", "\x1b^a", "\x1bXa", "\x1bPqa"] {
                assert_eq!(clean(&format!("{start}{end}login:")), "login:", "{start:?}");
            }
        }
    }

    #[test]
    fn a_bare_carriage_return_begins_a_line() {
        let section = "\x1b[0Ksection_start:12:pull\r\x1b[0KPulling\r\n";
        assert_eq!(clean(section), "section_start:12:pull\nPulling\n");
    }

    #[test]
    fn a_backspace_takes_back() {
        assert_eq!(clean(" 12%\x08\x08\x08\x08 13%"), " 13%");
    }

    #[test]
    fn a_recording_keeps_its_colours() {
        use super::super::style::Colour;

        let event = |seconds, text: &str| CastEvent {
            at: Duration::from_secs(seconds),
            text: text.into(),
        };
        let recording = [
            event(1, "plain \x1b[1;31mbold"),
            event(2, " red\x1b[0m\r\n\x1b[38;5;196mcube\x1b[m é\r\n"),
            event(3, "\r\nno end"),
        ];
        let lines = styled_lines(&recording);
        let red = Style {
            foreground: Some(Colour::Palette(1)),
            bold: true,
            ..Style::default()
        };
        let cube = Style {
            foreground: Some(Colour::Direct(255, 0, 0)),
            ..Style::default()
        };
        let plain = Style::default();
        let spans: Vec<_> = lines.iter().map(|l| l.spans.as_slice()).collect();
        assert_eq!(
            spans[0],
            [(plain, "plain ".into()), (red, "bold red".into())]
        );
        assert_eq!(spans[1], [(cube, "cube".into()), (plain, " é".into())]);
        assert_eq!(lines[2].text(), "");
        assert_eq!(
            (lines[3].at.as_secs(), lines[3].text()),
            (3, "no end".into())
        );
    }

    proptest! {
        #[test]
        fn a_recording_has_the_lines_of_the_transcript(text in "[a-z\x1b\\[\\];m0-9\r\n\t ]{0,200}") {
            let event = CastEvent { at: Duration::ZERO, text: text.clone() };
            let styled: Vec<_> = styled_lines(&[event]).iter().map(StyledLine::text).collect();
            let cleaned = clean(&text);
            let lines: Vec<_> = cleaned.lines().collect();
            prop_assert_eq!(styled, lines);
        }

        #[test]
        fn whatever_comes_only_plain_text_goes_out(bytes: Vec<u8>, cut in 0_usize..64) {
            let mut whole = Cleaner::default();
            let text = whole.clean(&bytes);
            prop_assert!(text.bytes().all(|b| b == b'\n' || (0x20..0x7f).contains(&b)));
            let cut = cut.min(bytes.len());
            if !bytes.contains(&0x08) {
                let mut parts = Cleaner::default();
                let joined = parts.clean(&bytes[..cut]) + &parts.clean(&bytes[cut..]);
                prop_assert_eq!(text, joined);
            }
        }
    }
}
