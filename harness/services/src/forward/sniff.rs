//! What can be read of a TLS connection without its keys. Pure; fed with the bytes of one direction.
//!
//! Sources: RFC 8446, section 5.1 (records), 4.1.2 (client hello), 6 (alerts); RFC 6066, section 3 (server name). The layout of TLS 1.2
//! (RFC 5246) is the same.

/// Bytes of a record's header.
const HEADER: usize = 5;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// Extension `supported_versions` (RFC 8446, section 4.2.1), and TLS 1.3 in it.
const SUPPORTED_VERSIONS: [u8; 2] = [0, 43];
const TLS_13: [u8; 2] = [3, 4];
/// Longest record that may be an encrypted alert: two bytes, the type, and a tag of up to 16.
const LONGEST_ALERT: usize = 32;
/// Content types of records: change cipher spec, alert, handshake, application data.
const TYPES: std::ops::RangeInclusive<u8> = 20..=23;
/// Most bytes of a client hello that are collected.
const MAX_HELLO: usize = 16 * 1024;
/// Longest host name in bytes.
const MAX_NAME: usize = 253;

/// Reads along with one direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Sniffer {
    header: Vec<u8>,
    /// Type and length of the record that is being read, and how much of it is still to come.
    record: Option<Record>,
    hello: Vec<u8>,
    alert_bytes: Vec<u8>,
    /// There is nothing more to find, or this is no TLS.
    is_over: bool,
    has_records: bool,
    is_hello_over: bool,
    server_name: Option<String>,
    alert: Option<u8>,
    is_13: bool,
    has_changed_cipher: bool,
    content_bytes: u64,
    content_records: u64,
    long_records: u64,
}

#[derive(Debug)]
struct Record {
    kind: u8,
    length: usize,
    left: usize,
}

/// What can be seen of one direction of a TLS connection, whose bytes come in these pieces: the server name of a client hello, and the number
/// of the first alert that is not encrypted.
#[must_use]
pub fn sniffed<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> (Option<String>, Option<u8>) {
    let mut sniffer = Sniffer::default();
    pieces.into_iter().for_each(|piece| sniffer.feed(piece));
    (sniffer.server_name, sniffer.alert)
}

impl Sniffer {
    /// The server name of the client hello, once it has been seen.
    pub(super) fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The number of the first alert that was not encrypted.
    pub(super) fn alert(&self) -> Option<u8> {
        self.alert
    }

    /// The first bytes were no TLS record.
    pub(super) fn is_plain(&self) -> bool {
        self.is_over && !self.has_records
    }

    /// It is a server hello that chose TLS 1.3.
    pub(super) fn is_13(&self) -> bool {
        self.is_13
    }

    /// From here on everything is encrypted, if this is not TLS 1.3, where it may mean nothing.
    pub(super) fn has_changed_cipher(&self) -> bool {
        self.has_changed_cipher
    }

    /// Bytes in records of application data, as they are encrypted.
    pub(super) fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Records of application data that have begun; in TLS 1.3 parts of the handshake are such records, too.
    pub(super) fn content_records(&self) -> u64 {
        self.content_records
    }

    /// Those of them that are too long for an encrypted alert.
    pub(super) fn long_records(&self) -> u64 {
        self.long_records
    }

