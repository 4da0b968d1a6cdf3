//! LAVA's `output.yaml`: a list of mappings with a time, a level and a message, in flow style, as LAVA writes it, or in block style.
//!
//! Sources: LAVA's documentation ("Job output"); YAML 1.2, chapters 7 and 8, as far as it is used here. Scalars over several lines are
//! read, other collections in a mapping are not.

use std::collections::BTreeMap;

use super::recording::{Recording, Said};
use super::stamp;

/// Levels of what the board said, or what was said to it.
pub(super) const OF_THE_BOARD: [&str; 2] = ["target", "feedback"];
const NAME: &str = "LAVA";

/// Lines in which a level is named, if the file is LAVA's.
const SAMPLE: usize = 200;

/// Reads the file; `None` if it is something else.
pub(super) fn read(text: &str) -> Option<Recording> {
    if !text.lines().take(SAMPLE).any(|line| line.contains("lvl")) {
        return None;
    }
    let items = items(text);
    let entries = items.iter().map(|item| mapping(item));
    let entries: Vec<_> = entries.collect();
    let is_entry = |e: &&BTreeMap<&str, String>| e.contains_key("dt") && e.contains_key("lvl");
    let known = entries.iter().filter(is_entry).count();
    if known == 0 || 4 * known < 3 * entries.len() {
        return None;
    }
    let said = entries.into_iter().filter_map(|mut entry| {
        let level = entry.remove("lvl")?;
        if !OF_THE_BOARD.contains(&level.as_str()) {
            return None;
        }
        Some(Said {
            seconds: stamp::seconds_of(entry.get("dt")?),
            text: entry.remove("msg")? + "\n",
            program: None,
        })
    });
    Some(Recording {
        name: NAME,
        said: said.collect(),
    })
}

/// The items of a list: lines that begin with a dash, each with the lines behind it that are indented.
fn items(text: &str) -> Vec<Vec<&str>> {
    let mut items: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("- "), items.last_mut()) {
            (Some(first), _) => items.push(vec![first]),
            (None, Some(item)) if line.starts_with(' ') || line.is_empty() => item.push(line),
            (None, _) if is_between(line) => {}
            (None, _) => items.push(vec![line]),
        }
    }
    items
}

/// Whether a line belongs to no item: a mark around a document, or a comment.
fn is_between(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#') || line == "---" || line == "..."
}

/// The pairs of a mapping.
fn mapping<'l>(item: &[&'l str]) -> BTreeMap<&'l str, String> {
    let mut pairs = BTreeMap::new();
    let mut lines = Lines {
        line: item.first().copied().unwrap_or_default(),
        rest: item.get(1..).unwrap_or_default(),
        is_flow: false,
    };
    lines.open();
    while let Some(key) = lines.key() {
        let Some(value) = lines.scalar() else { break };
        pairs.insert(key, value);
        lines.next_pair();
    }
    pairs
}

/// What is left of an item.
struct Lines<'i, 'l> {
    line: &'l str,
    rest: &'i [&'l str],
    /// The mapping is in braces.
    is_flow: bool,
}

impl<'l> Lines<'_, 'l> {
    fn open(&mut self) {
        self.line = self.line.trim_start();
        if let Some(inner) = self.line.strip_prefix('{') {
            self.is_flow = true;
            self.line = inner;
        }
    }

    /// Goes on with the next line of the item.
    fn next_line(&mut self) -> Option<&'l str> {
        let (line, rest) = self.rest.split_first()?;
        (self.line, self.rest) = (line, rest);
        Some(line)
    }

    /// The key that comes next, with its colon taken off.
    fn key(&mut self) -> Option<&'l str> {
        while self.line.trim().is_empty() {
            self.next_line()?;
        }
        let (key, value) = self.line.split_once(':')?;
        self.line = value;
        let key = key.trim().trim_matches(['"', '\'']);
        key.chars()
            .all(|c| c.is_alphanumeric() || c == '_')
            .then_some(key)
    }

    /// Passes over what separates two pairs.
    fn next_pair(&mut self) {
        self.line = self.line.trim_start();
        if let (true, Some(rest)) = (self.is_flow, self.line.strip_prefix(',')) {
            self.line = rest;
        }
    }

    fn scalar(&mut self) -> Option<String> {
        self.line = self.line.trim_start();
        match self.line.chars().next() {
            Some('"') => self.quoted('"'),
            Some('\'') => self.quoted('\''),
            Some('|') if !self.is_flow => Some(self.block("\n")),
            Some('>') if !self.is_flow => Some(self.block(" ")),
            _ if self.is_flow => Some(self.plain_in_flow()),
            _ => {
                let first = self.line.trim_end();
                let more = self.block(" ");
                Some(format!("{first} {more}").trim_end().to_owned())
            }
        }
    }

    /// A quoted scalar. Lines of it are joined by a space each.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        self.line = self.line.get(1..)?;
        loop {
            if let Some(end) = end_of(self.line, quote) {
                text += self.line.get(..end)?;
                self.line = self.line.get(end + 1..)?;
                break;
            }
            let line = self.line.trim_end();
            // A backslash at the end of a line takes the line end away.
            match (quote, line.strip_suffix('\\')) {
                ('"', Some(line)) => text += line,
                _ => text = text + line + " ",
            }
            self.line = self.next_line()?.trim_start();
            if let ('"', Some(escaped)) = (quote, self.line.strip_prefix("\\ ")) {
                text.push(' ');
                self.line = escaped;
            }
        }
        Some(match quote {
            '\'' => text.replace("''", "'"),
            _ => unescaped(&text),
        })
    }

    /// The lines of a block scalar, which are indented.
    fn block(&mut self, joint: &str) -> String {
        let of_a_pair = |line: &str| !line.starts_with("   ") && !line.trim().is_empty();
        let count = self.rest.iter().take_while(|line| !of_a_pair(line)).count();
        let (block, rest) = self.rest.split_at(count);
        (self.line, self.rest) = ("", rest);
        let is_text = |line: &&&str| !line.trim().is_empty();
        let indents = block
            .iter()
            .filter(is_text)
            .map(|l| l.len() - l.trim_start().len());
        let indent = indents.min().unwrap_or(0);
        let lines: Vec<&str> = block
            .iter()
            .map(|l| l.get(indent..).unwrap_or(""))
            .collect();
        lines.join(joint).trim_end().to_owned()
    }

    /// A plain scalar in braces: to the next pair, or to the brace at the end of the line.
    fn plain_in_flow(&mut self) -> String {
        let is_key = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '"' | '\'');
        let is_pair = |at: usize| {
            let after = self.line.get(at + 1..).unwrap_or_default().trim_start();
            let value = after.trim_start_matches(is_key);
            value.len() < after.len() && value.starts_with(':')
        };
        let mut commas = self.line.match_indices(',').map(|(at, _)| at);
        let close = self
            .line
            .trim_end()
            .strip_suffix('}')
            .map_or(self.line.len(), str::len);
        let end = commas.find(|at| is_pair(*at)).unwrap_or(close);
        let (plain, rest) = self.line.split_at(end);
        self.line = rest;
        plain.trim().to_owned()
    }
}

