//! Sizes as people write them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error};

/// A number of bytes, written `65536`, `64KiB`, `64MiB` or `64MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(
    /// The number.
    pub u64,
);

/// Units, the largest first as they are shown.
const UNITS: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("", 1),
];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = text.get(digits.len()..).unwrap_or_default();
        let (_, factor) = UNITS
            .iter()
            .find(|(name, _)| *name == unit.trim_start())
            .ok_or_else(|| format!("`{unit}` is no unit; write kB, KiB, MB, MiB, GB or GiB"))?;
        let number: u64 = digits.parse().map_err(|e| format!("`{digits}`: {e}"))?;
        let bytes = number.checked_mul(*factor);
        bytes.map(Self).ok_or_else(|| format!("{text} is too much"))
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|e| D::Error::custom(format!("not a size such as \"64KiB\" or \"2MB\": {e}")))
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A number of bytes, for example \"65536\", \"64KiB\" or \"2MB\".",
            "pattern": "^[0-9]+ *([kM]B|[KMG]iB|GB)?$",
        })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, factor): &&(&str, u64)| self.0 >= *factor && self.0.is_multiple_of(*factor);
        match UNITS.iter().find(fits) {
            Some((unit, factor)) if !unit.is_empty() => write!(f, "{} {unit}", self.0 / factor),
            _ => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes, shown) in [
            ("64MiB", 64 << 20, "64 MiB"),
            ("10 MB", 10_000_000, "10 MB"),
            ("2048", 2048, "2 KiB"),
            ("0", 0, "0 bytes"),
            ("17", 17, "17 bytes"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, shown));
        }
        for text in ["", "MiB", "1.5MiB", "64mib", "-1", "99999999999GiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
