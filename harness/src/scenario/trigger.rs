//! `after = { … }`: what steps and faults wait for. Counts and events decide, so that a run can be repeated and a record be judged again.
//!
//! A trigger is of one boot of one board. [`fired`] says from the records of that boot where it fired; [`TriggerWatch`] says the same while
//! they come. Nothing else decides it, live or in a replay.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::stages::no_stage;
use crate::board::Stage;
use crate::input::{ByteSize, Document, InputError, Pattern, Span, duration};
use crate::timeline::{Event, FrameKind, Power, Record, ServiceId};

/// What is waited for, in one boot of a board.
#[derive(Debug, Clone)]
pub enum Trigger {
    /// The stage of this name has been reached.
    Stage(String),
    /// A service has answered so many requests, or has seen them break off.
    Request(RequestTrigger),
    /// A UART has said text that matches, as a line or as a prompt.
    Serial(Pattern),
    /// The board has sent so many frames ([`Event::Frames`]).
    Frames(FrameTrigger),
    /// The board has written so many bytes to new places of its card ([`Event::Written`]).
    Written(ByteSize),
    /// So much time has passed since the board was switched on, or was reset. How far it has come by then depends on the host: prefer another trigger.
    Elapsed(Duration),
}

/// Which request is waited for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestTrigger {
    /// Which service must have answered it.
    pub service: ServiceId,
    /// Which of them, counted from 1.
    #[serde(default = "first")]
    #[schemars(range(min = 1))]
    pub nth: u64,
    /// Only requests whose path and query match count.
    pub target: Option<Pattern>,
}

/// Which frame is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameTrigger {
    /// Which of them, counted from 1.
    pub nth: u64,
    /// Frames of this kind count.
    pub of: FrameKind,
}

/// What is waited for, in one boot of a board: one of the keys, and `of` beside `frames`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerTable {
    /// The stage that has been reached, by name.
    #[schemars(with = "Option<String>")]
    stage: Option<Span<String>>,
    /// The request that a service has answered, or has seen break off.
    #[schemars(with = "Option<RequestTrigger>")]
    request: Option<Span<RequestTrigger>>,
    /// What a UART has said, as a line or as a prompt.
    serial: Option<Pattern>,
    /// How many frames the board has sent since it was switched on.
    #[schemars(with = "Option<u64>")]
    frames: Option<Span<u64>>,
    /// The kind of these frames, any by default.
    #[schemars(with = "Option<FrameKind>")]
    of: Option<Span<FrameKind>>,
    /// How many bytes the board has written to places of its card that it had not written before, since it was switched on; counted in clusters of 64 KiB.
    #[schemars(with = "Option<ByteSize>")]
    written: Option<Span<ByteSize>>,
    /// The time since the board was switched on, or was reset. How far a board has come by then depends on the host: prefer another trigger.
    #[serde(default, deserialize_with = "optional_duration")]
    #[schemars(with = "Option<duration::Text>")]
    elapsed: Option<Duration>,
}

fn first() -> u64 {
    1
}

fn optional_duration<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration::deserialize(deserializer).map(Some)
}

impl TriggerTable {
    /// Checks the trigger against the stages of every board that the scenario is run on.
    ///
    /// # Errors
    /// It waits for nothing, for several things, for a stage that there is not, or for none of something; the error names file, line and
    /// column.
    pub fn check(
        this: Span<Self>,
        stages_of_boards: &[Vec<Stage>],
        document: &Document,
    ) -> Result<Trigger, InputError> {
        let place = this.span();
        let Self {
            stage,
            request,
            serial,
            frames,
            of,
            written,
            elapsed,
        } = this.into_inner();
        let none_of = |span, what: &str| {
            let message = format!("the first {what} is number 1: write 1 or more");
            Err(document.error_at(span, &message))
        };
        let mut found = Vec::new();
        if let Some(stage) = stage {
            if let Some(message) = no_stage(stage.get_ref(), stages_of_boards) {
                return Err(document.error_at(stage.span(), &message));
            }
            found.push(Trigger::Stage(stage.into_inner()));
        }
        if let Some(request) = request {
            if request.get_ref().nth == 0 {
                return none_of(request.span(), "request");
            }
            found.push(Trigger::Request(request.into_inner()));
        }
        found.extend(serial.map(Trigger::Serial));
        match (frames, of) {
            (Some(frames), _) if *frames.get_ref() == 0 => {
                return none_of(frames.span(), "frame");
            }
            (Some(frames), of) => found.push(Trigger::Frames(FrameTrigger {
                nth: frames.into_inner(),
                of: of.map_or(FrameKind::Any, Span::into_inner),
            })),
            (None, Some(of)) => {
                let message = "say how many of them: frames = 1, of = …";
                return Err(document.error_at(of.span(), message));
            }
            (None, None) => {}
        }
        if let Some(written) = written {
            if written.get_ref().0 == 0 {
                return none_of(written.span(), "byte");
            }
            found.push(Trigger::Written(written.into_inner()));
        }
        found.extend(elapsed.map(Trigger::Elapsed));
        match (found.pop(), found.is_empty()) {
            (Some(trigger), true) => Ok(trigger),
            _ => Err(document.error_at(
                place,
                "say one thing to wait for: stage, request, serial, frames, written or elapsed",
            )),
        }
    }
}

