//! A file that extends another, and a variant of a file: tables are merged key by key, everything else replaces what the other says.

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, Error};

use super::part::Part;

/// The key of the variants of a file.
const VARIANT: &str = "variant";

/// Parses the parts of a document, of which an earlier one counts more than a later one, and the variant of that number, which counts more
/// than all of them. Spans count bytes of the whole document.
pub(super) fn parse<T: DeserializeOwned>(
    parts: &[Part],
    variant: Option<usize>,
) -> Result<T, Error> {
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
    let mut merged = merged.unwrap_or_else(|| Spanned::new(0..0, DeTable::new()));
    if let Some(number) = variant {
        choose(merged.get_mut(), number);
    }
    T::deserialize(Deserializer::from(merged))
}

/// Puts a variant over the rest of its file. All variants leave the table.
fn choose(table: &mut DeTable<'_>, number: usize) {
    let variants = table.remove(VARIANT).map(Spanned::into_inner);
    let Some(DeValue::Array(variants)) = variants else {
        return;
    };
    let chosen = variants.into_iter().nth(number).map(Spanned::into_inner);
    if let Some(DeValue::Table(mut chosen)) = chosen {
        chosen.remove("name");
        let base = std::mem::take(table);
        add(&mut chosen, base);
        *table = chosen;
    }
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
