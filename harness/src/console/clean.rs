//! From a terminal's bytes to plain text: escape sequences removed, line ends made one, everything else printable ASCII.
//!
//! Source: ECMA-48 as the `vte` parser reads it. A bare carriage return ends a line, since progress displays and GitLab's section marks
//! use it to write a line anew; a backspace takes the last character back while the line is still open.

use vte::{Parser, Perform};

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
}

impl Cleaner {
    /// The clean text of the next bytes. Only `\n` and printable ASCII come out; every byte beyond ASCII is a `?`.
    pub(super) fn clean(&mut self, bytes: &[u8]) -> String {
        let ascii = |&byte: &u8| if byte.is_ascii() { byte } else { b'?' };
        let bytes: Vec<u8> = bytes.iter().map(ascii).collect();
        self.parser.advance(&mut self.state, &bytes);
        std::mem::take(&mut self.state.out)
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
            0x08 if !self.out.ends_with('\n') => {
                self.out.pop();
            }
            _ => {}
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
    fn a_bare_carriage_return_begins_a_line() {
        let section = "\x1b[0Ksection_start:12:pull\r\x1b[0KPulling\r\n";
        assert_eq!(clean(section), "section_start:12:pull\nPulling\n");
    }

    #[test]
    fn a_backspace_takes_back() {
        assert_eq!(clean(" 12%\x08\x08\x08\x08 13%"), " 13%");
    }

    proptest! {
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
