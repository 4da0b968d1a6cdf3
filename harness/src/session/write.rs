//! The text of the scenario.

use std::fmt::Write;
use std::ops::Range;
use std::time::Duration;

use super::alarms::provoked;
use super::entries::{Entry, entries};
use super::heard::Heard;
use super::stages::{Reached, boots, reached};
use super::waits::{Between, Wait};
use crate::board::Board;
use crate::input::Pattern;
use crate::scenario::Scenario;
use crate::schema;
use crate::timeline::{Event, Record};

/// A wait that took longer is given twice its time, since a step waits for 60 s at most unless it says otherwise.
const LONG: Duration = Duration::from_secs(30);
/// Bounds are multiples of this many seconds.
const ROUND: u64 = 10;

/// A session at a console: the scenario that was started, and what only the run could know.
#[derive(Debug, Clone, Copy)]
pub struct Session<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The board.
    pub board: &'a Board,
    /// What the container says.
    pub nonce: &'a str,
    /// Digests of the layers of the container image.
    pub layers: &'a [String],
}

/// Why a session makes no scenario.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No stage was reached.
    #[error(
        "the board had reached no stage when the session ended, so there is nothing that a scenario could expect: let it come further"
    )]
    NoStage,
    /// The scenario that was started cannot be written down again.
    #[error("scenario {scenario} cannot be written down again: {source}")]
    Base {
        /// Its name.
        scenario: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A step of the scenario.
struct Step<'a> {
    does: Does<'a>,
    wait: Option<Wait>,
}

/// What a step does before it waits.
enum Does<'a> {
    PowerOn,
    Send { entry: &'a Entry, is_repeated: bool },
    Nothing,
}

/// How a session ended, for the scenario.
struct End {
    /// The stage that it had reached; `None` if it went through the whole chain.
    until: Option<String>,
    /// What the servers must have seen of one boot through the whole chain does not hold.
    drops_journal: bool,
    /// Lines that belong to what was typed, and would fail a run otherwise.
    harmless: Vec<String>,
}

/// The scenario that does what was done in these records of a session.
///
/// # Errors
/// No stage was reached, or the scenario that was started cannot be written down again.
pub fn text(session: &Session<'_>, records: &[Record]) -> Result<String, SessionError> {
    let boots = boots(records);
    let of_boots: Vec<_> = boots
        .iter()
        .map(|boot| reached(session, records, boot.clone()))
        .collect();
    let chain = session.scenario.stages(session.board);
    let last = of_boots.last().map(Vec::as_slice).unwrap_or_default();
    let until = match last.last() {
        None => return Err(SessionError::NoStage),
        Some(_) if last.len() == chain.len() => None,
        Some(stage) => Some(stage.name.clone()),
    };
    let heard = Heard::of(records);
    let entries = entries(records, &heard);
    let end = End {
        drops_journal: boots.len() > 1 || until.is_some(),
        harmless: provoked(session, records, &boots, &of_boots, &entries),
        until,
    };
    let is_open = end.until.is_some();
    let steps = steps((records, &heard), &entries, &boots, &of_boots, is_open);
    let mut out = head(session, &end)?;
    for step in &steps {
        out.push('\n');
        step.write(&mut out);
    }
    Ok(out)
}

/// The steps: power-on, then each entry. `is_open`: what came of the last entry is a step's business, since the chain's end does not show it.
fn steps<'a>(
    (records, heard): (&[Record], &Heard),
    entries: &'a [Entry],
    boots: &[Range<usize>],
    reached: &[Vec<Reached>],
    is_open: bool,
) -> Vec<Step<'a>> {
    let mut steps = vec![Step {
        does: Does::PowerOn,
        wait: None,
    }];
    let mut start = 0;
    let mut line = None;
    for (number, entry) in entries.iter().map(Some).chain([None]).enumerate() {
        let end = entry.map_or(records.len(), |entry| entry.from);
        if entry.is_none() && !is_open {
            break;
        }
        let of_boots = boots.iter().zip(reached);
        for (boot_number, (boot, reached)) in of_boots.enumerate() {
            let places = start.max(boot.start)..end.min(boot.end);
            if places.is_empty() {
                continue;
            }
            if boot_number + 1 < boots.len() && boot.end <= end {
                // What was typed at a board that resets itself is lost.
                while matches!(&*steps, [.., before, last] if before.sends() && last.is_key_alone())
                {
                    steps.pop();
                }
                await_in(&mut steps, Wait::Reset);
                line = None;
                continue;
            }
            let between = Between {
                records,
                heard,
                places,
                reached,
                line,
                next: entries.get(number..).unwrap_or_default(),
            };
            for wait in between.waits() {
                await_in(&mut steps, wait);
            }
        }
        let Some(entry) = entry else {
            break;
        };
        steps.push(Step {
            does: Does::Send {
                entry,
                is_repeated: is_repeated(entry, records, heard),
            },
            wait: None,
        });
        start = entry.to + 1;
        line = entry.enter.then_some(entry.text.as_str());
    }
    steps
}

/// The last step waits for this, or one more step does.
fn await_in(steps: &mut Vec<Step<'_>>, wait: Wait) {
    match steps.last_mut() {
        Some(step) if step.wait.is_none() => step.wait = Some(wait),
        _ => steps.push(Step {
            does: Does::Nothing,
            wait: Some(wait),
        }),
    }
}

