//! Checksums and segments that the chip makes on the way out.
//!
//! Source: Microchip LAN7800 data sheet, chapters "TX Checksum Offload" and "Large Send Offload"; RFC 1071 for the sum, RFC 791, 8200, 768
//! and 9293 for the headers. Unlike the LAN9514 the chip reads the headers itself. It overwrites what stands in a checksum's place.

use bytes::{Bytes, BytesMut};

use crate::usb::adapter::checksum;
use crate::usb::adapter::frame::HEADER;

use super::rx::TAG;

const TYPE_IPV4: u16 = 0x0800;
const TYPE_IPV6: u16 = 0x86dd;
const TYPE_VLAN: u16 = 0x8100;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// FIN and PSH belong to the last segment, CWR to the first.
const TCP_LAST: u8 = 0x09;
const TCP_FIRST: u8 = 0x80;
/// Shortest segment that can be asked for.
const SMALLEST_MSS: usize = 8;

/// The frame is not one that the offload engine can handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum OffloadError {
    #[error("its headers claim more bytes than it has ({length})")]
    Truncated { length: usize },
    #[error("large send offload of something that is not TCP")]
    NotTcp,
    #[error("large send offload with segments of {mss} bytes")]
    Mss { mss: usize },
}

/// Where the headers of a frame are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Headers {
    v6: bool,
    network: usize,
    transport: usize,
    protocol: u8,
    /// One past the datagram.
    end: usize,
}

/// Puts checksums into `frame`: of the IPv4 header, of TCP or UDP. Returns how many; other protocols have none.
pub(super) fn insert(frame: &mut [u8], ip: bool, transport: bool) -> Result<u64, OffloadError> {
    let Some(headers) = headers(frame)? else {
        return Ok(0);
    };
    let mut count = 0;
    if ip && !headers.v6 {
        let at = headers.network + 10;
        store(frame, at, 0);
        let sum = sum(frame, headers.network, headers.transport);
        store(frame, at, !sum);
        count += 1;
    }
    let place = match headers.protocol {
        TCP => headers.transport + 16,
        UDP => headers.transport + 6,
        _ => return Ok(count),
    };
    if transport && place + 2 <= headers.end {
        store(frame, place, 0);
        let whole = add(
            pseudo_header(frame, headers),
            sum(frame, headers.transport, headers.end),
        );
        // RFC 768: a sum of zero is sent as all ones. TCP has no such rule, but means the same by both.
        let value = if headers.protocol == UDP && whole == 0xffff {
            0xffff
        } else {
            !whole
        };
        store(frame, place, value);
        count += 1;
    }
    Ok(count)
}

/// Cuts the payload of a TCP frame into segments of `mss` bytes, each a frame of its own with both checksums.
pub(super) fn segment(frame: &[u8], mss: usize) -> Result<Vec<Bytes>, OffloadError> {
    if mss < SMALLEST_MSS {
        return Err(OffloadError::Mss { mss });
    }
    let headers = headers(frame)?
        .filter(|headers| headers.protocol == TCP)
        .ok_or(OffloadError::NotTcp)?;
    let truncated = OffloadError::Truncated {
        length: frame.len(),
    };
    let offset = byte(frame, headers.transport + 12).ok_or(truncated)?;
    let payload_at = headers.transport + usize::from(offset >> 4) * 4;
    let head = frame.get(..payload_at).ok_or(truncated)?;
    let payload = frame.get(payload_at..headers.end).ok_or(truncated)?;
    let pieces = payload.len().div_ceil(mss).max(1);
    (0..pieces)
        .map(|number| {
            let from = number * mss;
            let part = payload.get(from..payload.len().min(from + mss));
            let mut piece = BytesMut::with_capacity(head.len() + mss);
            piece.extend_from_slice(head);
            piece.extend_from_slice(part.unwrap_or_default());
            let flags = if number == 0 { 0 } else { TCP_FIRST }
                | if number + 1 == pieces { 0 } else { TCP_LAST };
            adapt(&mut piece, headers, number, from, flags);
            insert(&mut piece, true, true)?;
            Ok(piece.freeze())
        })
        .collect()
}

