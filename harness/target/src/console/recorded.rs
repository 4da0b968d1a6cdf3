//! Serial lines that were recorded before, as the matcher of a live run would have had them.

use super::Expectations;
use super::alarm;
use super::tap::tap;
use shakedown_base::timeline::{Event, Record};

/// Expectations upon recorded lines, and the records with the alarms that these lines raise today, whatever they raised then.
#[must_use]
pub fn recorded(records: &[Record]) -> (Expectations, Vec<Record>) {
    let (tap, reader, marks) = tap();
    let mut out = Vec::with_capacity(records.len());
    for record in records {
        match &record.event {
            Event::Alarm { .. } => continue,
            Event::Serial { line, .. } => {
                tap.send(format!("{line}\n"), record.at);
                out.extend(alarm::event(line).map(|event| Record::new(record.at, event)));
            }
            _ => {}
        }
        out.push(record.clone());
    }
    (Expectations::new(reader, marks), out)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use regex::Regex;

    use super::*;

    fn serial(at: u64, line: &str) -> Record {
        Record::new(
            Duration::from_secs(at),
            Event::Serial {
                uart: 0,
                line: line.into(),
            },
        )
    }

    #[test]
    fn lines_are_expected_upon_and_raise_their_alarms_anew() {
        let stale = Record::new(
            Duration::from_secs(1),
            Event::Alarm {
                name: "of old".into(),
                line: "U-Boot".into(),
            },
        );
        let records = [
            serial(1, "U-Boot 2025.01"),
            stale,
            serial(2, "Kernel panic - not syncing: x"),
        ];
        let (mut expectations, records) = recorded(&records);
        let seen = expectations
            .wait(&Regex::new("panic").unwrap(), || false)
            .unwrap();
        assert_eq!(seen.at, Duration::from_secs(2));
        let alarms: Vec<_> = records
            .iter()
            .filter_map(|r| match &r.event {
                Event::Alarm { name, .. } => Some((r.at.as_secs(), name.as_str())),
                _ => None,
            })
            .collect();
        assert_eq!(alarms, [(2, "kernel panic")]);
    }
}