/// The board has repeated what was typed: while it was typed, or by the line that Enter ended.
fn is_repeated(entry: &Entry, records: &[Record], heard: &Heard) -> bool {
    let typed = entry.text.trim();
    let says = |(place, record): (usize, &Record)| {
        let prompt = match &record.event {
            Event::Prompt { text, .. } => Some(text.as_str()),
            _ => None,
        };
        let mut said = heard.lines(place).chain(prompt).peekable();
        said.peek()?;
        Some(said.any(|said| said.contains(typed)))
    };
    let mut after = records.iter().enumerate().skip(entry.from).map(says);
    let mut before = after.by_ref().take(entry.to - entry.from).flatten();
    typed.is_empty() || before.any(|is_shown| is_shown) || after.flatten().next() == Some(true)
}

/// Everything before the steps.
fn head(session: &Session<'_>, end: &End) -> Result<String, SessionError> {
    let Session {
        scenario, board, ..
    } = session;
    let wrong = |source| SessionError::Base {
        scenario: scenario.name.to_string(),
        source,
    };
    let table: toml::Table = scenario
        .source
        .text
        .parse()
        .map_err(|e: toml::de::Error| wrong(e.into()))?;
    let mut dropped = vec!["checkpoint"];
    if end.until.is_some() {
        dropped.extend(["expect", "pipeline_status"]);
    }
    // What extends a scenario cannot take keys away, and nothing extends a variant.
    let file = scenario.files.first();
    let is_variant = file.is_none_or(|file| scenario.name != *file);
    let stands_alone = is_variant || dropped.iter().any(|key| table.contains_key(*key));
    let mut out = schema::editor_hint("scenario.json");
    let _ = writeln!(
        out,
        "\n# Written down from a session at the console of {}: what was typed, and what the board said to it.",
        board.name
    );
    if !stands_alone {
        let _ = writeln!(out, "extends = {}", quoted(&scenario.name));
    }
    let _ = writeln!(
        out,
        "title = {}\ntier = \"full\"\nboards = [{}]",
        quoted(&format!("As at the console: {}", scenario.title)),
        quoted(&board.name)
    );
    if !end.harmless.is_empty() {
        let of_base = scenario.harmless.iter().map(Pattern::as_str);
        let harmless = of_base.chain(end.harmless.iter().map(String::as_str));
        let harmless: Vec<_> = harmless.map(quoted).collect();
        let _ = writeln!(out, "harmless = [{}]", harmless.join(", "));
        dropped.push("harmless");
    }
    let drops_journal = end.drops_journal && !scenario.journal.is_empty();
    if stands_alone {
        let ours = [
            "extends", "include", "variant", "step", "title", "tier", "boards",
        ];
        let dropped = ours.into_iter().chain(dropped);
        let dropped: Vec<_> = dropped.chain(drops_journal.then_some("journal")).collect();
        let rest = table
            .into_iter()
            .filter(|(key, _)| !dropped.contains(&key.as_str()));
        let rest: toml::Table = rest.collect();
        out += &toml::to_string_pretty(&rest).map_err(|e| wrong(e.into()))?;
    } else if drops_journal {
        out += "journal = []\n";
    }
    if let Some(stage) = &end.until {
        let _ = writeln!(out, "\n[expect]\nuntil = {}", quoted(stage));
    }
    Ok(out)
}

impl Step<'_> {
    fn sends(&self) -> bool {
        matches!(self.does, Does::Send { .. })
    }

    /// It types keys without Enter and waits for nothing.
    fn is_key_alone(&self) -> bool {
        let is_key = matches!(self.does, Does::Send { entry, .. } if !entry.enter);
        is_key && self.wait.is_none()
    }

    // Writing to a string cannot fail.
    fn write(&self, out: &mut String) {
        if let Does::Send {
            entry,
            is_repeated: false,
        } = self.does
            && !entry.is_raw
        {
            *out += "# The board did not repeat this, as it does with a password.\n";
        }
        *out += "[[step]]\n";
        match &self.does {
            Does::PowerOn => *out += "power = \"on\"\n",
            Does::Send { entry, is_repeated } => {
                let text = quoted(&entry.text);
                let _ = match (entry.enter, entry.is_raw || !is_repeated) {
                    (true, false) => writeln!(out, "send = {text}"),
                    (true, true) => writeln!(out, "send = {{ text = {text}, echo = false }}"),
                    (false, _) => writeln!(out, "send = {{ text = {text}, enter = false }}"),
                };
            }
            Does::Nothing => {}
        }
        let (key, pattern, took) = match &self.wait {
            None => return,
            Some(Wait::Stage(name)) => {
                let _ = writeln!(out, "await = {}", quoted(name));
                return;
            }
            Some(Wait::Reset) => {
                *out += "await = { power = \"guest-reset\" }\n";
                return;
            }
            Some(Wait::Line { pattern, took }) => ("serial", pattern, took),
            Some(Wait::Prompt { pattern, took }) => ("prompt", pattern, took),
        };
        let pattern = quoted(pattern);
        let _ = match self.sends() {
            true => writeln!(out, "expect = {pattern}"),
            false => writeln!(out, "await = {{ {key} = {pattern} }}"),
        };
        if *took > LONG {
            let seconds = (took.as_secs() * 2).next_multiple_of(ROUND);
            let _ = writeln!(out, "within = \"{seconds}s\"");
        }
    }
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
