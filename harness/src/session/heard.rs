//! What the console said at each place of the records, as its authors wrote it: without what U-Boot's timer and the kernel's log write into
//! the middle of a line.

use std::collections::BTreeMap;

use crate::console::{Author, Mender};
use crate::timeline::{Event, Record};

/// The lines that are whole at each place. Those of the kernel's log and empty ones are left out.
#[derive(Debug)]
pub(super) struct Heard(Vec<Vec<String>>);

impl Heard {
    pub(super) fn of(records: &[Record]) -> Self {
        let mut menders: BTreeMap<u8, Mender> = BTreeMap::new();
        let lines = records.iter().map(|record| match &record.event {
            Event::Serial { uart, line } => {
                let mended = menders.entry(*uart).or_default().line(line);
                let own = mended.into_iter().filter(|m| m.author == Author::Other);
                let texts = own.map(|mended| mended.text);
                texts.filter(|text| !text.trim().is_empty()).collect()
            }
            _ => Vec::new(),
        });
        Self(lines.collect())
    }

    /// The lines at a place.
    pub(super) fn lines(&self, place: usize) -> impl Iterator<Item = &str> {
        let lines = self.0.get(place).map(Vec::as_slice).unwrap_or_default();
        lines.iter().map(String::as_str)
    }
}
