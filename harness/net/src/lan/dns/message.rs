//! The bytes of DNS messages: what a query asks, and how a reply is written.
//!
//! Sources: RFC 1035, section 4 (layout); RFC 6891 (EDNS); RFC 2308, section 3 (the SOA record of a negative answer).

use std::net::Ipv4Addr;

/// Bytes of a message's header.
const HEADER: usize = 12;
/// Longest name in bytes, as text.
const MAX_NAME: usize = 253;
/// Longest label in bytes.
const MAX_LABEL: usize = 63;
/// The compression pointer to the question's name, which is always at the same place.
const QUESTION_NAME: [u8; 2] = [0xc0, HEADER as u8];
/// Time to live of every answer, negative ones too, in seconds: long enough for a boot, short enough to follow a scenario.
const TTL: u32 = 60;
/// Most bytes that a UDP query should be answered with, or sent in (DNS flag day 2020). Replies here are shorter than 512.
const UDP_SIZE: u16 = 1232;

const FLAG_RESPONSE: u8 = 0x80;
const FLAG_AUTHORITATIVE: u8 = 0x04;
const FLAG_RECURSION_DESIRED: u8 = 0x01;
const FLAG_RECURSION_AVAILABLE: u8 = 0x80;
const OPCODE: u8 = 0x78;
/// "DNSSEC OK" among the flags of the OPT record.
const EDNS_DO: u16 = 0x8000;

pub(super) const CLASS_IN: u16 = 1;
pub(super) const CLASS_ANY: u16 = 255;

/// Types of records.
pub(super) mod kind {
    pub(in super::super) const A: u16 = 1;
    pub(in super::super) const SOA: u16 = 6;
    pub(in super::super) const OPT: u16 = 41;
    pub(in super::super) const ANY: u16 = 255;
}

/// Response codes (RFC 1035, section 4.1.1; RFC 6891, section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rcode {
    NoError = 0,
    FormErr = 1,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
    BadVersion = 16,
}

/// A query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query<'a> {
    pub(super) header: Header,
    /// Lower-case text without trailing dot.
    pub(super) name: String,
    pub(super) kind: u16,
    pub(super) class: u16,
    /// The question as it stands in the message, which the reply repeats.
    question: &'a [u8],
    /// The query has an OPT record.
    pub(super) edns: Option<Edns>,
}

/// What a reply repeats of a message's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    id: [u8; 2],
    /// Operation code and "recursion desired", in their places.
    flags: u8,
}

/// What an OPT record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edns {
    pub(super) version: u8,
    dnssec_ok: bool,
}

/// A message that is no query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswerable {
    /// It deserves no reply: too short, or a reply itself.
    Silence,
    /// A reply with this code and nothing else.
    Code(Header, Rcode),
}

/// What a reply holds besides the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Records {
    None,
    Address(Ipv4Addr),
    /// The SOA record as the answer.
    Soa,
    /// The SOA record as the authority of a negative answer.
    Negative,
}

impl<'a> Query<'a> {
    /// Reads a message.
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, Unanswerable> {
        let Some((&[a, b, high, _, q0, q1, an0, an1, ns0, ns1, ar0, ar1], body)) =
            message.split_first_chunk::<HEADER>()
        else {
            return Err(Unanswerable::Silence);
        };
        if high & FLAG_RESPONSE != 0 {
            return Err(Unanswerable::Silence);
        }
        let header = Header {
            id: [a, b],
            flags: high & (OPCODE | FLAG_RECURSION_DESIRED),
        };
        let code = |rcode| Unanswerable::Code(header, rcode);
        if high & OPCODE != 0 {
            return Err(code(Rcode::NotImp));
        }
        if [q0, q1, an0, an1, ns0, ns1] != [0, 1, 0, 0, 0, 0] {
            return Err(code(Rcode::FormErr));
        }
        let parsed = || {
            let mut rest = body;
            let name = name(&mut rest)?;
            let kind = word(&mut rest)?;
            let class = word(&mut rest)?;
            let question = body.get(..body.len() - rest.len())?;
            let edns = edns(&mut rest, u16::from_be_bytes([ar0, ar1]))?;
            Some(Self {
                header,
                name,
                kind,
                class,
                question,
                edns,
            })
        };
        parsed().ok_or_else(|| code(Rcode::FormErr))
    }