/// Where a quoted scalar ends, without its opening quote.
fn end_of(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, c)| *c);
        match c {
            '\\' if quote == '"' => {
                chars.next();
            }
            _ if c != quote => {}
            '\'' if next == Some('\'') => {
                chars.next();
            }
            _ => return Some(at),
        }
    }
    None
}

/// A double-quoted scalar's text (YAML 1.2, section 5.7). What cannot be a character is replaced.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some(escape) = chars.next() else { break };
        out.push(match escape {
            '0' => '\0',
            'a' => '\x07',
            'b' => '\x08',
            't' => '\t',
            'n' => '\n',
            'v' => '\x0b',
            'f' => '\x0c',
            'r' => '\r',
            'e' => '\x1b',
            'x' => numbered(&mut chars, 2),
            'u' => numbered(&mut chars, 4),
            'U' => numbered(&mut chars, 8),
            '_' | 'N' | 'L' | 'P' => ' ',
            other => other,
        });
    }
    out
}

fn numbered(chars: &mut std::str::Chars<'_>, digits: usize) -> char {
    let number: String = chars.by_ref().take(digits).collect();
    let number = u32::from_str_radix(&number, 16).ok();
    number
        .and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "2026-05-04T10:00:00.100000";

    fn said(text: &str) -> Vec<String> {
        let said = read(text)
            .map(|recording| recording.said)
            .unwrap_or_default();
        said.into_iter()
            .map(|s| s.text.trim_end_matches('\n').to_owned())
            .collect()
    }

    #[test]
    fn every_style_says_the_same() {
        for item in [
            format!(r#"- {{"dt": "{DATE}", "lvl": "target", "msg": "NAME=\"a, b\": 'x'"}}"#),
            format!(r#"- {{dt: '{DATE}', lvl: target, msg: "NAME=\"a, b\": 'x'", ns: spi}}"#),
            format!("- {{dt: '{DATE}', lvl: target, msg: 'NAME=\"a, b\": ''x'''}}"),
            format!("- dt: '{DATE}'\n  lvl: target\n  msg: \"NAME=\\\"a, b\\\": 'x'\"\n  ns: x"),
            format!("- dt: {DATE}\n  lvl: target\n  msg: 'NAME=\"a,\n    b\": ''x'''"),
            format!("- dt: {DATE}\n  lvl: target\n  msg: \"NAME=\\\"a,\\\n    \\ b\\\": 'x'\""),
            format!("- msg: |-\n    NAME=\"a, b\": 'x'\n  dt: {DATE}\n  lvl: target"),
            format!("- dt: {DATE}\n  lvl: target\n  msg: NAME=\"a, b\": 'x'"),
        ] {
            let text = format!("---\n{item}\n{item}\n");
            assert_eq!(said(&text), ["NAME=\"a, b\": 'x'"; 2], "{item}");
        }
    }

    #[test]
    fn a_plain_scalar_may_be_long() {
        for item in [
            format!("- {{dt: {DATE}, lvl: target, msg: Run /init as init process}}"),
            format!("- {{dt: {DATE}, lvl: target, msg: Run /init as init process, ns: spi}}"),
            format!("- dt: {DATE}\n  lvl: target\n  msg: Run /init\n    as init process\n  ns: x"),
        ] {
            assert_eq!(said(&item), ["Run /init as init process"], "{item}");
        }
    }

    #[test]
    fn what_lava_says_itself_is_not_the_boards() {
        let text = format!(
            "- {{\"dt\": \"{DATE}\", \"lvl\": \"info\", \"msg\": \"start: 1\"}}\n\
             - {{\"dt\": \"{DATE}\", \"lvl\": \"results\", \"msg\": {{\"case\": \"x\", \"result\": \"pass\"}}}}\n\
             - {{\"dt\": \"{DATE}\", \"lvl\": \"feedback\", \"msg\": \"\\e[1mx\\x1b[0m \\u2026\"}}\n"
        );
        assert_eq!(said(&text), ["\x1b[1mx\x1b[0m …"]);
    }

    #[test]
    fn other_lists_are_none() {
        for text in [
            "",
            "- a\n- b\n",
            "- dt\n",
            "U-Boot 2025.01\n- {dt: 1, lvl: x}\n",
            "- {\n",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
