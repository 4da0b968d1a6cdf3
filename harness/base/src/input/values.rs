//! Values that TOML has no type for.

use std::borrow::Cow;

use regex::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error};

/// A regular expression, checked while the file is read. `^` and `$` match at line ends.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// The compiled expression.
    #[must_use]
    pub fn regex(&self) -> &Regex {
        &self.0
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        regex::RegexBuilder::new(&text)
            .multi_line(true)
            .build()
            .map(Self)
            .map_err(|e| D::Error::custom(format!("not a regular expression: {e}")))
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "regex",
            "description": "A regular expression; `^` and `$` match at line ends.",
        })
    }
}

/// A value and where it stands in the file, in bytes.
pub type Span<T> = toml::Spanned<T>;

/// Durations as people write them: `90s`, `10m`, `1m 30s`, `250ms`. In a schema: `#[schemars(with = "duration::Text")]`.
pub mod duration {
    use std::borrow::Cow;
    use std::time::Duration;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use serde::{Deserialize, Deserializer, de::Error};

    /// For `#[serde(with = "…")]`.
    ///
    /// # Errors
    /// The text is not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|e| {
            D::Error::custom(format!("not a duration such as \"90s\" or \"10m\": {e}"))
        })
    }

    /// What a duration is in a schema.
    pub struct Text;

    impl JsonSchema for Text {
        fn schema_name() -> Cow<'static, str> {
            "Duration".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "type": "string",
                "pattern": r"^\s*(\d+\s*[a-zA-Z]+\s*)+$",
                "examples": ["250ms", "90s", "1m 30s", "20m"],
                "description": "A duration: a number with its unit, or several of them.",
            })
        }
    }
}
