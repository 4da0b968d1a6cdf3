//! gzip archives of several members, padded with zeros or not.
//!
//! Source: RFC 1952, section 2.2, for members; gzip(1) passes over zeros behind the last one, which tapes and boards' flashing tools
//! leave there.

use std::io::{BufRead, Error, Read, Result};

use flate2::bufread::GzDecoder;

/// A member begins with this (RFC 1952, section 2.3.1).
const MAGIC: u8 = 0x1f;
/// gzip(1) passes over such bytes with a warning; a flashing tool may not.
const STRAY: &str = "what follows its last member is no gzip: unpack it by `gzip -dc`, which passes over that, and give what it gives";

/// The contents of all members, one behind the other.
pub(super) struct GzipMembers<R: BufRead>(Option<GzDecoder<R>>);

impl<R: BufRead> GzipMembers<R> {
    pub(super) fn new(input: R) -> Self {
        Self(Some(GzDecoder::new(input)))
    }
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while let Some(member) = &mut self.0 {
            let count = member.read(buffer)?;
            if count != 0 || buffer.is_empty() {
                return Ok(count);
            }
            self.0 = next(self.0.take())?;
        }
        Ok(0)
    }
}

/// The member behind one that has ended.
fn next<R: BufRead>(ended: Option<GzDecoder<R>>) -> Result<Option<GzDecoder<R>>> {
    let Some(ended) = ended else { return Ok(None) };
    let mut rest = ended.into_inner();
    loop {
        let bytes = rest.fill_buf()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        match (bytes.len(), zeros) {
            (0, _) => return Ok(None),
            (_, 0) if bytes.first() != Some(&MAGIC) => return Err(Error::other(STRAY)),
            (_, 0) => return Ok(Some(GzDecoder::new(rest))),
            (_, zeros) => rest.consume(zeros),
        }
    }
}