    /// Reads on.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !self.is_over && !bytes.is_empty() {
            bytes = match self.record.take() {
                Some(record) => self.body(record, bytes),
                None => self.head(bytes),
            };
        }
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let missing = HEADER - self.header.len();
        let (head, rest) = bytes.split_at(missing.min(bytes.len()));
        self.header.extend_from_slice(head);
        if let [kind, major, _minor, high, low] = self.header[..] {
            self.header.clear();
            if !TYPES.contains(&kind) || major != 3 {
                self.is_over = true;
                return rest;
            }
            self.has_records = true;
            let length = usize::from(u16::from_be_bytes([high, low]));
            self.alert_bytes.clear();
            match kind {
                CHANGE_CIPHER_SPEC => self.has_changed_cipher = true,
                APPLICATION_DATA => {
                    self.content_records += 1;
                    self.long_records += u64::from(length > LONGEST_ALERT);
                }
                _ => {}
            }
            let record = Record {
                kind,
                length,
                left: length,
            };
            self.record = (length > 0).then_some(record);
        }
        rest
    }

    fn body<'a>(&mut self, mut record: Record, bytes: &'a [u8]) -> &'a [u8] {
        let (body, rest) = bytes.split_at(record.left.min(bytes.len()));
        record.left -= body.len();
        match record.kind {
            // An encrypted alert is longer.
            ALERT if record.length == 2 => {
                self.alert_bytes.extend_from_slice(body);
                if let [_level, description] = self.alert_bytes[..] {
                    self.alert.get_or_insert(description);
                }
            }
            APPLICATION_DATA => self.content_bytes += body.len() as u64,
            HANDSHAKE if !self.is_hello_over => {
                self.hello.extend_from_slice(body);
                match hello(&self.hello) {
                    Hello::Incomplete if self.hello.len() < MAX_HELLO => {}
                    Hello::Incomplete => self.is_hello_over = true,
                    Hello::Client { name } => {
                        self.server_name = name;
                        self.is_hello_over = true;
                    }
                    Hello::Server { is_13 } => {
                        self.is_13 = is_13;
                        self.is_hello_over = true;
                    }
                    Hello::Other => self.is_hello_over = true,
                }
                if self.is_hello_over {
                    self.hello = Vec::new();
                }
            }
            _ => {}
        }
        if record.left > 0 {
            self.record = Some(record);
        }
        rest
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Hello {
    /// More bytes may complete it.
    Incomplete,
    /// It is a whole client hello, with its server name if it has one.
    Client { name: Option<String> },
    /// It is a whole server hello.
    Server { is_13: bool },
    /// It is something else.
    Other,
}

/// Reads the first handshake message.
fn hello(bytes: &[u8]) -> Hello {
    let Some(([kind, high, middle, low], rest)) = bytes.split_first_chunk::<4>() else {
        return Hello::Incomplete;
    };
    let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
    // A message longer than any hello is none.
    if !matches!(kind, 1 | 2) || length > MAX_HELLO {
        return Hello::Other;
    }
    match (kind, rest.get(..length)) {
        (_, None) => Hello::Incomplete,
        (1, Some(message)) => Hello::Client {
            name: server_name(message),
        },
        (_, Some(message)) => Hello::Server {
            is_13: chooses_13(message).unwrap_or(false),
        },
    }
}

/// Whether a server hello (RFC 8446, section 4.1.3) chooses TLS 1.3.
fn chooses_13(hello: &[u8]) -> Option<bool> {
    // Version and random value; the session, one suite, one method of compression.
    let (_session, rest) = vector8(hello.get(2 + 32..)?)?;
    let (mut extensions, _) = vector16(rest.get(2 + 1..)?)?;
    while let Some((kind, rest)) = extensions.split_first_chunk::<2>() {
        let (body, next) = vector16(rest)?;
        if *kind == SUPPORTED_VERSIONS {
            return Some(body == TLS_13);
        }
        extensions = next;
    }
    Some(false)
}

/// The server name of a client hello.
fn server_name(hello: &[u8]) -> Option<String> {
    // Version and random value.
    let rest = hello.get(2 + 32..)?;
    let (_session, rest) = vector8(rest)?;
    let (_suites, rest) = vector16(rest)?;
    let (_compression, rest) = vector8(rest)?;
    let (mut extensions, _) = vector16(rest)?;
    while let Some((kind, rest)) = extensions.split_first_chunk::<2>() {
        let (body, next) = vector16(rest)?;
        if *kind == [0, 0] {
            let (list, _) = vector16(body)?;
            // One name of type `host_name`.
            let (0, name) = list.split_first().map(|(kind, name)| (*kind, name))? else {
                return None;
            };
            let (name, _) = vector16(name)?;
            let is_name = |b: &u8| b.is_ascii_alphanumeric() || b"-._".contains(b);
            let is_good = name.len() <= MAX_NAME && name.iter().all(is_name);
            return is_good.then(|| String::from_utf8_lossy(name).into_owned());
        }
        extensions = next;
    }
    None
}

