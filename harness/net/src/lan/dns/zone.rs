//! Names, and the reply to a query as a pure function of its bytes.
//!
//! Sources: RFC 1035; RFC 4592 (wildcards); RFC 8020 (NXDOMAIN means that nothing is below, so the root always exists); RFC 2308 (negative
//! answers have an SOA record); RFC 8482 (a query for ANY gets one kind of record); RFC 6891 (EDNS).

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use super::message::{self, CLASS_ANY, CLASS_IN, Query, Rcode, Records, Unanswerable, kind};
use crate::lan::udp::{Answer, Datagram, Service, To};
use shakedown_base::timeline::Event;

/// Port of the service, for UDP and TCP.
pub(in crate::lan) const PORT: u16 = 53;

/// The names of a LAN, lower case.
#[derive(Debug)]
pub(in crate::lan) struct Zone {
    exact: HashMap<String, Ipv4Addr>,
    /// Suffixes without `*.`.
    wildcards: HashMap<String, Ipv4Addr>,
}

/// What was asked and what is known about it.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Address(Ipv4Addr),
    /// The name exists and has no record of the type asked for.
    Nothing,
    NoName,
}

impl Zone {
    pub(in crate::lan) fn new(names: &BTreeMap<String, Ipv4Addr>) -> Self {
        let mut zone = Self {
            exact: HashMap::new(),
            wildcards: HashMap::new(),
        };
        for (name, &address) in names {
            let name = name.to_ascii_lowercase();
            match name.strip_prefix("*.") {
                Some(suffix) => zone.wildcards.insert(suffix.to_owned(), address),
                None => zone.exact.insert(name, address),
            };
        }
        zone
    }

    /// The reply to a message and the event it makes; `None` for bytes that deserve none.
    pub(in crate::lan) fn reply(&self, message: &[u8]) -> Option<(Vec<u8>, Option<Event>)> {
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(Unanswerable::Silence) => return None,
            Err(Unanswerable::Code(header, rcode)) => {
                return Some((message::header(header, rcode), None));
            }
        };
        if query.edns.is_some_and(|edns| edns.version != 0) {
            return Some((query.reply(Rcode::BadVersion, Records::None), None));
        }
        if !matches!(query.class, CLASS_IN | CLASS_ANY) {
            return Some((query.reply(Rcode::Refused, Records::None), None));
        }
        let (rcode, records) = match self.look_up(&query.name, query.kind) {
            Finding::Address(address) => (Rcode::NoError, Records::Address(address)),
            Finding::Nothing if query.name.is_empty() && query.kind == kind::SOA => {
                (Rcode::NoError, Records::Soa)
            }
            Finding::Nothing => (Rcode::NoError, Records::Negative),
            Finding::NoName => (Rcode::NxDomain, Records::Negative),
        };
        let answer = match records {
            Records::Address(address) => Some(address),
            _ => None,
        };
        let reply = query.reply(rcode, records);
        let query = query.name;
        Some((reply, Some(Event::Dns { query, answer })))
    }

    fn look_up(&self, name: &str, kind: u16) -> Finding {
        let address = self.exact.get(name).or_else(|| {
            // Longest suffix first.
            let mut rest = name;
            std::iter::from_fn(move || {
                rest = rest.split_once('.')?.1;
                Some(rest)
            })
            .find_map(|suffix| self.wildcards.get(suffix))
        });
        match address {
            Some(&address) if matches!(kind, kind::A | kind::ANY) => Finding::Address(address),
            Some(_) => Finding::Nothing,
            // A name that others are below of exists, though it holds nothing (RFC 4592, section 2.2.2).
            None if name.is_empty() || self.has_names_below(name) => Finding::Nothing,
            None => Finding::NoName,
        }
    }

    fn has_names_below(&self, name: &str) -> bool {
        let below = |other: &str| {
            other
                .strip_suffix(name)
                .is_some_and(|rest| rest.ends_with('.'))
        };
        self.wildcards.contains_key(name)
            || self
                .exact
                .keys()
                .chain(self.wildcards.keys())
                .any(|other| below(other))
    }
}

