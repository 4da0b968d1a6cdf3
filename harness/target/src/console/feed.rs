//! What a matcher gets of the record: whole lines, and prompts. The same live and replayed.

use std::collections::BTreeMap;

use shakedown_base::timeline::Event;

/// Makes one text of the lines and prompts of all UARTs. A line is never cut: another UART's comes before or after it.
#[derive(Debug, Clone, Default)]
pub(super) struct Feed {
    /// The UART whose prompt stands at the end of the text.
    open: Option<u8>,
    /// What the text has of each UART's unfinished line.
    shown: BTreeMap<u8, String>,
}

impl Feed {
    /// The text that an event adds; `None` if it is neither a line nor a prompt.
    pub(super) fn text_of(&mut self, event: &Event) -> Option<String> {
        let (uart, text, is_whole) = match event {
            Event::Serial { uart, line } => (*uart, line, true),
            Event::Prompt { uart, text } => (*uart, text, false),
            _ => return None,
        };
        let before = self.shown.remove(&uart).unwrap_or_default();
        // A line that was changed by backspaces begins anew.
        let (more, goes_on) = match text.strip_prefix(before.as_str()) {
            Some(more) => (more, true),
            None => (text.as_str(), false),
        };
        let mut out = String::with_capacity(more.len() + 2);
        if self.open.is_some_and(|open| open != uart || !goes_on) {
            out.push('\n');
        }
        out.push_str(more);
        if is_whole {
            out.push('\n');
            self.open = None;
        } else {
            self.open = Some(uart);
            self.shown.insert(uart, text.clone());
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(uart: u8, line: &str) -> Event {
        let line = line.into();
        Event::Serial { uart, line }
    }

    fn prompt(uart: u8, text: &str) -> Event {
        let text = text.into();
        Event::Prompt { uart, text }
    }

    fn text(events: &[Event]) -> String {
        let mut feed = Feed::default();
        events.iter().filter_map(|e| feed.text_of(e)).collect()
    }

    #[test]
    fn a_prompt_comes_once_and_its_line_goes_on() {
        let events = [
            prompt(0, "=> "),
            prompt(0, "=> he"),
            line(0, "=> help"),
            prompt(0, "=> "),
        ];
        assert_eq!(text(&events), "=> help\n=> ");
    }

    #[test]
    fn two_uarts_never_cut_a_line() {
        let events = [
            line(0, "U-Boot"),
            prompt(1, "login: "),
            line(0, "DRAM"),
            line(1, "login: root"),
        ];
        assert_eq!(text(&events), "U-Boot\nlogin: \nDRAM\nroot\n");
    }

    #[test]
    fn a_line_that_was_taken_back_comes_whole() {
        assert_eq!(text(&[prompt(0, "10%"), line(0, "ok")]), "10%\nok\n");
    }
}
