//! A line of the timeline: an event, when it happened, and to which boot of which board.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::seconds;
use super::{Event, Power};

/// The version of `timeline.jsonl` and of the stream. Version 1 has neither boards, boots nor the events that decide a verdict; it still
/// reads.
pub const TIMELINE_VERSION: u32 = 2;

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Seconds since the timeline started.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub at: Duration,
    /// The board that it happened to; `None` where a run has one board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<BoardId>,
    /// Which boot of that board, counted from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub boot: u32,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// A record that says what version of the format it is of. The first line of `timeline.jsonl` and of a run's stream is one; a reader that
/// does not ask passes it over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Versioned<'a> {
    /// [`TIMELINE_VERSION`].
    version: u32,
    /// The record.
    #[serde(flatten)]
    record: &'a Record,
}

impl<'a> Versioned<'a> {
    /// A record of this version.
    #[must_use]
    pub fn of(record: &'a Record) -> Self {
        Self {
            version: TIMELINE_VERSION,
            record,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_first(boot: &u32) -> bool {
    *boot == 0
}

impl Record {
    /// A record of the first boot of a run's only board.
    #[must_use]
    pub fn new(at: Duration, event: Event) -> Self {
        Self {
            at,
            board: None,
            boot: 0,
            event,
        }
    }
}

/// When the board of these records was switched on first, if it was.
#[must_use]
pub fn power_on(records: &[Record]) -> Option<Duration> {
    let is_on = |r: &&Record| matches!(r.event, Event::Power { action: Power::On });
    records.iter().find(is_on).map(|r| r.at)
}

/// The name of a board within a run: lower-case letters, digits and dashes.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct BoardId(Arc<str>);

/// Text that is no name of a board.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of a board: it may have lower-case letters, digits and dashes")]
pub struct BadBoardId(String);

impl FromStr for BoardId {
    type Err = BadBoardId;

    fn from_str(text: &str) -> Result<Self, BadBoardId> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !text.is_empty() && text.bytes().all(fits) {
            Ok(Self(text.into()))
        } else {
            Err(BadBoardId(text.into()))
        }
    }
}

impl TryFrom<String> for BoardId {
    type Error = BadBoardId;

    fn try_from(text: String) -> Result<Self, BadBoardId> {
        text.parse()
    }
}

impl From<BoardId> for String {
    fn from(id: BoardId) -> Self {
        id.0.as_ref().into()
    }
}

impl fmt::Display for BoardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_of_version_1_reads() {
        let old = [
            r#"{"at":3.97,"event":"name","query":"ci-gateway","answer":"10.42.0.1"}"#,
            r#"{"at":23.36,"event":"clock","server":"192.0.2.30"}"#,
            r#"{"at":0.46,"event":"power","action":"on"}"#,
        ];
        let records = old.map(|line| serde_json::from_str::<Record>(line).unwrap());
        assert!(matches!(&records[0].event, Event::Dns { query, .. } if query == "ci-gateway"));
        assert!(matches!(records[1].event, Event::Ntp { .. }));
        assert!(records.iter().all(|r| r.board.is_none() && r.boot == 0));
        assert_eq!(power_on(&records), Some(Duration::from_millis(460)));
    }

    #[test]
    fn a_line_that_says_its_version_reads_like_any_other() {
        let record = Record::new(Duration::ZERO, Event::Power { action: Power::On });
        let text = serde_json::to_string(&Versioned::of(&record)).unwrap();
        assert!(text.starts_with(r#"{"version":2,"at":0.0,"#), "{text}");
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }

    #[test]
    fn a_record_says_board_and_boot_only_where_there_are_several() {
        let event = Event::Power { action: Power::On };
        let first = Record::new(Duration::ZERO, event);
        let text = serde_json::to_string(&first).unwrap();
        assert_eq!(text, r#"{"at":0.0,"event":"power","action":"on"}"#);
        let second = Record {
            board: Some("gateway".parse().unwrap()),
            boot: 1,
            ..first
        };
        let text = serde_json::to_string(&second).unwrap();
        assert_eq!(
            text,
            r#"{"at":0.0,"board":"gateway","boot":1,"event":"power","action":"on"}"#
        );
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), second);
        assert!(serde_json::from_str::<Record>(&text.replace("gateway", "a b")).is_err());
    }
}
