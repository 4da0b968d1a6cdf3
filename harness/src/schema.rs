//! JSON Schemas of the files that people write, for their editors, and of those that a run leaves for programs: made of the types that
//! read and write these files.
//!
//! Source: JSON Schema 2020-12. The files under `docs/schema` are kept up to date by a test; `cargo xtask scenario schema` writes them.

use schemars::{JsonSchema, Schema, schema_for};
use serde_json::{Map, Value, json};

use crate::board::{BoardFile, ChainFile};
use crate::plan::LabFile;
use crate::project::{KnownFailuresFile, ProjectFile};
use crate::report::{Report, StreamLine};
use crate::scenario::ScenarioFile;
use crate::timeline::Record;

/// The folder of the project that holds them.
pub const FOLDER: &str = "docs/schema";

/// File names, and what the files hold.
#[must_use]
pub fn all() -> [(&'static str, String); 9] {
    [
        ("board.json", extensible::<BoardFile>()),
        ("chain.json", text::<ChainFile>()),
        ("known-failures.json", text::<KnownFailuresFile>()),
        ("lab.json", text::<LabFile>()),
        ("project.json", text::<ProjectFile>()),
        ("report.json", text::<Report>()),
        ("scenario.json", extensible::<ScenarioFile>()),
        // Of a line.
        ("stream.json", text::<StreamLine<'_>>()),
        ("timeline.json", text::<Record>()),
    ]
}

/// The line that makes an editor check a TOML file against a schema, for a file one folder below the project's root.
#[must_use]
pub fn editor_hint(schema: &str) -> String {
    format!("#:schema ../{FOLDER}/{schema}")
}

fn text<T: JsonSchema>() -> String {
    let schema: Schema = schema_for!(T);
    format!("{:#}\n", schema.to_value())
}

/// The schema of a file that may extend another, or have variants: what such a file leaves out, at the top or in one of its tables, the
/// other file or each variant has. A file that does neither must have it.
fn extensible<T: JsonSchema>() -> String {
    let mut schema = schema_for!(T).to_value();
    let tables = required_in_tables(&mut schema);
    let top = schema.as_object_mut().and_then(|s| s.remove("required"));
    if let Some(schema) = schema.as_object_mut() {
        let completed =
            json!({ "anyOf": [{ "required": ["extends"] }, { "required": ["variant"] }] });
        schema.insert("if".into(), json!({ "not": completed }));
        schema.insert(
            "then".into(),
            json!({ "required": top.unwrap_or(json!([])), "properties": tables }),
        );
    }
    format!("{schema:#}\n")
}

/// Takes what is required out of the tables that stand at the top of a file; returns it by the table's key.
fn required_in_tables(schema: &mut Value) -> Map<String, Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let tables: Vec<_> = properties
        .into_iter()
        .flatten()
        .filter_map(|(key, property)| {
            let name = reference(property)?.strip_prefix("#/$defs/")?;
            Some((key.clone(), name.to_owned()))
        })
        .collect();
    let mut found = Map::new();
    for (key, name) in tables {
        let table = schema.get_mut("$defs").and_then(|d| d.get_mut(&name));
        let required = table
            .and_then(Value::as_object_mut)
            .and_then(|table| table.remove("required"));
        if let Some(required) = required {
            found.insert(key, json!({ "required": required }));
        }
    }
    found
}

/// The definition that a property is an instance of, also where it may be left out.
fn reference(property: &Value) -> Option<&str> {
    let alternatives = property.get("anyOf").and_then(Value::as_array);
    std::iter::once(property)
        .chain(alternatives.into_iter().flatten())
        .find_map(|schema| schema.get("$ref").and_then(Value::as_str))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn project() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn the_committed_schemas_are_those_of_the_types() {
        for (file, text) in all() {
            let committed = fs::read_to_string(project().join(FOLDER).join(file)).unwrap();
            assert!(
                committed == text,
                "{FOLDER}/{file} is out of date: run `cargo xtask scenario schema`"
            );
        }
    }

    /// Every board, chain and scenario names its schema, so that editors find it.
    #[test]
    fn every_file_of_the_project_has_its_hint() {
        for folder in ["boards", "scenarios"] {
            for entry in fs::read_dir(project().join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    continue;
                }
                let schema = match (folder, path.to_str().unwrap()) {
                    ("scenarios", _) => "scenario.json",
                    (_, name) if name.ends_with(".chain.toml") => "chain.json",
                    _ => "board.json",
                };
                let text = fs::read_to_string(&path).unwrap();
                let hint = editor_hint(schema);
                assert!(
                    text.lines().any(|l| l == hint),
                    "{} lacks `{hint}`",
                    path.display()
                );
            }
        }
    }
}
