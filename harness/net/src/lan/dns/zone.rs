//! Names, and the reply to a query as a pure function of its bytes.
//!
//! Source: RFC 1035, section 4 (messages), RFC 4592 (wildcards), RFC 8020 (no name below means NXDOMAIN).

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use smoltcp::wire::{DnsFlags, DnsOpcode, DnsPacket, DnsQueryType, DnsQuestion, DnsRcode};

use crate::lan::udp::{Answer, Datagram, Service, To};
use shakedown_base::timeline::Event;

/// Port of the service, for UDP and TCP.
pub(in crate::lan) const PORT: u16 = 53;
/// Bytes of a message's header.
const HEADER: usize = 12;
/// Time to live of every answer in seconds: long enough for a boot, short enough to follow a scenario.
const TTL: u32 = 60;
/// Longest name in bytes, as text.
const MAX_NAME: usize = 253;
/// The compression pointer to the question's name, which is always at the same place.
const QUESTION_NAME: [u8; 2] = [0xc0, HEADER as u8];
/// Class IN.
const CLASS_IN: u16 = 1;

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
        let packet = DnsPacket::new_checked(message).ok()?;
        if packet.flags().contains(DnsFlags::RESPONSE) {
            return None;
        }
        let refuse = |rcode| Some((encode(&packet, rcode, &[], None), None));
        if packet.opcode() != DnsOpcode::Query {
            return refuse(DnsRcode::NotImp);
        }
        let Some((question, name)) = question(&packet) else {
            return refuse(DnsRcode::FormErr);
        };
        let finding = self.look_up(&name, question.type_);
        let (rcode, address) = match finding {
            Finding::Address(address) => (DnsRcode::NoError, Some(address)),
            Finding::Nothing => (DnsRcode::NoError, None),
            Finding::NoName => (DnsRcode::NXDomain, None),
        };
        let mut asked = vec![0; question.buffer_len()];
        question.emit(&mut asked);
        let event = Event::Dns {
            query: name,
            answer: address,
        };
        Some((encode(&packet, rcode, &asked, address), Some(event)))
    }

    fn look_up(&self, name: &str, kind: DnsQueryType) -> Finding {
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
            Some(&address) if kind == DnsQueryType::A => Finding::Address(address),
            Some(_) => Finding::Nothing,
            // A name that others are below of exists, though it holds nothing (RFC 4592, section 2.2.2).
            None if self.has_names_below(name) => Finding::Nothing,
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

/// The only question of a message, and its name as lower-case text without trailing dot.
fn question<'a>(packet: &'a DnsPacket<&'a [u8]>) -> Option<(DnsQuestion<'a>, String)> {
    if packet.question_count() != 1 {
        return None;
    }
    let (_, question) = DnsQuestion::parse(packet.payload()).ok()?;
    let mut labels = Vec::new();
    for label in packet.parse_name(question.name) {
        labels.push(std::str::from_utf8(label.ok()?).ok()?.to_ascii_lowercase());
    }
    let name = labels.join(".");
    // A question that starts with a pointer into the header is legal for the parser and nonsense; copying it would be too.
    let is_plain = question.name.len() == name.len() + if name.is_empty() { 1 } else { 2 };
    (is_plain && name.len() <= MAX_NAME).then_some((question, name))
}

fn encode(
    request: &DnsPacket<&[u8]>,
    rcode: DnsRcode,
    question: &[u8],
    address: Option<Ipv4Addr>,
) -> Vec<u8> {
    let mut message = vec![0; HEADER];
    let mut header = DnsPacket::new_unchecked(&mut message[..]);
    header.set_transaction_id(request.transaction_id());
    let mut flags = DnsFlags::RESPONSE | DnsFlags::AUTHORITATIVE | DnsFlags::RECURSION_AVAILABLE;
    flags |= request.flags() & DnsFlags::RECURSION_DESIRED;
    header.set_flags(flags);
    header.set_opcode(request.opcode());
    header.set_question_count(u16::from(!question.is_empty()));
    header.set_answer_record_count(address.iter().len() as u16);
    // smoltcp, a client, has no way to set a response code: the low four bits of the flags.
    message[3] |= u8::from(rcode) & 0x0f;
    message.extend_from_slice(question);
    if let Some(address) = address {
        message.extend_from_slice(&QUESTION_NAME);
        message.extend_from_slice(&u16::from(DnsQueryType::A).to_be_bytes());
        message.extend_from_slice(&CLASS_IN.to_be_bytes());
        message.extend_from_slice(&TTL.to_be_bytes());
        message.extend_from_slice(&4u16.to_be_bytes());
        message.extend_from_slice(&address.octets());
    }
    message
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
        let ask = |name| zone().look_up(name, DnsQueryType::A);
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
        let aaaa = DnsQueryType::Aaaa.into();
        let (reply, event) = zone().reply(&query("docker.io", aaaa)).unwrap();
        assert_eq!((rcode(&reply), &reply[6..8]), (0, &[0, 0][..]));
        assert!(matches!(event, Some(Event::Dns { answer: None, .. })));
        let (reply, _) = zone().reply(&query("nowhere.example", aaaa)).unwrap();
        assert_eq!(rcode(&reply), u8::from(DnsRcode::NXDomain));
        assert_eq!(
            rcode(&zone().reply(&query("", 2)).unwrap().0),
            u8::from(DnsRcode::NXDomain),
            "the root has no label"
        );
    }

    #[test]
    fn nonsense_is_called_nonsense() {
        let good = query("docker.io", 1);
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            zone().reply(&bytes).map(|(reply, _)| rcode(&reply))
        };
        let form_error = Some(u8::from(DnsRcode::FormErr));
        assert_eq!(with(5, 2), form_error, "two questions");
        assert_eq!(with(12, 0xc0), form_error, "a pointer");
        assert_eq!(with(12, 200), form_error, "a label that never ends");
        assert_eq!(
            with(2, 0x10),
            Some(u8::from(DnsRcode::NotImp)),
            "a status request"
        );
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
        }
    }
}
