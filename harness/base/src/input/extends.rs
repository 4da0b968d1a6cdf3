//! A file that extends another: tables are merged key by key, everything else replaces what the other says.

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, Error};

use super::document::Part;

/// Parses the parts of a document, of which an earlier one counts more than a later one. Spans count bytes of the whole document.
pub(super) fn parse<T: DeserializeOwned>(parts: &[Part]) -> Result<T, Error> {
    // Blanks before a part shift its spans to where it stands in the document.
    let texts = parts.iter().map(|part| " ".repeat(part.start) + &part.text);
    let texts: Vec<String> = texts.collect();
    let mut merged: Option<Spanned<DeTable<'_>>> = None;
    for text in &texts {
        let base = DeTable::parse(text)?;
        match &mut merged {
            None => merged = Some(base),
            Some(over) => add(over.get_mut(), base.into_inner()),
        }
    }
    let merged = merged.unwrap_or_else(|| Spanned::new(0..0, DeTable::new()));
    T::deserialize(Deserializer::from(merged))
}

/// Adds to a table what only `base` has.
fn add<'t>(over: &mut DeTable<'t>, base: DeTable<'t>) {
    for (key, value) in base {
        match over.get_mut(key.get_ref().as_ref()) {
            None => {
                over.insert(key, value);
            }
            Some(mine) => {
                if let (DeValue::Table(mine), DeValue::Table(base)) =
                    (mine.get_mut(), value.into_inner())
                {
                    add(mine, base);
                }
            }
        }
    }
}