    /// Writes the reply.
    pub(super) fn reply(&self, rcode: Rcode, records: Records) -> Vec<u8> {
        let mut message = header(self.header, rcode);
        let counts = match records {
            Records::None => [0, 0],
            Records::Address(_) | Records::Soa => [1, 0],
            Records::Negative => [0, 1],
        };
        for (place, count) in
            [5, 7, 9, 11]
                .into_iter()
                .zip([1, counts[0], counts[1], u8::from(self.edns.is_some())])
        {
            if let Some(byte) = message.get_mut(place) {
                *byte = count;
            }
        }
        message.extend_from_slice(self.question);
        match records {
            Records::None => {}
            Records::Address(address) => {
                record(&mut message, &QUESTION_NAME, kind::A, &address.octets());
            }
            // Every name here is in the one zone that there is, the root.
            Records::Soa | Records::Negative => record(&mut message, &[0], kind::SOA, &soa()),
        }
        if let Some(edns) = self.edns {
            message.push(0);
            message.extend(kind::OPT.to_be_bytes());
            message.extend(UDP_SIZE.to_be_bytes());
            message.extend([rcode as u8 >> 4, 0]);
            message.extend(if edns.dnssec_ok { EDNS_DO } else { 0 }.to_be_bytes());
            message.extend([0, 0]);
        }
        message
    }
}

/// A reply without any section.
pub(super) fn header(request: Header, rcode: Rcode) -> Vec<u8> {
    let mut message = request.id.to_vec();
    message.push(FLAG_RESPONSE | FLAG_AUTHORITATIVE | request.flags);
    message.push(FLAG_RECURSION_AVAILABLE | rcode as u8 & 0x0f);
    message.resize(HEADER, 0);
    message
}

fn record(message: &mut Vec<u8>, name: &[u8], kind: u16, data: &[u8]) {
    message.extend_from_slice(name);
    message.extend(kind.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    message.extend(TTL.to_be_bytes());
    message.extend((data.len() as u16).to_be_bytes());
    message.extend_from_slice(data);
}

/// The root's SOA record: nobody's names (RFC 2606), and times that matter to nobody but for the last, that of negative answers.
fn soa() -> Vec<u8> {
    let mut data = b"\x02ns\x07invalid\x00\x06nobody\x07invalid\x00".to_vec();
    for number in [1, 3600, 600, 86400, TTL] {
        data.extend(number.to_be_bytes());
    }
    data
}

/// A name without compression, as text.
fn name(rest: &mut &[u8]) -> Option<String> {
    let mut name = String::new();
    loop {
        let (&length, tail) = rest.split_first()?;
        *rest = tail;
        if length == 0 {
            return Some(name);
        }
        if usize::from(length) > MAX_LABEL {
            return None;
        }
        let label = take(rest, length.into())?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&str::from_utf8(label).ok()?.to_ascii_lowercase());
        if name.len() > MAX_NAME {
            return None;
        }
    }
}

/// The OPT record among the additional ones: inner `None` without one, outer `None` when there are several, or anything is cut off.
fn edns(rest: &mut &[u8], records: u16) -> Option<Option<Edns>> {
    let mut found = None;
    for _ in 0..records {
        let name = name(rest)?;
        let kind = word(rest)?;
        let _udp_size = word(rest)?;
        let &[_, version, high, low] = take(rest, 4)?.first_chunk()?;
        let length = word(rest)?;
        take(rest, length.into())?;
        if kind != kind::OPT {
            continue;
        }
        if found.is_some() || !name.is_empty() {
            return None;
        }
        found = Some(Edns {
            version,
            dnssec_ok: u16::from_be_bytes([high, low]) & EDNS_DO != 0,
        });
    }
    Some(found)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(taken)
}

fn word(rest: &mut &[u8]) -> Option<u16> {
    let bytes = take(rest, 2)?;
    Some(u16::from_be_bytes(*bytes.first_chunk()?))
}
