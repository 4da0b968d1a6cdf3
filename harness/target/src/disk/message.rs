//! Requests of a client once it is connected to a disk, and their answers.

use std::io;

use bytes::{Buf, BufMut, BytesMut};

use super::Refused;

/// The most bytes of a request: what a server must accept without having said otherwise.
pub(super) const LONGEST: u32 = 32 << 20;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;
/// Bytes of a request without what it writes.
const HEAD: usize = 28;

/// Why a connection ended otherwise than by being closed.
#[derive(Debug, thiserror::Error)]
pub enum NbdError {
    /// The bytes are none of the protocol.
    #[error("the emulator's disk connection says something else than NBD does: {0}")]
    Protocol(&'static str),
    /// The stream cannot be read or written.
    #[error("the emulator's disk connection has failed: {0}")]
    Io(#[from] io::Error),
}

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Read,
    Write,
    Flush,
    /// The client goes, and wants no answer.
    Disconnect,
    /// Something that was not offered.
    Unknown,
}

/// A request. What it writes comes behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) command: Command,
    /// Names the request in its answer.
    pub(super) cookie: u64,
    pub(super) offset: u64,
    pub(super) length: u32,
}

impl Request {
    /// Bytes that come behind the request.
    pub(super) fn written(&self) -> usize {
        match self.command {
            Command::Write => self.length as usize,
            _ => 0,
        }
    }

    /// Takes the next request off the front of `input`; `None` until it is there. What it writes stays there.
    pub(super) fn decode(input: &mut BytesMut) -> Result<Option<Self>, NbdError> {
        if input.len() < HEAD {
            return Ok(None);
        }
        if input.get_u32() != REQUEST_MAGIC {
            return Err(NbdError::Protocol("a request does not begin as one"));
        }
        let _flags = input.get_u16();
        let command = match input.get_u16() {
            0 => Command::Read,
            1 => Command::Write,
            2 => Command::Disconnect,
            3 => Command::Flush,
            _ => Command::Unknown,
        };
        let request = Self {
            command,
            cookie: input.get_u64(),
            offset: input.get_u64(),
            length: input.get_u32(),
        };
        if request.length > LONGEST {
            return Err(NbdError::Protocol("a request is longer than 32 MiB"));
        }
        Ok(Some(request))
    }
}

/// The number of an error. Source: the specification's section "Error values".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errno {
    None = 0,
    Perm = 1,
    Io = 5,
    Invalid = 22,
    NotSupported = 95,
}

impl From<Result<(), Refused>> for Errno {
    fn from(result: Result<(), Refused>) -> Self {
        match result {
            Ok(()) => Self::None,
            Err(Refused::Io) => Self::Io,
            Err(Refused::ReadOnly) => Self::Perm,
        }
    }
}

/// Appends the head of an answer; what was read comes behind it if there is no error.
pub(super) fn reply(cookie: u64, errno: Errno, out: &mut BytesMut) {
    out.put_u32(REPLY_MAGIC);
    out.put_u32(errno as u32);
    out.put_u64(cookie);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(command: u16, length: u32) -> BytesMut {
        let mut bytes = BytesMut::new();
        bytes.put_u32(REQUEST_MAGIC);
        bytes.put_u16(0);
        bytes.put_u16(command);
        bytes.put_u64(7);
        bytes.put_u64(512);
        bytes.put_u32(length);
        bytes
    }

    #[test]
    fn a_request_is_read_once_it_is_whole() {
        let whole = request(1, 1024);
        for length in 0..whole.len() {
            let mut part = BytesMut::from(&whole[..length]);
            assert!(Request::decode(&mut part).unwrap().is_none(), "{length}");
        }
        let mut input = whole;
        input.put_slice(b"data");
        let request = Request::decode(&mut input).unwrap().unwrap();
        let expected = Request {
            command: Command::Write,
            cookie: 7,
            offset: 512,
            length: 1024,
        };
        assert_eq!((request, request.written()), (expected, 1024));
        assert_eq!(&input[..], b"data");
    }

    #[test]
    fn what_is_too_long_or_no_request_ends_the_connection() {
        assert!(Request::decode(&mut request(0, LONGEST)).is_ok());
        assert!(Request::decode(&mut request(0, LONGEST + 1)).is_err());
        assert!(Request::decode(&mut BytesMut::zeroed(HEAD)).is_err());
    }
}
