//! `send`: what is typed at a boot loader, a shell or a login, and how a command's status is read.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

/// What is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typing {
    /// The text.
    pub text: String,
    /// Enter is pressed behind it.
    pub enter: bool,
    /// The board must repeat it.
    pub echo: bool,
    /// The UART's index; `None` for the one that spoke last.
    pub uart: Option<u8>,
}

/// A command between two marks, by which its output and its status are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bracketed {
    /// What is typed.
    pub text: String,
    /// The line before the command's output.
    pub begins: String,
    /// What the line behind it begins with; the status follows after a space.
    pub ends: String,
}

/// A command between marks that nobody else prints, for a shell that knows `echo`, `;` and `$?`: POSIX shells and U-Boot's. `step` makes
/// the marks of one step others than those of the next. The text that is typed does not have the marks in it, so that its echo is none.
#[must_use]
pub fn bracketed(command: &str, step: usize) -> Bracketed {
    let mark = format!("{step}-{:08x}", checksum(command));
    Bracketed {
        text: format!("echo 'begin''-{mark}'; {command}; echo 'end''-{mark}' $?"),
        begins: format!("begin-{mark}"),
        ends: format!("end-{mark}"),
    }
}

impl Bracketed {
    /// The status that a line says, if it is the mark behind the command. Something may have been printed before it.
    #[must_use]
    pub fn status(&self, line: &str) -> Option<i32> {
        let (_, rest) = line.split_once(&self.ends)?;
        rest.split_whitespace().next()?.parse().ok()
    }
}

/// FNV-1a, 32 bits: tells one command from another.
fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// A table in place of a text alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypingTable {
    text: String,
    #[serde(default = "yes")]
    enter: bool,
    echo: Option<bool>,
    uart: Option<u8>,
}

fn yes() -> bool {
    true
}

impl<'de> Deserialize<'de> for Typing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TypingVisitor)
    }
}

struct TypingVisitor;

impl<'de> Visitor<'de> for TypingVisitor {
    type Value = Typing;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or { text = \"…\", enter = false, echo = false, uart = 1 }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Typing, E> {
        Ok(Typing {
            text: text.to_owned(),
            enter: true,
            echo: true,
            uart: None,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Typing, A::Error> {
        let table = TypingTable::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(Typing {
            text: table.text,
            enter: table.enter,
            // A single key is seldom repeated.
            echo: table.echo.unwrap_or(table.enter),
            uart: table.uart,
        })
    }
}

impl JsonSchema for Typing {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Send".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What is typed. A text alone is typed with Enter behind it, and the board must repeat it.",
            "oneOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": {
                        "text": { "type": "string", "description": "The text; `\\u0003` is Ctrl-C." },
                        "enter": { "type": "boolean", "default": true, "description": "Enter is pressed behind it." },
                        "echo": { "type": "boolean", "description": "The board must repeat it; by default if Enter is pressed. Passwords are not repeated." },
                        "uart": { "type": "integer", "minimum": 0, "description": "The UART's index in the board's order; by default the one that spoke last." },
                    },
                    "required": ["text"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_are_not_in_what_is_typed() {
        let command = bracketed("uname -r", 3);
        assert!(!command.text.contains(&command.begins) && !command.text.contains(&command.ends));
        assert_ne!(command.ends, bracketed("uname -r", 4).ends);
        assert_ne!(command.ends, bracketed("uname -m", 3).ends);
        assert_eq!(command.status(&command.text), None);
        let line = |rest: &str| format!("[   12.3] eth0: up{}{rest}", command.ends);
        assert_eq!(command.status(&line(" 127\r")), Some(127));
        assert_eq!(command.status(&line(" 0")), Some(0));
        assert_eq!(command.status(&line("")), None);
        assert_eq!(command.status("end-3-0 0"), None);
    }

    #[test]
    fn a_shell_runs_it_and_says_the_status() {
        let command = bracketed("(exit 7)", 0);
        let output = std::process::Command::new("sh")
            .args(["-c", &command.text])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], command.begins);
        assert_eq!(command.status(lines[1]), Some(7));
    }
}