impl Service for Arc<Zone> {
    fn answer(&mut self, request: &Datagram<'_>, _now: Duration) -> Option<Answer> {
        let (reply, event) = self.reply(request.payload)?;
        Some(Answer {
            reply: Some((To::Sender, reply)),
            event,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone() -> Zone {
        let names = [
            ("docker.io", [10, 9, 9, 1]),
            ("*.docker.io", [10, 9, 9, 2]),
            ("*.eu.docker.io", [10, 9, 9, 3]),
            ("Boot.Example", [10, 9, 9, 4]),
        ];
        Zone::new(
            &names
                .map(|(name, address)| (name.to_owned(), address.into()))
                .into(),
        )
    }

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut bytes = hex::decode("abcd01000001000000000000").unwrap();
        for label in name.split('.').filter(|l| !l.is_empty()) {
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&CLASS_IN.to_be_bytes());
        bytes
    }

    fn rcode(reply: &[u8]) -> u8 {
        reply[3] & 0x0f
    }

    #[test]
    fn an_answer_has_its_documented_bytes() {
        let (reply, event) = zone().reply(&query("Registry-1.docker.IO", 1)).unwrap();
        insta::assert_snapshot!(hex::encode(reply), @"abcd858000010001000000000a52656769737472792d3106646f636b657202494f0000010001c00c000100010000003c00040a090902");
        let expected = Event::Dns {
            query: "registry-1.docker.io".into(),
            answer: Some([10, 9, 9, 2].into()),
        };
        assert_eq!(event, Some(expected));
    }

    #[test]
    fn the_closest_name_wins() {
        let ask = |name| zone().look_up(name, kind::A);
        let address = |last| Finding::Address([10, 9, 9, last].into());
        assert_eq!(ask("docker.io"), address(1));
        assert_eq!(ask("a.b.docker.io"), address(2));
        assert_eq!(ask("a.eu.docker.io"), address(3));
        assert_eq!(ask("boot.example"), address(4));
        assert_eq!(ask("notdocker.io"), Finding::NoName);
        assert_eq!(ask("example"), Finding::Nothing, "boot.example is below it");
    }

    #[test]
    fn a_known_name_without_such_a_record_exists() {
        let aaaa = 28;
        let (reply, event) = zone().reply(&query("docker.io", aaaa)).unwrap();
        assert_eq!((rcode(&reply), &reply[6..8]), (0, &[0, 0][..]));
        assert!(matches!(event, Some(Event::Dns { answer: None, .. })));
        let (reply, _) = zone().reply(&query("nowhere.example", aaaa)).unwrap();
        assert_eq!(rcode(&reply), 3);
    }

    /// Counts of the four sections.
    fn counts(reply: &[u8]) -> [u8; 4] {
        [reply[5], reply[7], reply[9], reply[11]]
    }

    #[test]
    fn negative_answers_can_be_cached() {
        for (name, code) in [("nowhere.example", 3), ("docker.io", 0), ("", 0)] {
            let (reply, _) = zone().reply(&query(name, 28)).unwrap();
            assert_eq!(
                (rcode(&reply), counts(&reply)),
                (code, [1, 0, 1, 0]),
                "{name}"
            );
            // The root's SOA record, with its minimum at the end.
            let authority = &reply[query(name, 28).len()..];
            assert_eq!(authority[..5], [0, 0, 6, 0, 1]);
            assert_eq!(authority[authority.len() - 4..], 60u32.to_be_bytes());
        }
    }

    #[test]
    fn the_root_exists() {
        let (reply, _) = zone().reply(&query("", 2)).unwrap();
        assert_eq!((rcode(&reply), counts(&reply)), (0, [1, 0, 1, 0]));
        let (reply, _) = zone().reply(&query("", kind::SOA)).unwrap();
        assert_eq!((rcode(&reply), counts(&reply)), (0, [1, 1, 0, 0]));
    }

    #[test]
    fn any_is_one_kind_of_record() {
        let (any, _) = zone().reply(&query("docker.io", kind::ANY)).unwrap();
        assert_eq!((rcode(&any), counts(&any)), (0, [1, 1, 0, 0]));
        assert_eq!(any[any.len() - 4..], [10, 9, 9, 1]);
    }

    #[test]
    fn other_classes_are_refused() {
        let mut chaos = query("version.bind", 16);
        *chaos.last_mut().unwrap() = 3;
        let (reply, event) = zone().reply(&chaos).unwrap();
        assert_eq!((rcode(&reply), counts(&reply)), (5, [1, 0, 0, 0]));
        assert_eq!(event, None);
    }

    /// A query with an OPT record of this version, and "DNSSEC OK".
    fn edns(version: u8) -> Vec<u8> {
        let mut bytes = query("docker.io", 1);
        bytes[11] = 1;
        bytes.extend([0, 0, 41, 16, 0, 0, version, 0x80, 0, 0, 4, 0, 10, 0, 0]);
        bytes
    }

    #[test]
    fn edns_is_answered_with_edns() {
        let (reply, _) = zone().reply(&edns(0)).unwrap();
        assert_eq!((rcode(&reply), counts(&reply)), (0, [1, 1, 0, 1]));
        assert_eq!(
            reply[reply.len() - 11..],
            [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]
        );
        let (reply, _) = zone().reply(&edns(1)).unwrap();
        assert_eq!(counts(&reply), [1, 0, 0, 1]);
        assert_eq!(reply[reply.len() - 6], 1, "BADVERS, in its upper half");
        assert_eq!(rcode(&reply), 0, "and its lower");
        let mut twice = edns(0);
        twice.extend([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
        twice[11] = 2;
        assert_eq!(rcode(&zone().reply(&twice).unwrap().0), 1);
    }

    #[test]
    fn nonsense_is_called_nonsense() {
        let good = query("docker.io", 1);
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            zone().reply(&bytes).map(|(reply, _)| rcode(&reply))
        };
        let form_error = Some(1);
        assert_eq!(with(5, 2), form_error, "two questions");
        assert_eq!(with(12, 0xc0), form_error, "a pointer");
        assert_eq!(with(12, 200), form_error, "a label that never ends");
        assert_eq!(with(2, 0x10), Some(4), "a status request");
        assert_eq!(with(2, 0x80), None, "a reply must not start a loop");
        assert!(zone().reply(&good[..11]).is_none());
    }

    proptest! {
        #[test]
        fn foreign_bytes_do_no_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            mut good in Just(query("a.docker.io", 1)), at in 0usize..29, byte: u8,
        ) {
            let _ = zone().reply(&bytes);
            good[at] = byte;
            let _ = zone().reply(&good);
            let mut with_opt = edns(0);
            with_opt[at] = byte;
            let _ = zone().reply(&with_opt);
        }
    }
}