/// Where a trigger fired among the records of one boot of a board, in order; `None` if it did not.
#[must_use]
pub fn fired(trigger: &Trigger, records: &[Record]) -> Option<usize> {
    let mut watch = TriggerWatch::new(trigger.clone());
    records.iter().position(|record| watch.take(record))
}

/// A trigger that watches records come.
#[derive(Debug, Clone)]
pub struct TriggerWatch {
    trigger: Trigger,
    /// Requests that have counted so far.
    requests: u64,
    begun: Option<Duration>,
    has_fired: bool,
}

impl TriggerWatch {
    /// A trigger that has seen nothing yet.
    #[must_use]
    pub fn new(trigger: Trigger) -> Self {
        Self {
            trigger,
            requests: 0,
            begun: None,
            has_fired: false,
        }
    }

    /// Takes the next record of the boot; says whether the trigger fires at it, which it does once.
    pub fn take(&mut self, record: &Record) -> bool {
        let begins = matches!(
            record.event,
            Event::Power {
                action: Power::On | Power::Reset
            }
        );
        if begins {
            self.begun.get_or_insert(record.at);
        }
        let fires = !self.has_fired && self.is_it(record);
        self.has_fired |= fires;
        fires
    }

    /// The trigger has fired.
    #[must_use]
    pub fn has_fired(&self) -> bool {
        self.has_fired
    }

    /// When it fires by the timeline's clock alone. A live run puts a record onto the timeline then.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        match (&self.trigger, self.begun) {
            (Trigger::Elapsed(elapsed), Some(begun)) if !self.has_fired => Some(begun + *elapsed),
            _ => None,
        }
    }

    fn is_it(&mut self, record: &Record) -> bool {
        match (&self.trigger, &record.event) {
            (Trigger::Stage(wanted), Event::Stage { name, .. }) => name == wanted,
            (Trigger::Request(wanted), Event::Request(request)) => {
                let RequestTrigger {
                    service,
                    nth,
                    target,
                } = wanted;
                let counts = target
                    .as_ref()
                    .is_none_or(|t| t.regex().is_match(&request.target));
                if request.service != *service || !counts {
                    return false;
                }
                self.requests += 1;
                self.requests == *nth
            }
            (
                Trigger::Serial(pattern),
                Event::Serial { line: text, .. } | Event::Prompt { text, .. },
            ) => pattern.regex().is_match(text),
            (Trigger::Frames(wanted), Event::Frames { of, count }) => {
                wanted.of == *of && *count >= wanted.nth
            }
            (Trigger::Written(wanted), Event::Written { bytes }) => *bytes >= wanted.0,
            (Trigger::Elapsed(elapsed), _) => self
                .begun
                .is_some_and(|begun| record.at >= begun + *elapsed),
            _ => false,
        }
    }
}