fn vector8(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

fn vector16(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// The name of an alert (RFC 8446, appendix B.2).
pub(super) fn alert_name(code: u8) -> &'static str {
    match code {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use rustls::ClientConnection;
    use rustls::pki_types::ServerName;

    use super::*;
    use crate::testing::client_config;

    /// A real client's first flight.
    fn first_flight(name: &'static str) -> Vec<u8> {
        let config = Arc::new(client_config(None, &rustls::version::TLS13));
        let name = ServerName::try_from(name).unwrap();
        let mut client = ClientConnection::new(config, name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    fn sniff(bytes: &[u8], pieces: usize) -> Sniffer {
        let mut sniffer = Sniffer::default();
        bytes.chunks(pieces).for_each(|piece| sniffer.feed(piece));
        sniffer
    }

    /// The same handshake message in records of at most `size` bytes.
    fn fragmented(flight: &[u8], size: usize) -> Vec<u8> {
        let record = |piece: &[u8]| {
            let length = (piece.len() as u16).to_be_bytes();
            [&flight[..3], &length, piece].concat()
        };
        flight[HEADER..].chunks(size).flat_map(record).collect()
    }

    #[test]
    fn the_server_name_is_found_however_the_bytes_come() {
        let flight = first_flight("boot.farm.example");
        for pieces in [1, 7, flight.len()] {
            assert_eq!(
                sniff(&flight, pieces).server_name(),
                Some("boot.farm.example")
            );
        }
        let flight = fragmented(&flight, 20);
        assert_eq!(sniff(&flight, 3).server_name(), Some("boot.farm.example"));
        // An address is no server name.
        assert_eq!(sniff(&first_flight("10.42.0.1"), 9).server_name(), None);
    }

    #[test]
    fn plain_alerts_are_read_and_encrypted_ones_are_not() {
        let alert = b"\x15\x03\x03\0\x02\x02\x2a";
        assert_eq!(sniff(alert, 1).alert(), Some(42));
        assert_eq!(alert_name(42), "bad_certificate");
        let encrypted = [b"\x15\x03\x03\0\x1a".as_slice(), &[2; 26]].concat();
        assert_eq!(sniff(&encrypted, 4).alert(), None);
        let data = [b"\x17\x03\x03\0\x02ab".as_slice(), alert].concat();
        assert_eq!(sniff(&data, 5).alert(), Some(42));
    }

    #[test]
    fn other_protocols_are_left_alone() {
        let sniffer = sniff(
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\x15\x03\x03\0\x02\x02\x2a",
            3,
        );
        assert_eq!((sniffer.server_name(), sniffer.alert()), (None, None));
    }

    proptest! {
        #[test]
        fn foreign_bytes_do_no_harm_and_memory_is_bounded(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            kind in 20u8..24,
            pieces in 1usize..50,
        ) {
            let record = [&[kind, 3, 3, 0xff, 0xff][..], &bytes].concat();
            let sniffer = sniff(&record, pieces);
            prop_assert!(sniffer.hello.len() <= MAX_HELLO + pieces);
            prop_assert!(sniffer.alert_bytes.len() <= 2);
        }

        #[test]
        fn a_damaged_hello_does_no_harm(at in 0usize..200, to in any::<u8>()) {
            let mut flight = first_flight("boot.farm.example");
            if let Some(byte) = flight.get_mut(at) {
                *byte = to;
            }
            let _ = sniff(&flight, 11).server_name();
        }
    }
}
