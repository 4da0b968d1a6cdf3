//! The published schemas, read by another program's eyes: what the project's files and its output are, the schemas allow; what is wrong,
//! they do not.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, where a panic is a failed test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::{Value, json};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A schema of `docs/schema`, compiled.
struct Schema {
    all: Schemas,
    index: SchemaIndex,
}

impl Schema {
    fn read(name: &str) -> Self {
        let path = project().join("docs/schema").join(name);
        let text: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.add_resource(name, text).unwrap();
        let mut all = Schemas::new();
        let index = compiler.compile(name, &mut all).unwrap();
        Self { all, index }
    }

    fn objection(&self, value: &Value) -> Option<String> {
        let judged = self.all.validate(value, self.index);
        judged.err().map(|e| format!("{e:#}"))
    }

    fn assert_allows(&self, what: &str, value: &Value) {
        if let Some(objection) = self.objection(value) {
            panic!("{what}: {objection}");
        }
    }
}

/// Every file of a folder that the schema is for, as JSON.
fn toml_files(folder: &str, is_meant: impl Fn(&str) -> bool) -> Vec<(String, Value)> {
    let entries = fs::read_dir(project().join(folder)).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, _)| name.ends_with(".toml") && is_meant(name))
        .map(|(name, path)| {
            let text = fs::read_to_string(path).unwrap();
            let value: toml::Value = toml::from_str(&text).unwrap();
            (name, serde_json::to_value(value).unwrap())
        })
        .collect();
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    files
}

#[test]
fn editors_find_the_projects_own_files_right() {
    let is_chain = |name: &str| name.ends_with(".chain.toml");
    let kinds = [
        ("scenario.json", toml_files("scenarios", |_| true)),
        ("chain.json", toml_files("boards", is_chain)),
        ("board.json", toml_files("boards", |name| !is_chain(name))),
    ];
    for (schema, files) in kinds {
        assert!(!files.is_empty(), "{schema} is for no file");
        let schema = Schema::read(schema);
        for (name, value) in files {
            schema.assert_allows(&name, &value);
        }
    }
}

#[test]
fn editors_mark_what_is_wrong_in_a_scenario() {
    let schema = Schema::read("scenario.json");
    let file = |wanted: &str| {
        let good = toml_files("scenarios", |name| name == wanted);
        good.into_iter().next().unwrap().1
    };
    let (good, extending) = (file("alpine-http.toml"), file("registry-429.toml"));
    let changed = |scenario: &Value, place: &str, value: Value| {
        let mut scenario = scenario.clone();
        *scenario.pointer_mut(place).unwrap() = value;
        scenario
    };
    let with = |place: &str, value: Value| changed(&good, place, value);
    let mut incomplete = good.clone();
    incomplete["boot"]
        .as_object_mut()
        .unwrap()
        .remove("container");
    let mut unknown_key = good.clone();
    unknown_key["boot"]["sript"] = json!("#!ipxe");
    let wrong = [
        with("/tier", json!("sometimes")),
        with("/boot/transport", json!("ftp")),
        changed(&extending, "/registry/rate_limit/requests", json!(-1)),
        incomplete,
        unknown_key,
    ];
    for scenario in wrong {
        assert!(schema.objection(&scenario).is_some(), "{scenario:#}");
    }
}

/// `docs/examples/stream.jsonl` is what `cargo xtask e2e mtls-refused-client-expired --json` wrote.
#[test]
fn a_recorded_stream_is_as_its_schema_says() {
    let schema = Schema::read("stream.json");
    let report = Schema::read("report.json");
    let text = fs::read_to_string(project().join("docs/examples/stream.jsonl")).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (number, line) in (1..).zip(&lines) {
        schema.assert_allows(&format!("line {number}"), line);
    }
    let (end, events) = lines.split_last().unwrap();
    assert_eq!(end["event"], "end");
    report.assert_allows("the report of the last line", &end["report"]);
    assert!(events.len() > 50, "only {} events", events.len());

    for (line, field) in [
        (&events[0], "run"),
        (&events[0], "at"),
        (end, "report"),
        (end, "folder"),
    ] {
        let mut line = line.clone();
        line.as_object_mut().unwrap().remove(field);
        assert!(schema.objection(&line).is_some(), "without {field}: {line}");
    }
    let mut unknown = events[0].clone();
    unknown["event"] = json!("eclipse");
    assert!(schema.objection(&unknown).is_some(), "{unknown}");
}