impl fmt::Display for Trigger {
    /// What is waited for, for people: `stage "iPXE" is reached`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage(name) => write!(f, "stage \"{name}\" is reached"),
            Self::Request(RequestTrigger {
                service,
                nth,
                target,
            }) => {
                write!(f, "the {service} server has answered request {nth}")?;
                match target {
                    Some(target) => write!(f, " for /{}/", target.as_str()),
                    None => Ok(()),
                }
            }
            Self::Serial(pattern) => write!(f, "a UART says /{}/", pattern.as_str()),
            Self::Frames(FrameTrigger { nth, of }) => {
                write!(f, "the board has sent frame {nth} of {of}")
            }
            Self::Written(bytes) => write!(f, "the board has written {bytes} to its card"),
            Self::Elapsed(elapsed) => write!(
                f,
                "{} have passed since power-on or reset",
                humantime::format_duration(*elapsed)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::request;

    #[derive(Deserialize)]
    struct File {
        after: Span<TriggerTable>,
    }

    fn stages() -> Vec<Vec<Stage>> {
        let stage = "name = \"iPXE\"\nevidence = \"lease\"\nbudget = \"1s\"\n";
        vec![vec![toml::from_str(stage).unwrap()]]
    }

    fn read(after: &str) -> Result<Trigger, InputError> {
        let document = Document::of("s.toml", format!("after = {after}\n"));
        TriggerTable::check(document.parse::<File>()?.after, &stages(), &document)
    }

    fn shown(after: &str) -> String {
        read(after).map_or_else(|e| e.to_string(), |trigger| trigger.to_string())
    }

    #[test]
    fn each_kind_is_read() {
        let all = [
            "{ stage = \"iPXE\" }",
            "{ request = { service = \"boot\", nth = 3 } }",
            "{ request = { service = \"registry\", target = '/blobs/' } }",
            "{ serial = '^login:' }",
            "{ frames = 2, of = \"dhcp\" }",
            "{ frames = 100 }",
            "{ written = \"4MiB\" }",
            "{ elapsed = \"20s\" }",
        ];
        insta::assert_snapshot!(all.map(shown).join("\n"), @r#"
        stage "iPXE" is reached
        the boot server has answered request 3
        the registry server has answered request 1 for //blobs//
        a UART says /^login:/
        the board has sent frame 2 of DHCP
        the board has sent frame 100 of any kind
        the board has written 4 MiB to its card
        20s have passed since power-on or reset
        "#);
    }

    #[test]
    fn errors_point_at_the_place() {
        let wrong = [
            "{}",
            "{ stage = \"iPXE\", elapsed = \"1s\" }",
            "{ stage = \"iPXF\" }",
            "{ request = { service = \"boot\", nth = 0 } }",
            "{ request = { service = \"pdu\" } }",
            "{ serial = '(' }",
            "{ frames = 0 }",
            "{ of = \"dhcp\" }",
            "{ frames = 1, of = \"ipx\" }",
            "{ written = \"0\" }",
            "{ written = \"4 bytes\" }",
            "{ elapsed = \"soon\" }",
            "{ elapsed = \"1s\", times = 2 }",
        ];
        insta::assert_snapshot!(wrong.map(shown).join("\n"));
    }

    /// Records of a second each.
    fn records(events: impl IntoIterator<Item = Event>) -> Vec<Record> {
        let at = (0..).map(Duration::from_secs);
        let events = at.zip(events);
        events.map(|(at, event)| Record::new(at, event)).collect()
    }

    fn note() -> Event {
        Event::Note {
            room: "test".into(),
            text: "iPXE".into(),
        }
    }

    #[test]
    fn a_trigger_fires_once_at_the_record_that_it_waits_for() {
        let serial = |text: &str| Event::Serial {
            uart: 0,
            line: text.into(),
        };
        let asked = |service, target: &str| Event::Request(request(service, target, 200));
        let frames = |of, count| Event::Frames { of, count };
        let records = records([
            Event::Power { action: Power::On },
            serial("iPXE initialising"),
            note(),
            Event::Prompt {
                uart: 0,
                text: "login: ".into(),
            },
            serial("login: root"),
            asked(ServiceId::Boot, "/boot/a"),
            asked(ServiceId::Registry, "/v2/blobs/b"),
            asked(ServiceId::Boot, "/files/kernel"),
            Event::Stage {
                name: "iPXE".into(),
                reached: Duration::ZERO,
            },
            frames(FrameKind::Any, 2),
            frames(FrameKind::Dhcp, 2),
            Event::Written { bytes: 1 << 20 },
            Event::Written { bytes: 5 << 20 },
            serial("login: again"),
        ]);
        for (after, index) in [
            ("{ stage = \"iPXE\" }", Some(8)),
            ("{ request = { service = \"boot\" } }", Some(5)),
            ("{ request = { service = \"boot\", nth = 2 } }", Some(7)),
            ("{ request = { service = \"boot\", nth = 3 } }", None),
            (
                "{ request = { service = \"boot\", target = 'kernel' } }",
                Some(7),
            ),
            ("{ serial = '^login:' }", Some(3)),
            ("{ frames = 2, of = \"dhcp\" }", Some(10)),
            ("{ frames = 2 }", Some(9)),
            ("{ frames = 3 }", None),
            ("{ written = \"4MiB\" }", Some(12)),
            ("{ elapsed = \"6500ms\" }", Some(7)),
            ("{ elapsed = \"1h\" }", None),
        ] {
            assert_eq!(fired(&read(after).unwrap(), &records), index, "{after}");
        }
    }

    #[test]
    fn time_counts_from_where_the_boot_begins() {
        for action in [Power::On, Power::Reset] {
            let mut watch = TriggerWatch::new(Trigger::Elapsed(Duration::from_secs(2)));
            assert_eq!(watch.due(), None);
            let begins = Event::Power { action };
            let fires: Vec<_> = records([note(), begins, note(), note(), note()])
                .iter()
                .map(|record| watch.take(record))
                .collect();
            assert_eq!(fires, [false, false, false, true, false]);
            assert!(watch.has_fired() && watch.due().is_none());
        }
    }
}
