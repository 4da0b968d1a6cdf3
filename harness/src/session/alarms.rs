//! Lines that would fail a run, and came of what somebody typed: U-Boot's `version` says what a board says that has reset itself.

use std::collections::BTreeSet;
use std::ops::Range;

use super::entries::Entry;
use super::patterns::of_line;
use super::stages::Reached;
use super::write::Session;
use crate::alarm::{AlarmKind, AlarmWatch, Progress};
use crate::judge::Section;
use crate::timeline::{Event, Record};

/// Patterns for the lines of a session that raise an alarm which ends a run, once something has been typed.
pub(super) fn provoked(
    session: &Session<'_>,
    records: &[Record],
    boots: &[Range<usize>],
    reached: &[Vec<Reached>],
    entries: &[Entry],
) -> Vec<String> {
    let Some(first) = entries.first() else {
        return Vec::new();
    };
    let mut patterns = Vec::new();
    let mut prompts = BTreeSet::new();
    for (boot, reached) in boots.iter().zip(reached) {
        let mut watch = AlarmWatch::new(&session.board.alarms);
        let mut section = Section::default();
        for place in boot.clone() {
            let Some(record) = records.get(place) else {
                break;
            };
            let (uart, line) = match &record.event {
                Event::Serial { uart, line } => (uart, line),
                // Somebody sits at a prompt, as in the run of the scenario.
                Event::Prompt { text, .. } => {
                    prompts.insert(text.trim_end());
                    continue;
                }
                _ => continue,
            };
            if let Some(marks) = &session.board.container {
                section.take(marks, *uart, line);
            }
            let before = reached.iter().rfind(|stage| stage.at < place);
            let progress = Progress {
                stage: before.map(|stage| stage.name.as_str()),
                in_container: section.is_open(*uart),
            };
            let raised = watch.observe(record, progress);
            if place < first.from || prompts.contains(line.trim_end()) {
                continue;
            }
            let fatal = raised
                .iter()
                .filter(|r| matches!(r.alarm.kind, AlarmKind::Fatal(_)));
            for pattern in fatal.filter_map(|r| of_line(&r.line)) {
                if !patterns.contains(&pattern) {
                    patterns.push(pattern);
                }
            }
        }
    }
    patterns
}
