//! Answers of DNS, NTP, TFTP and TCP with a defect. Pure functions of the frame with the good one.
//!
//! Sources: RFC 1035, section 4.1 (header, records); RFC 5905, section 7.3 (time stamps); RFC 1350, section 5, and
//! RFC 2347 to 2349 (packets and options of TFTP); RFC 9293, section 3.10.7 (resets).

use std::net::Ipv4Addr;

use bytes::Bytes;
use shakedown_base::fault::{DnsDefect, NtpDefect, TcpAct, TcpDefect, TftpDefect};
use shakedown_base::timeline::FrameKind;

use super::packet::{datagram, reset, segment, with_datagram};
use crate::lan::kinds_of;

/// Nobody has it: the last address of TEST-NET-1 (RFC 5737).
const NOBODY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
const DNS_PORT: u16 = 53;
const NTP_PORT: u16 = 123;
const DNS_HEADER: usize = 12;
/// Bytes of an address record whose name is a pointer, up to the address.
const RECORD: usize = 12;
const SECONDS_OF_A_YEAR: i64 = 365 * 86_400;

/// The answer of a DNS server with this defect.
pub(super) fn dns(defect: DnsDefect, frame: &[u8]) -> Option<Bytes> {
    const TRUNCATED: u8 = 0x02;
    const SERVFAIL: u8 = 2;
    const NXDOMAIN: u8 = 3;
    let (ends, payload) = datagram(frame)?;
    if ends.from.port() != DNS_PORT {
        return None;
    }
    let question = question_end(payload)?;
    let mut reply = payload.to_vec();
    if defect == DnsDefect::WrongAddress {
        let is_address = payload.get(question..question + 4)? == [0xc0, 12, 0, 1];
        let address = question + RECORD..question + RECORD + 4;
        let has_answer = payload.get(6..8)? != [0, 0] && is_address;
        let field = reply.get_mut(address).filter(|_| has_answer)?;
        field.copy_from_slice(&NOBODY.octets());
        return Some(with_datagram(ends, &reply));
    }
    reply.truncate(question);
    // No answers, no authority, nothing else.
    reply.get_mut(6..DNS_HEADER)?.fill(0);
    match defect {
        DnsDefect::Truncated => *reply.get_mut(2)? |= TRUNCATED,
        DnsDefect::NoSuchName => set_code(reply.get_mut(3)?, NXDOMAIN),
        DnsDefect::Failed => set_code(reply.get_mut(3)?, SERVFAIL),
        DnsDefect::WrongAddress => return None,
    }
    Some(with_datagram(ends, &reply))
}

fn set_code(flags: &mut u8, code: u8) {
    *flags = *flags & 0xf0 | code;
}

/// Where the one question ends.
fn question_end(message: &[u8]) -> Option<usize> {
    if message.get(4..6)? != [0, 1] {
        return None;
    }
    let mut at = DNS_HEADER;
    loop {
        match usize::from(*message.get(at)?) {
            0 => break,
            length @ 1..64 => at += 1 + length,
            _ => return None,
        }
    }
    // Kind and class.
    let end = at + 1 + 4;
    (end <= message.len()).then_some(end)
}

/// The answer of an NTP server whose clock is wrong.
pub(super) fn ntp(defect: NtpDefect, frame: &[u8]) -> Option<Bytes> {
    let (ends, payload) = datagram(frame)?;
    if ends.from.port() != NTP_PORT {
        return None;
    }
    let mut reply = payload.to_vec();
    // Reference, receive and transmit time stamps; the origin is the client's own.
    for stamp in [16, 32, 40] {
        let field = reply.get_mut(stamp..stamp + 4)?;
        let seconds = u32::from_be_bytes(field.try_into().ok()?);
        let shifted = i64::from(seconds) + i64::from(defect.years) * SECONDS_OF_A_YEAR;
        field.copy_from_slice(&(shifted as u32).to_be_bytes());
    }
    Some(with_datagram(ends, &reply))
}

/// The packet of a TFTP server with this defect.
pub(super) fn tftp(defect: TftpDefect, frame: &[u8]) -> Option<Bytes> {
    const DATA: &[u8] = &[0, 3];
    const AGREED: &[u8] = &[0, 6];
    const GIVES_UP: &[u8] = b"\0\x05\0\0this server gives up, as it was told to\0";
    if !kinds_of(frame).contains(&FrameKind::Tftp) {
        return None;
    }
    let (ends, payload) = datagram(frame)?;
    let (kind, rest) = payload.split_at_checked(2)?;
    let wrong: fn(u64) -> u64 = match (kind, defect) {
        (DATA, TftpDefect::GivesUp) => return Some(with_datagram(ends, GIVES_UP)),
        (AGREED, TftpDefect::TooLarge) => |size| size.saturating_mul(2),
        (AGREED, TftpDefect::TooSmall) => |size| size / 2,
        _ => return None,
    };
    let mut texts: Vec<Vec<u8>> = rest.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    let name = texts
        .iter()
        .step_by(2)
        .position(|name| name.eq_ignore_ascii_case(b"tsize"))?;
    let size = texts.get_mut(name * 2 + 1)?;
    let right = std::str::from_utf8(size).ok()?.parse().ok()?;
    *size = wrong(right).to_string().into_bytes();
    Some(with_datagram(ends, &[AGREED, &texts.join(&0)].concat()))
}

/// What comes in place of a segment with a TCP defect.
pub(super) struct Broken {
    /// To the board.
    pub(super) to_board: Bytes,
    /// To the switch.
    pub(super) to_switch: Option<Bytes>,
}

/// What comes in place of a segment; `is_to_board` says which way it goes.
pub(super) fn tcp(defect: TcpDefect, frame: &[u8], is_to_board: bool) -> Option<Broken> {
    let (ends, segment) = segment(frame)?;
    match defect.does {
        TcpAct::Refuse if !is_to_board && segment.opens && ends.to.port() == defect.port => {
            let next = segment.sequence + 1;
            Some(Broken {
                to_board: reset(ends.turned(), smoltcp::wire::TcpSeqNumber(0), Some(next)),
                to_switch: None,
            })
        }
        TcpAct::Reset if is_to_board && segment.length > 0 && ends.from.port() == defect.port => {
            Some(Broken {
                to_board: reset(ends, segment.sequence, Some(segment.acknowledges)),
                to_switch: Some(reset(ends.turned(), segment.acknowledges, None)),
            })
        }
        TcpAct::Refuse | TcpAct::Reset => None,
    }
}
