//! The bytes of TFTP packets.
//!
//! Sources: RFC 1350, section 5 and appendix I; RFC 2347, section 2; RFC 2348; RFC 2349; RFC 7440, section 3.

/// Bytes of an Ethernet frame's IPv4 packet that are left for a block: 1500 without the headers of IPv4, UDP and TFTP.
pub(super) const MAX_BLOCK: u16 = 1468;
/// The block size without an option.
const DEFAULT_BLOCK: u16 = 512;
/// Smallest block size that the option may ask for (RFC 2348).
const MIN_BLOCK: u64 = 8;
/// Largest window that the server agrees to, in blocks: a small part of what a cable holds.
const MAX_WINDOW: u16 = 64;
/// Most options that are looked at.
const MAX_OPTIONS: usize = 16;

/// A packet from a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// Asks for a file.
    Read(ReadRequest),
    /// Wants to write a file.
    Write,
    /// Has everything up to this block.
    Ack(u16),
    /// Gives up.
    Error { code: u16, text: &'a [u8] },
}

/// A request for a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReadRequest {
    /// What the client asks for; bytes that are not UTF-8 are replaced.
    pub(super) file: String,
    /// Whether it asks for the bytes as they are (mode `octet`).
    pub(super) is_octet: bool,
    /// Which options it sent, and what the server agrees to.
    pub(super) options: Options,
}

/// The options that a client sent and the server understands. A value that is out of range is taken as if it had not been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Options {
    /// Bytes of a block, no more than fit into a frame.
    pub(super) block: Option<u16>,
    /// Seconds until a packet is sent again.
    pub(super) timeout: Option<u8>,
    /// The client wants to know the size of the file.
    pub(super) wants_size: bool,
    /// Blocks that are under way before one is acknowledged.
    pub(super) window: Option<u16>,
}

impl Options {
    /// Bytes of a block.
    pub(super) fn block_size(self) -> usize {
        self.block.unwrap_or(DEFAULT_BLOCK).into()
    }

    /// Blocks that are under way before one is acknowledged.
    pub(super) fn window(self) -> u64 {
        self.window.unwrap_or(1).into()
    }

    fn take(&mut self, name: &[u8], value: &[u8]) {
        let Some(number) = number(value) else {
            return;
        };
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let clipped = |most: u16| u16::try_from(number).unwrap_or(most).min(most);
        if is("blksize") && number >= MIN_BLOCK {
            self.block = Some(clipped(MAX_BLOCK));
        } else if is("timeout") {
            self.timeout = u8::try_from(number).ok().filter(|seconds| *seconds > 0);
        } else if is("tsize") {
            self.wants_size = true;
        } else if is("windowsize") && number > 0 {
            self.window = Some(clipped(MAX_WINDOW));
        }
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Error codes (RFC 1350, appendix I).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Undefined = 0,
    NotFound = 1,
    AccessViolation = 2,
    IllegalOperation = 4,
    UnknownTransfer = 5,
}

impl<'a> Packet<'a> {
    /// Reads a packet; `None` for one that makes no sense from a client.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (operation, rest) = bytes.split_first_chunk::<2>()?;
        match u16::from_be_bytes(*operation) {
            1 => Some(Self::Read(ReadRequest::parse(rest)?)),
            2 => Some(Self::Write),
            4 => Some(Self::Ack(u16::from_be_bytes(*rest.first_chunk()?))),
            5 => {
                let (code, text) = rest.split_first_chunk::<2>()?;
                let text = text.split(|b| *b == 0).next().unwrap_or_default();
                Some(Self::Error {
                    code: u16::from_be_bytes(*code),
                    text,
                })
            }
            _ => None,
        }
    }
}

impl ReadRequest {
    fn parse(bytes: &[u8]) -> Option<Self> {
        // Each text ends with a NUL; what is behind the last one is no text.
        let end = bytes.iter().rposition(|b| *b == 0)?;
        let mut texts = bytes.get(..end)?.split(|b| *b == 0);
        let file = String::from_utf8_lossy(texts.next()?).into_owned();
        let mode = texts.next()?;
        let mut options = Options::default();
        for _ in 0..MAX_OPTIONS {
            let (Some(name), Some(value)) = (texts.next(), texts.next()) else {
                break;
            };
            options.take(name, value);
        }
        Some(Self {
            file,
            is_octet: mode.eq_ignore_ascii_case(b"octet"),
            options,
        })
    }
}

