//! What happened in a run, without times: by this two runs of one seed can be compared.
//!
//! What is random in each run is replaced: hardware addresses, and digests, because the run's nonce is in them. What only a clock decides is left
//! out: traffic, pictures, lines of the console, notes, and how often a fault has fired after the first times, which is as often as there are
//! frames. Events of one source keep their order: a kind of event on one board, or one fault in one place. Different sources are at work at
//! once, so that there is no order between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use crate::fault;
use crate::timeline::{Event, Power, Record};

/// What happened, by its source and in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events(BTreeMap<Source, Vec<String>>);

/// Where events come from that have an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Source {
    kind: &'static str,
    board: String,
    /// The fault and where it fires; nothing of other kinds.
    fault: String,
}

impl Events {
    /// What happened in these records.
    #[must_use]
    pub fn of(records: &[Record]) -> Self {
        let mut events = Self::default();
        for record in records {
            if let Some((kind, text)) = told(&record.event) {
                let board = record.board.as_ref();
                let board = board.map_or_else(String::new, |board| format!("{board}, "));
                let text = without_chance(&text);
                let line = format!("{board}boot {}: {text}", record.boot + 1);
                let fault = place_of_fault(&record.event);
                let source = Source { kind, board, fault };
                events.0.entry(source).or_default().push(line);
            }
        }
        events
    }

    /// A line each, for people.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let sources = self.0.iter();
        sources.flat_map(|(Source { kind, .. }, lines)| {
            lines.iter().map(move |line| format!("{kind}, {line}"))
        })
    }

    /// Where another run differs first in each source, a line each; nothing if the same has happened.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let sources: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let mut differences = Vec::new();
        for source in sources {
            let [one, two] = [self, other].map(|events| events.0.get(source));
            let [one, two] = [one, two].map(|lines| lines.map(Vec::as_slice).unwrap_or_default());
            let same = one.iter().zip(two).take_while(|(a, b)| a == b).count();
            let [then, now] = [one, two].map(|lines| lines.get(same).map(String::as_str));
            if then != now {
                let [then, now] = [then, now].map(|line| line.unwrap_or("nothing more"));
                let kind = source.kind;
                differences.push(format!(
                    "{kind} {}: {then} in the first run, {now} in the second",
                    same + 1
                ));
            }
        }
        differences
    }
}

/// The kind of an event that both runs must have, and what it says; `None` of one that a clock decides.
fn told(event: &Event) -> Option<(&'static str, String)> {
    Some(match event {
        Event::Fault { nth, .. } if *nth > fault::FIRST_TOLD => return None,
        Event::Fault { name, place, nth } => ("fault", format!("{name} ({nth}): {place}")),
        Event::Stage { name, .. } => ("stage", name.clone()),
        Event::Request(request) => {
            let request = format!(
                "{} {} {} -> {}{}",
                request.service,
                request.method,
                request.target,
                request.status,
                if request.complete { "" } else { ", cut short" }
            );
            ("request", request)
        }
        Event::Lease { address, .. } => ("lease", address.to_string()),
        Event::Deployed { name } => ("deployed", name.clone()),
        Event::Alarm { name, .. } => ("alarm", name.clone()),
        Event::Power { action } => match action {
            // Which comes first, the end or the plug, is of no matter.
            Power::Off => return None,
            action => ("power", format!("{action:?}")),
        },
        _ => return None,
    })
}

/// The fault and where it fired, without the number of the frame or answer.
fn place_of_fault(event: &Event) -> String {
    match event {
        Event::Fault { name, place, .. } => {
            let place = place
                .split_once(',')
                .map_or(place.as_str(), |(place, _)| place);
            format!("{name}: {place}")
        }
        _ => String::new(),
    }
}

/// The text without what is random in each run.
fn without_chance(text: &str) -> String {
    static CHANCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let pattern = r"(?i)\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b|\b[0-9a-f]{32,}\b";
        Regex::new(pattern).ok()
    });
    match &*CHANCE {
        Some(chance) => chance.replace_all(text, "…").into_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(lines: &[&str]) -> Vec<Record> {
        let record = |line: &&str| serde_json::from_str(line).unwrap();
        lines.iter().map(record).collect()
    }

    fn request(at: f64, target: &str) -> String {
        format!(
            r#"{{"at":{at},"event":"request","service":"boot","client":"10.42.1.0","fingerprint":null,"host":"h","method":"GET","target":"{target}","status":200,"bytes":1,"complete":true,"duration":{at}}}"#
        )
    }

    const FAULT: &str =
        r#"{"at":1.5,"boot":1,"event":"fault","name":"loss","place":"cable, frame 3","nth":1}"#;

    #[test]
    fn times_and_chance_make_no_difference() {
        let one = request(1.0, "/boot/b8:27:eb:00:00:01/boot.ipxe");
        let two = request(2.0, "/boot/b8:27:eb:12:34:56/boot.ipxe");
        let said = r#"{"at":3.0,"event":"serial","uart":0,"line":"[    1.234567] x"}"#;
        let one = Events::of(&records(&[&one, FAULT]));
        let two = Events::of(&records(&[FAULT, said, &two]));
        assert_eq!(one.differences(&two), Vec::<String>::new());
        let lines: Vec<_> = two.lines().collect();
        assert_eq!(
            lines,
            [
                "fault, boot 2: loss (1): cable, frame 3",
                "request, boot 1: boot GET /boot/…/boot.ipxe -> 200"
            ]
        );
    }

    #[test]
    fn what_a_cable_does_one_way_has_no_order_with_what_it_does_the_other_way() {
        let fired = |way: &str, nth: u64| {
            format!(
                r#"{{"at":1.0,"event":"fault","name":"loss","place":"cable {way} the board, frame {nth}","nth":{nth}}}"#
            )
        };
        let (to, from, late) = (fired("to", 1), fired("from", 1), fired("to", 32));
        let one = Events::of(&records(&[&to, &from]));
        let two = Events::of(&records(&[&from, &to, &late]));
        assert_eq!(one.differences(&two), Vec::<String>::new());
        assert_ne!(one.differences(&Events::of(&records(&[&to]))), [""; 0]);
    }

    #[test]
    fn the_first_difference_of_each_source_is_told() {
        let (kernel, other) = (request(1.0, "/files/kernel"), request(1.0, "/files/other"));
        let one = Events::of(&records(&[&kernel, &kernel, FAULT]));
        let two = Events::of(&records(&[&kernel, &other]));
        assert_eq!(
            one.differences(&two),
            [
                "fault 1: boot 2: loss (1): cable, frame 3 in the first run, nothing more in the second",
                "request 2: boot 1: boot GET /files/kernel -> 200 in the first run, boot 1: boot GET /files/other -> 200 in the second"
            ]
        );
    }
}
