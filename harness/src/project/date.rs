//! Days of the calendar, as `known-failures.toml` has them.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error};
use toml::value::{Datetime, Offset};

/// A day, for example `2026-12-31`, written with or without quotes (RFC 3339, `full-date`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The day of this moment, UTC.
    #[must_use]
    pub fn of(moment: SystemTime) -> Option<Self> {
        let text = humantime::format_rfc3339_seconds(moment).to_string();
        Self::read(text.split('T').next()?)
    }

    fn read(text: &str) -> Option<Self> {
        Self::of_value(text.parse().ok()?)
    }

    fn of_value(value: Datetime) -> Option<Self> {
        let date = value.date?;
        let is_day = value.time.is_none() && value.offset.is_none_or(|o: Offset| o == Offset::Z);
        is_day.then_some(Self {
            year: date.year,
            month: date.month,
            day: date.day,
        })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Date(Datetime),
            Text(String),
        }
        let date = match Written::deserialize(deserializer)? {
            Written::Date(date) => Self::of_value(date),
            Written::Text(text) => Self::read(&text),
        };
        date.ok_or_else(|| D::Error::custom("not a day: write it as 2026-12-31"))
    }
}

impl JsonSchema for Date {
    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date", "description": "A day, for example `2026-12-31`." })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn days_are_read_compared_and_written() {
        let day = |text: &str| Date::read(text).unwrap();
        assert!(day("2026-12-31") < day("2027-01-01") && day("2026-02-10") > day("2026-02-09"));
        assert_eq!(day("2026-02-09").to_string(), "2026-02-09");
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-30",
            "2026-02-09T10:00:00Z",
            "10:00:00",
        ] {
            assert_eq!(Date::read(text), None, "{text}");
        }
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 365 + 86_399);
        assert_eq!(Date::of(moment), Date::read("1971-01-01"));
    }
}
