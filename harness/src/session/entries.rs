//! From single keys to what was typed at once: a line with Enter, or keys alone.
//!
//! A terminal sends keys as they are pressed. At a prompt they make up a line; where the board goes on meanwhile, as before an autoboot, they
//! stand alone.

use super::heard::Heard;
use crate::timeline::{Event, Record};

/// Backspace, as terminals send it.
const ERASE: [char; 2] = ['\u{7f}', '\u{8}'];
/// Ctrl-U: takes back the line.
const ERASE_LINE: char = '\u{15}';
/// Ctrl-C, Ctrl-D and Ctrl-Z: they act at once, whatever has been typed.
const AT_ONCE: [char; 3] = ['\u{3}', '\u{4}', '\u{1a}'];

/// Something that was typed at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The place of its first key among the records.
    pub(super) from: usize,
    /// The place of its last key.
    pub(super) to: usize,
    /// The text without Enter. Of a line with keys that only the board can interpret, such as Tab: all keys.
    pub(super) text: String,
    /// Enter was pressed behind it.
    pub(super) enter: bool,
    /// It has keys that only the board can interpret.
    pub(super) is_raw: bool,
}

/// A line that is being typed.
#[derive(Debug, Default)]
struct Open {
    from: usize,
    to: usize,
    uart: u8,
    line: String,
    keys: String,
    is_raw: bool,
}

/// What was typed, in order.
pub(super) fn entries(records: &[Record], heard: &Heard) -> Vec<Entry> {
    let mut all = Vec::new();
    let mut open: Option<Open> = None;
    for (place, record) in records.iter().enumerate() {
        match &record.event {
            Event::Typed { uart, text } => {
                for key in text.chars() {
                    let line = open.get_or_insert_with(|| Open {
                        from: place,
                        uart: *uart,
                        ..Open::default()
                    });
                    line.to = place;
                    if line.take(key) {
                        let enter = matches!(key, '\r' | '\n');
                        all.extend(open.take().map(|line| line.close(enter)));
                    } else if line.keys.is_empty() {
                        open = None;
                    }
                }
            }
            Event::Serial { uart, .. } => {
                let has_gone_on = |line: &mut Open| {
                    line.uart == *uart && heard.lines(place).any(|said| line.is_left(said, true))
                };
                all.extend(open.take_if(has_gone_on).map(|line| line.close(false)));
            }
            Event::Prompt { uart, text } => {
                let has_gone_on = |line: &mut Open| line.uart == *uart && line.is_left(text, false);
                all.extend(open.take_if(has_gone_on).map(|line| line.close(false)));
            }
            _ => {}
        }
    }
    all.extend(open.map(|line| line.close(false)));
    all
}

impl Open {
    /// Takes a key; `true` if it ends the entry.
    fn take(&mut self, key: char) -> bool {
        match key {
            '\r' | '\n' => return true,
            _ => self.keys.push(key),
        }
        if AT_ONCE.contains(&key) {
            self.is_raw = true;
            return true;
        }
        if ERASE.contains(&key) {
            self.line.pop();
        } else if key == ERASE_LINE {
            self.line.clear();
        } else {
            self.line.push(key);
            self.drop_report();
        }
        let known = |key: &char| ERASE.contains(key) || *key == ERASE_LINE;
        self.is_raw = self
            .keys
            .chars()
            .any(|key| key.is_control() && !known(&key));
        false
    }

    /// What a terminal answers by itself when a shell asks for the cursor's place (`ESC [ row ; column R`, ECMA-48) has not been typed.
    fn drop_report(&mut self) {
        let report = self.keys.rfind('\u{1b}').and_then(|at| self.keys.get(at..));
        let place = report.and_then(|keys| keys.strip_prefix("\u{1b}[")?.strip_suffix('R'));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_report = place
            .and_then(|place| place.split_once(';'))
            .is_some_and(|(row, column)| is_number(row) && is_number(column));
        if let Some(report) = report.filter(|_| is_report) {
            let length = report.len();
            self.keys.truncate(self.keys.len() - length);
            self.line.truncate(self.line.len().saturating_sub(length));
        }
    }

    /// The board has gone on: what it says is not what has been typed.
    fn is_left(&self, said: &str, is_whole: bool) -> bool {
        // What it makes of a Tab, for example, is unknown.
        if self.is_raw {
            return is_whole;
        }
        let typed = self.line.trim();
        typed.is_empty() || !said.trim_end().ends_with(typed)
    }

    fn close(self, enter: bool) -> Entry {
        let is_raw = self.is_raw || !enter;
        Entry {
            from: self.from,
            to: self.to,
            text: if is_raw { self.keys } else { self.line },
            enter,
            is_raw,
        }
    }
}
