//! What a step waits for once it has done what it does.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::stages::no_stage;
use crate::board::{Board, Evidence, Stage};
use crate::input::Pattern;

/// How `await` names an alarm.
const ALARM: &str = "alarm:";

/// What a step waits for.
#[derive(Debug, Clone)]
pub enum Await {
    /// The stage of this name has been reached.
    Stage(String),
    /// The console has raised the alarm of this name, which is expected then and fails nothing.
    Alarm(String),
    /// Evidence, as of a stage.
    Evidence(Evidence),
    /// A UART says text that matches, as a line or as a prompt.
    Prompt(Pattern),
    /// The same; the echo of what has been typed does not count.
    Expect(Pattern),
    /// The command that was typed ends with this status.
    Status(i32),
}

/// `await = "STAGE"`, `"alarm:NAME"`, `{ prompt = '…' }` or evidence.
#[derive(Debug, Clone)]
pub(super) enum AwaitTable {
    Name(String),
    Prompt(Pattern),
    Evidence(Evidence),
}

impl AwaitTable {
    /// What is waited for, on boards with these stages.
    pub(super) fn check(
        self,
        boards: &[&Board],
        stages_of_boards: &[Vec<Stage>],
    ) -> Result<Await, String> {
        let name = match self {
            Self::Prompt(pattern) => return Ok(Await::Prompt(pattern)),
            Self::Evidence(evidence) => return Ok(Await::Evidence(evidence)),
            Self::Name(name) => name,
        };
        if let Some(alarm) = name.strip_prefix(ALARM) {
            let has = |board: &&Board| board.alarms.iter().any(|a| a.name == alarm);
            return match boards.iter().find(|board| !has(board)) {
                None => Ok(Await::Alarm(alarm.to_owned())),
                Some(board) => Err(format!(
                    "no line of board {} raises an alarm \"{alarm}\": take a name of an [[alarm]] of its chain",
                    board.name
                )),
            };
        }
        match no_stage(&name, stages_of_boards) {
            None => Ok(Await::Stage(name)),
            Some(message) => Err(message),
        }
    }
}

impl<'de> Deserialize<'de> for AwaitTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AwaitVisitor)
    }
}

struct AwaitVisitor;

impl<'de> Visitor<'de> for AwaitVisitor {
    type Value = AwaitTable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a stage, \"alarm:NAME\", { prompt = '…' } or evidence such as { serial = '…' }",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AwaitTable, E> {
        Ok(AwaitTable::Name(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AwaitTable, A::Error> {
        let table = toml::Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
        let wrong = |e: toml::de::Error| de::Error::custom(e.message().to_owned());
        match table.get("prompt") {
            Some(pattern) if table.len() == 1 => {
                let pattern = pattern.clone().try_into().map_err(wrong)?;
                Ok(AwaitTable::Prompt(pattern))
            }
            Some(_) => Err(de::Error::custom(
                "a prompt stands alone: leave the rest out",
            )),
            None => {
                let evidence = toml::Value::Table(table).try_into().map_err(wrong)?;
                Ok(AwaitTable::Evidence(evidence))
            }
        }
    }
}

impl JsonSchema for AwaitTable {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Await".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let pattern = generator.subschema_for::<Pattern>();
        let evidence = generator.subschema_for::<Evidence>();
        json_schema!({
            "description": "What is waited for.",
            "oneOf": [
                {
                    "type": "string",
                    "description": "The name of a stage, or `alarm:` and the name of an alarm, which is expected then.",
                },
                {
                    "type": "object",
                    "description": "What a UART says, as a line or as a prompt.",
                    "properties": { "prompt": pattern },
                    "required": ["prompt"],
                    "additionalProperties": false,
                },
                evidence,
            ],
        })
    }
}

impl fmt::Display for Await {
    /// What is waited for, for people: `stage "iPXE" is reached`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage(name) => write!(f, "stage \"{name}\" is reached"),
            Self::Alarm(name) => write!(f, "the console raises the alarm \"{name}\""),
            Self::Evidence(evidence) => write!(f, "{evidence}"),
            Self::Prompt(pattern) | Self::Expect(pattern) => {
                write!(f, "a UART says /{}/", pattern.as_str())
            }
            Self::Status(status) => write!(f, "the command ends with status {status}"),
        }
    }
}
