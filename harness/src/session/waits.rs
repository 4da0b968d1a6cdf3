//! What a step waits for: what the board did between two entries.

use std::ops::Range;
use std::time::Duration;

use regex::Regex;

use super::entries::Entry;
use super::heard::Heard;
use super::patterns::{of_line, of_prompt};
use super::stages::Reached;
use crate::timeline::{Event, Record};

/// Something to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wait {
    /// A stage is reached.
    Stage(String),
    /// The board resets itself.
    Reset,
    /// A UART says a line that matches. `took` is how long it was awaited.
    Line { pattern: String, took: Duration },
    /// A UART stands at a prompt that matches.
    Prompt { pattern: String, took: Duration },
}

/// The records between two entries, and what is known of them.
pub(super) struct Between<'a> {
    pub(super) records: &'a [Record],
    pub(super) heard: &'a Heard,
    /// Their places.
    pub(super) places: Range<usize>,
    /// The stages of the boot that is under way.
    pub(super) reached: &'a [Reached],
    /// The line that was typed before, if it was one.
    pub(super) line: Option<&'a str>,
    /// What is typed afterwards, and after that.
    pub(super) next: &'a [Entry],
}

impl Between<'_> {
    /// What to wait for, in order.
    pub(super) fn waits(&self) -> Vec<Wait> {
        let mut waits = Vec::new();
        let mut first = self.places.start;
        let of_echo = || Some((self.places.end, self.prompt_of_echo()?));
        let prompt = self.prompt().or_else(of_echo);
        // The user typed at the prompt. What the board says after it does not belong to this step.
        let last = prompt.map_or(self.places.end, |(place, _)| place);
        let is_before = |stage: &&Reached| (self.places.start..=last).contains(&stage.at);
        if let Some(stage) = self.reached.iter().rfind(is_before) {
            first = stage.at + 1;
            waits.push(Wait::Stage(stage.name.clone()));
        } else if self.line.is_some() {
            waits.extend(self.answer(first..last));
        }
        match prompt {
            Some((place, text)) if place >= first => waits.push(Wait::Prompt {
                pattern: of_prompt(text),
                took: self.took(place),
            }),
            Some(_) => {}
            None if !self.next.is_empty() => {
                let line = self.last_of_its_own(first..last);
                let is_new = |line: &Wait| !waits.contains(line);
                let line = line.filter(is_new);
                waits.extend(line);
            }
            None => {}
        }
        waits
    }

    /// The prompt that stands at the end, with its place.
    fn prompt(&self) -> Option<(usize, &str)> {
        for place in self.places.clone().rev() {
            match &self.records.get(place)?.event {
                Event::Prompt { text, .. } => {
                    let is_prompt = !self.goes_on_by_itself(text);
                    return is_prompt.then_some((place, text.as_str()));
                }
                Event::Serial { .. } if self.heard.lines(place).next().is_some() => return None,
                _ => {}
            }
        }
        None
    }

    /// The line only stood still: the board has written its rest, and not what was typed. So does a board that `--until` has halted.
    fn goes_on_by_itself(&self, prompt: &str) -> bool {
        let Some((typed, line)) = self.typed_line() else {
            return false;
        };
        let rest = line.strip_prefix(prompt.trim_end());
        let rest = rest.unwrap_or_default().trim();
        !rest.is_empty() && (typed.is_empty() || !rest.starts_with(&typed))
    }

    /// The prompt before the line that was typed next, which stood too short a time to be one on the record.
    fn prompt_of_echo(&self) -> Option<&str> {
        let (typed, line) = self.typed_line()?;
        let prompt = line.trim_end().strip_suffix(typed.as_str())?;
        let is_prompt = !typed.is_empty() && !prompt.trim().is_empty();
        is_prompt.then_some(prompt)
    }

    /// What is typed up to the next Enter, and the line that the board says then. Nobody knows what it makes of a Tab, for example.
    fn typed_line(&self) -> Option<(String, &str)> {
        let first = self.next.first()?;
        let count = self.next.iter().take_while(|entry| !entry.enter).count();
        let entries = self.next.get(..=count).unwrap_or(self.next);
        if entries.iter().any(|entry| entry.is_raw && entry.enter) {
            return None;
        }
        let typed: String = entries.iter().map(|entry| entry.text.as_str()).collect();
        let mut lines = (first.from..self.records.len()).flat_map(|place| self.heard.lines(place));
        Some((typed.trim().to_owned(), lines.next()?))
    }

    /// The first line that answers what was typed.
    fn answer(&self, places: Range<usize>) -> Option<Wait> {
        let mut lines = self.lines(places);
        let (place, pattern) = lines.find_map(|(place, line)| Some((place, of_line(line)?)))?;
        Some(Wait::Line {
            pattern,
            took: self.took(place),
        })
    }

    /// The last line that none before it looks like.
    fn last_of_its_own(&self, places: Range<usize>) -> Option<Wait> {
        let lines: Vec<_> = self.lines(places).collect();
        let is_its_own = |(number, (place, line)): (usize, &(usize, &str))| {
            let pattern = of_line(line)?;
            let regex = Regex::new(&pattern).ok()?;
            let mut before = lines.iter().take(number);
            let is_repeated = before.any(|(_, line)| regex.is_match(line));
            (!is_repeated).then(|| Wait::Line {
                pattern,
                took: self.took(*place),
            })
        };
        lines.iter().enumerate().rev().find_map(is_its_own)
    }

    /// Whole lines that are not the echo of what was typed, with their places.
    fn lines(&self, places: Range<usize>) -> impl Iterator<Item = (usize, &str)> {
        let typed = self.line.map(str::trim).filter(|typed| !typed.is_empty());
        let is_echo = move |line: &str| typed.is_some_and(|typed| line.contains(typed));
        places.flat_map(move |place| {
            let lines = self.heard.lines(place);
            let answers = lines.filter(move |line| !is_echo(line));
            answers.map(move |line| (place, line))
        })
    }

    fn took(&self, place: usize) -> Duration {
        let at = |place: usize| self.records.get(place).map_or(Duration::ZERO, |r| r.at);
        at(place).saturating_sub(at(self.places.start))
    }
}
