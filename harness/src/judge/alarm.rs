//! Alarms until they are data of the chain file: a stand-in with the console's constants, behind the interface that the judge uses.

use std::sync::Arc;
use std::time::Duration;

use crate::console::alarm_name;
use crate::report::Class;
use crate::timeline::{Event, Record};

/// How far the run has come before a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress<'s> {
    /// The last stage that was reached, by its name.
    #[expect(
        dead_code,
        reason = "alarms that count from a stage on are data to come"
    )]
    pub(super) stage: Option<&'s str>,
    /// A container may be writing to the console.
    pub(super) in_container: bool,
}

/// The alarms of a chain.
#[derive(Debug, Clone)]
pub struct Alarms;

/// What a matching line does to the run.
#[derive(Debug, Clone, Copy)]
#[expect(dead_code, reason = "kinds that only data can name")]
pub(super) enum AlarmKind {
    Fatal(Class),
    Harmless,
    Note(Class),
}

#[derive(Debug)]
pub(super) struct Alarm {
    pub(super) name: String,
    pub(super) kind: AlarmKind,
    pub(super) starved: bool,
}

impl Alarm {
    pub(super) fn class(&self) -> Option<Class> {
        match self.kind {
            AlarmKind::Fatal(class) | AlarmKind::Note(class) => Some(class),
            AlarmKind::Harmless => None,
        }
    }
}

/// An alarm that a line has raised.
#[derive(Debug, Clone)]
pub(super) struct Raised {
    pub(super) alarm: Arc<Alarm>,
    pub(super) at: Duration,
    pub(super) line: String,
}

/// Watches the serial lines of one boot of one board.
#[derive(Debug, Clone)]
pub(super) struct AlarmWatch;

impl AlarmWatch {
    pub(super) fn new(_: &Alarms) -> Self {
        Self
    }

    pub(super) fn without_times(self) -> Self {
        self
    }

    #[expect(clippy::unused_self, reason = "the watch to come has a state")]
    pub(super) fn observe(&mut self, record: &Record, progress: Progress<'_>) -> Vec<Raised> {
        let Event::Serial { line, .. } = &record.event else {
            return Vec::new();
        };
        let name = alarm_name(line).filter(|_| !progress.in_container);
        let raised = name.map(|name| Raised {
            alarm: Arc::new(Alarm {
                name: name.into(),
                kind: AlarmKind::Fatal(Class::Board),
                starved: name == "kernel stall",
            }),
            at: record.at,
            line: line.clone(),
        });
        raised.into_iter().collect()
    }

    #[expect(clippy::unused_self, reason = "the watch to come has a state")]
    pub(super) fn end(&mut self, _: Duration, _: Progress<'_>) -> Vec<Raised> {
        Vec::new()
    }
}
