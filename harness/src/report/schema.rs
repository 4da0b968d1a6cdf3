//! JSON schemas of what a run leaves for programs; published in `docs/schema`.

use schemars::{Schema, schema_for};

use super::Report;
use crate::timeline::Record;

/// The schemas by their file names: of `report.json`, and of a line of `timeline.jsonl`.
#[must_use]
pub fn schemas() -> [(&'static str, Schema); 2] {
    [
        ("report.json", schema_for!(Report)),
        ("timeline.json", schema_for!(Record)),
    ]
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// `SHAKEDOWN_BLESS=1` writes the files instead.
    #[test]
    fn the_published_schemas_are_those_of_the_code() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema");
        for (name, schema) in schemas() {
            let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            let path = folder.join(name);
            if std::env::var_os("SHAKEDOWN_BLESS").is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, &text).unwrap();
            }
            let published = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                published == text,
                "docs/schema/{name} is out of date: run this test with SHAKEDOWN_BLESS=1"
            );
        }
    }
}