/// Gives segment `number`, whose payload begins `from` bytes into the whole, its lengths, identification, sequence number and flags.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the fields wrap; lengths were below 64 KiB in the whole frame"
)]
fn adapt(piece: &mut [u8], headers: Headers, number: usize, from: usize, cleared_flags: u8) {
    let total = piece.len() - headers.network;
    if headers.v6 {
        store_be(piece, headers.network + 4, (total - 40) as u16);
    } else {
        let identification = word(piece, headers.network + 4).unwrap_or(0);
        store_be(piece, headers.network + 2, total as u16);
        let identification = identification.wrapping_add(number as u16);
        store_be(piece, headers.network + 4, identification);
    }
    let at = headers.transport + 4;
    if let Some(place) = piece.get_mut(at..).and_then(|p| p.first_chunk_mut::<4>()) {
        *place = u32::from_be_bytes(*place)
            .wrapping_add(from as u32)
            .to_be_bytes();
    }
    if let Some(flags) = piece.get_mut(headers.transport + 13) {
        *flags &= !cleared_flags;
    }
}

/// Finds the headers; `None` when the frame holds no whole transport header's datagram: another protocol, or a fragment.
fn headers(frame: &[u8]) -> Result<Option<Headers>, OffloadError> {
    let mut network = HEADER;
    let mut kind = word(frame, 12).unwrap_or(0);
    while kind == TYPE_VLAN {
        network += TAG;
        kind = word(frame, network - 2).unwrap_or(0);
    }
    let found = match kind {
        TYPE_IPV4 => ipv4(frame, network),
        TYPE_IPV6 => ipv6(frame, network),
        _ => return Ok(None),
    };
    let truncated = OffloadError::Truncated {
        length: frame.len(),
    };
    let found = found.ok_or(truncated)?;
    if found.transport > found.end || found.end > frame.len() {
        return Err(truncated);
    }
    Ok(Some(found))
}

fn ipv4(frame: &[u8], network: usize) -> Option<Headers> {
    let header = usize::from(byte(frame, network)? & 0x0f) * 4;
    let total = usize::from(word(frame, network + 2)?);
    // Only the first fragment has the transport header, and its sum covers all of them.
    let is_fragment = word(frame, network + 6)? & 0x3fff != 0;
    let protocol = byte(frame, network + 9)?;
    (header >= 20).then_some(Headers {
        v6: false,
        network,
        transport: network + header,
        protocol: if is_fragment { 0 } else { protocol },
        end: network + total,
    })
}

fn ipv6(frame: &[u8], network: usize) -> Option<Headers> {
    let end = network + 40 + usize::from(word(frame, network + 4)?);
    let mut protocol = byte(frame, network + 6)?;
    let mut transport = network + 40;
    // Hop-by-hop, routing and destination options.
    while matches!(protocol, 0 | 43 | 60) {
        protocol = byte(frame, transport)?;
        transport += (usize::from(byte(frame, transport + 1)?) + 1) * 8;
    }
    Some(Headers {
        v6: true,
        network,
        transport,
        protocol,
        end,
    })
}

/// The sum of the pseudo header, in the byte order of [`checksum::sum`].
fn pseudo_header(frame: &[u8], headers: Headers) -> u16 {
    let (from, to) = if headers.v6 { (8, 40) } else { (12, 20) };
    let addresses = sum(frame, headers.network + from, headers.network + to);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a datagram is shorter than 64 KiB"
    )]
    let length = (headers.end - headers.transport) as u16;
    let rest = add(
        length.swap_bytes(),
        u16::from(headers.protocol).swap_bytes(),
    );
    add(addresses, rest)
}

fn sum(frame: &[u8], from: usize, to: usize) -> u16 {
    frame.get(from..to).map_or(0, checksum::sum)
}

/// One's-complement addition.
const fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + carry as u16
}

fn byte(frame: &[u8], at: usize) -> Option<u8> {
    frame.get(at).copied()
}

fn word(frame: &[u8], at: usize) -> Option<u16> {
    let bytes = frame.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*bytes))
}

/// Stores a sum as [`checksum::sum`] counts.
fn store(frame: &mut [u8], at: usize, value: u16) {
    store_be(frame, at, value.swap_bytes());
}

fn store_be(frame: &mut [u8], at: usize, value: u16) {
    if let Some(place) = frame.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}
