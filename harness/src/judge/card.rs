//! The card when the run has ended: what it holds is an event, and whether it may is decided here.

use crate::report::Class;
use crate::scenario::CardRules;
use crate::timeline::{BoardId, CardEvent, CardFileEvent, Event, Record};

/// The cards so far.
#[derive(Debug, Clone)]
pub(super) struct CardProgress {
    rules: CardRules,
    /// Boards whose card has not been read back.
    pending: Vec<Option<BoardId>>,
    violation: Option<(Class, String)>,
}

impl CardProgress {
    pub(super) fn new(rules: &CardRules, mut boards: Vec<Option<BoardId>>) -> Self {
        boards.dedup();
        Self {
            rules: rules.clone(),
            pending: boards,
            violation: None,
        }
    }

    /// Takes a record of the run.
    pub(super) fn take(&mut self, record: &Record) {
        let Event::Card(card) = &record.event else {
            return;
        };
        self.pending.retain(|board| *board != record.board);
        if self.violation.is_none() {
            self.violation = violation(&self.rules, card);
        }
    }

    /// Every card has been read back.
    pub(super) fn is_complete(&self) -> bool {
        self.pending.is_empty()
    }

    /// What is not as it must be, and whose fault that most likely is.
    pub(super) fn violation(&self) -> Option<(Class, String)> {
        self.violation.clone()
    }
}

/// What of a card is not as the scenario wants it.
fn violation(rules: &CardRules, card: &CardEvent) -> Option<(Class, String)> {
    if let Some(trouble) = &card.trouble {
        return Some((
            Class::Host,
            format!("the card could not be read back: {trouble}"),
        ));
    }
    if let Some(name) = card.missing.first() {
        let cause = format!(
            "the card has no partition {name:?}: it may be firmware, esp, cache, the label of a file system or a name in a GPT"
        );
        return Some((Class::Image, cause));
    }
    if rules.unchanged_except.is_some() && card.changed > 0 {
        return Some(changed(rules, card));
    }
    let files = rules.files.iter();
    let broken: Vec<_> = files
        .filter_map(|rule| {
            let is_it = |file: &&CardFileEvent| {
                file.path == rule.path && file.partition == rule.partition.0
            };
            let place = format!("{} on the partition {}", rule.path, rule.partition);
            let Some(file) = card.files.iter().find(is_it) else {
                return Some(format!("nobody has looked for {place}"));
            };
            match (&file.trouble, rule.exists, &rule.contains) {
                (Some(trouble), ..) => Some(format!("{place} cannot be read: {trouble}")),
                (None, true, _) if !file.exists => Some(format!("there is no {place}")),
                (None, false, _) if file.exists => {
                    Some(format!("there is {place}, and nothing should be there"))
                }
                (None, _, Some(wanted)) if file.contains != Some(true) => {
                    Some(format!("{place} does not contain /{}/", wanted.as_str()))
                }
                _ => None,
            }
        })
        .collect();
    let cause = || format!("the card is not as it must be: {}", broken.join("; "));
    (!broken.is_empty()).then(|| (Class::Board, cause()))
}

/// Before Linux everything that writes comes from the image, and the partitions for it are its own.
fn changed(rules: &CardRules, card: &CardEvent) -> (Class, String) {
    let names = rules.unchanged_except.iter().flatten();
    let names: Vec<_> = names.map(ToString::to_string).collect();
    let may = match &*names {
        [] => "nothing may change".into(),
        names => format!("outside of {}", names.join(", ")),
    };
    let shown: Vec<_> = card.changes.iter().map(ToString::to_string).collect();
    let told: u64 = card.changes.iter().map(|change| change.length).sum();
    let more = match card.changed.saturating_sub(told) {
        0 => String::new(),
        more => format!("\n  and {more} bytes more"),
    };
    let is_of_image = |role: &Option<String>| matches!(role.as_deref(), Some("firmware" | "esp"));
    let class = match card.changes.iter().all(|change| is_of_image(&change.role)) {
        true => Class::Image,
        false => Class::Board,
    };
    let cause = format!(
        "the run has changed {} bytes of the card, {may}:\n  {}{more}",
        card.changed,
        shown.join("\n  ")
    );
    (class, cause)
}