/// A block of a file: its header, to which the caller appends the bytes.
pub(super) fn data(number: u16, size: usize) -> Vec<u8> {
    let mut packet = Vec::with_capacity(4 + size);
    packet.extend_from_slice(&3u16.to_be_bytes());
    packet.extend_from_slice(&number.to_be_bytes());
    packet
}

/// The options that the server agrees to; `None` when there are none, so that the first block is the answer.
pub(super) fn option_acknowledgement(options: Options, length: u64) -> Option<Vec<u8>> {
    let mut packet = 6u16.to_be_bytes().to_vec();
    let mut add = |name: &str, value: u64| {
        packet.extend_from_slice(name.as_bytes());
        packet.push(0);
        packet.extend_from_slice(value.to_string().as_bytes());
        packet.push(0);
    };
    if let Some(block) = options.block {
        add("blksize", block.into());
    }
    if let Some(timeout) = options.timeout {
        add("timeout", timeout.into());
    }
    if options.wants_size {
        add("tsize", length);
    }
    if let Some(window) = options.window {
        add("windowsize", window.into());
    }
    (packet.len() > 2).then_some(packet)
}

/// An error, after which the transfer is over.
pub(super) fn error(code: Code, text: &str) -> Vec<u8> {
    let mut packet = 5u16.to_be_bytes().to_vec();
    packet.extend_from_slice(&(code as u16).to_be_bytes());
    packet.extend_from_slice(text.as_bytes());
    packet.push(0);
    packet
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Option<ReadRequest> {
        match Packet::parse(bytes)? {
            Packet::Read(request) => Some(request),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_without_options_is_that_of_1992() {
        let request = read(b"\0\x01boot.ipxe\0octet\0").unwrap();
        assert_eq!(
            (request.file.as_str(), request.is_octet),
            ("boot.ipxe", true)
        );
        assert_eq!(
            (request.options.block_size(), request.options.window()),
            (512, 1)
        );
        assert_eq!(option_acknowledgement(request.options, 7), None);
    }

    #[test]
    fn options_are_taken_whatever_their_case_and_clipped_to_what_fits() {
        let request = read(
            b"\0\x01/k\0OCTET\0BlkSize\x0065464\0tsize\x000\0windowsize\x001000\0timeout\x003\0multicast\0\0",
        )
        .unwrap();
        assert!(request.is_octet);
        let answer = option_acknowledgement(request.options, 1_000_000).unwrap();
        assert_eq!(
            answer,
            b"\0\x06blksize\x001468\0timeout\x003\0tsize\x001000000\0windowsize\x0064\0"
        );
    }

    #[test]
    fn options_out_of_range_are_as_good_as_not_sent() {
        let request =
            read(b"\0\x01k\0octet\0blksize\x007\0timeout\x00256\0windowsize\x000\0tsize\0x\0");
        assert_eq!(request.unwrap().options, Options::default());
    }

    #[test]
    fn packets_that_make_no_sense_are_none() {
        for bytes in [
            &b""[..],
            b"\0",
            b"\0\x01",
            b"\0\x01file",
            b"\0\x01file\0",
            b"\0\x04\0",
            b"\0\x05\0",
            b"\0\x03\0\x01x",
            b"\0\x06blksize\x008\0",
        ] {
            assert_eq!(Packet::parse(bytes), None, "{bytes:?}");
        }
        assert_eq!(Packet::parse(b"\0\x04\x01\x02"), Some(Packet::Ack(258)));
        let end = Packet::Error {
            code: 3,
            text: b"full",
        };
        assert_eq!(Packet::parse(b"\0\x05\0\x03full\0rest"), Some(end));
    }

    #[test]
    fn an_error_has_its_documented_bytes() {
        assert_eq!(
            error(Code::NotFound, "no such file"),
            b"\0\x05\0\x01no such file\0"
        );
    }

    proptest! {
        #[test]
        fn foreign_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(Packet::Read(request)) = Packet::parse(&bytes) {
                prop_assert!((8..=1468).contains(&request.options.block_size()));
                prop_assert!((1..=64).contains(&request.options.window()));
            }
        }
    }
}
