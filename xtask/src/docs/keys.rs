//! The page of the files that people write, made of their JSON Schemas.

use std::fmt::Write;

use serde_json::Value;
use shakedown_harness::schema;

use super::{head, table};

/// Schemas of the page, and what their files are.
const FILES: [(&str, &str, &str); 6] = [
    (
        "project.json",
        "shakedown.toml",
        "A project's own file. `config.toml` in a user's configuration folder has the table `defaults` alone.",
    ),
    (
        "scenario.json",
        "scenarios/NAME.toml",
        "What a run does with a board and what must come of it.",
    ),
    (
        "known-failures.json",
        "known-failures.toml",
        "Failures that are known and not yet mended, beside `shakedown.toml`. They are shown and do not fail a command, until their day has passed.",
    ),
    (
        "lab.json",
        "lab.toml",
        "A board on a desk, for `e2e --lab`: its definition, its serial port, its power, and the tap interface that leads to it.",
    ),
    ("board.json", "boards/NAME.toml", "An emulated board."),
    (
        "chain.json",
        "boards/NAME.chain.toml",
        "The stages that a kind of board goes through.",
    ),
];

/// The page.
pub(super) fn page() -> String {
    let mut out = head("Keys of the files");
    out += "`a.b` is the key `b` of the table `[a]`; `a[].b` is the key `b` of each table `[[a]]`; `a.NAME.b` is that of tables `[a.NAME]` with names of yours. A key in bold must be there, unless the file extends another.\n";
    for (schema, file, about) in FILES {
        let _ = writeln!(out, "\n## {file}\n\n{about}\n");
        let text = schema::all().into_iter().find(|(name, _)| *name == schema);
        let text = text.map(|(_, text)| text).unwrap_or_default();
        let root: Value = serde_json::from_str(&text).unwrap_or_default();
        let mut rows = Vec::new();
        keys(&root, &root, "", 0, &mut rows);
        out += &table(["key", "value", "meaning"], rows.into_iter());
    }
    out
}

/// Adds a row for each key of an object, and for those of the objects in it.
fn keys(object: &Value, root: &Value, prefix: &str, depth: usize, rows: &mut Vec<[String; 3]>) {
    let required = object.get("required").or(object.pointer("/then/required"));
    let required: Vec<_> = required
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .collect();
    let properties = object.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let (about, value) = (description(property), resolved(property, root));
        let about = if about.is_empty() {
            description(value)
        } else {
            about
        };
        let key = format!("{prefix}{name}");
        let shown = match required.iter().any(|r| *r == name) {
            true => format!("**`{key}`**"),
            false => format!("`{key}`"),
        };
        rows.push([shown, kind(value, root), about]);
        // A list, or a table whose keys are names.
        let by_pattern = value.get("patternProperties").and_then(Value::as_object);
        let by_pattern = by_pattern.and_then(|all| all.values().next());
        let named = value.get("additionalProperties").filter(|v| v.is_object());
        let named = named.or(by_pattern);
        let (inner, prefix) = match (value.get("items"), named) {
            (Some(items), _) => (resolved(items, root), format!("{key}[].")),
            (None, Some(named)) => (resolved(named, root), format!("{key}.NAME.")),
            (None, None) => (value, format!("{key}.")),
        };
        if depth < 4 {
            keys(inner, root, &prefix, depth + 1, rows);
            for choice in choices(inner) {
                keys(resolved(choice, root), root, &prefix, depth + 1, rows);
            }
        }
    }
}

/// What a property is behind its references; the choice of nothing is left out.
fn resolved<'a>(value: &'a Value, root: &'a Value) -> &'a Value {
    if let Some(path) = value.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(path.trim_start_matches('#'));
        return target.map_or(value, |target| resolved(target, root));
    }
    let choices = value.get("anyOf").and_then(Value::as_array);
    let some: Vec<_> = choices
        .into_iter()
        .flatten()
        .filter(|c| c["type"] != "null")
        .collect();
    match *some {
        [only] => resolved(only, root),
        _ => value,
    }
}

fn choices(value: &Value) -> impl Iterator<Item = &Value> {
    let choices = value.get("oneOf").or(value.get("anyOf"));
    let choices = choices.and_then(Value::as_array);
    choices
        .into_iter()
        .flatten()
        .filter(|c| c["type"] != "null")
}

fn description(value: &Value) -> String {
    value["description"].as_str().unwrap_or_default().into()
}

/// What may stand there, in a few words.
fn kind(value: &Value, root: &Value) -> String {
    let words = |value: &Value| value["enum"].as_array().cloned().unwrap_or_default();
    let mut consts: Vec<_> = words(value);
    for choice in choices(value) {
        consts.extend(words(choice));
        consts.extend(choice.get("const").cloned());
    }
    if !consts.is_empty() {
        let consts: Vec<_> = consts.iter().map(|c| format!("`{c}`")).collect();
        return consts.join(", ");
    }
    if choices(value).next().is_some() {
        return "one of the tables below".into();
    }
    let types: Vec<_> = match &value["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let types = types.into_iter().filter(|t| *t != "null").map(|t| match t {
        "array" => {
            let items = value
                .get("items")
                .map(|items| kind(resolved(items, root), root));
            format!("list of {}", items.unwrap_or_default())
        }
        "object" => "table".into(),
        "string" if value["pattern"].is_string() && !value["examples"].is_null() => {
            "duration".into()
        }
        "string" if value["format"] == "regex" => "regular expression".into(),
        "string" => "text".into(),
        "boolean" => "`true` or `false`".into(),
        "integer" => "whole number".into(),
        other => other.to_owned(),
    });
    types.collect::<Vec<_>>().join(" or ")
}
