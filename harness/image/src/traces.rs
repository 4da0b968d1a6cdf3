//! Looks for a private key in places where it must not be.
//!
//! A key is looked for in pieces, since a file may lie in clusters all over a volume, and both as bytes and as the hex digits
//! that scripts have it in. The first quarter of an RSA key in DER is left out: header, modulus and public exponent are
//! in the certificate too (RFC 8017, appendix A.1.2).

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use regex::bytes::Regex;

use super::sparse::data_extents;

/// Bytes of a piece: what is shorter is no use to anybody.
const PIECE: usize = 16;
/// Bytes read at a time.
const BLOCK: u64 = 1 << 20;
/// Hex digits of a piece: what two blocks must overlap by.
const OVERLAP: u64 = 2 * PIECE as u64;

/// What pieces of a key look like.
#[derive(Debug)]
pub(crate) struct Traces(Regex);

impl Traces {
    /// The traces of a private key in DER; `None` for one that is too short to be a key.
    pub(crate) fn of(key: &[u8]) -> Option<Self> {
        let private = key.get(key.len().div_ceil(4)..)?;
        let pieces = private.as_chunks::<PIECE>().0;
        let patterns = pieces.iter().flat_map(|piece| {
            let bytes = piece.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            [bytes, hex::encode(piece), hex::encode_upper(piece)]
        });
        let pattern = patterns.collect::<Vec<String>>().join("|");
        if pieces.is_empty() {
            return None;
        }
        Regex::new(&format!("(?s-u){pattern}")).ok().map(Self)
    }

    /// Where pieces of the key are in `file`, apart from the bytes `allowed`.
    pub(crate) fn find(&self, file: &File, allowed: &[Range<u64>]) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        let mut block = Vec::new();
        for extent in data_extents(file)? {
            let mut at = extent.start;
            while at < extent.end {
                let end = extent.end.min(at + BLOCK + OVERLAP);
                block.resize((end - at) as usize, 0);
                file.read_exact_at(&mut block, at)?;
                let places = self
                    .0
                    .find_iter(&block)
                    .map(|piece| at + piece.start() as u64);
                found.extend(places.filter(|place| {
                    *place < at + BLOCK && !allowed.iter().any(|range| range.contains(place))
                }));
                at += BLOCK;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_found_in_every_form_and_only_where_they_may_not_be() {
        let key: Vec<u8> = (0..=255)
            .map(|n: u8| n.wrapping_mul(89).wrapping_add(7))
            .collect();
        let traces = Traces::of(&key).unwrap();
        let file = tempfile::tempfile().unwrap();
        file.set_len(8 << 20).unwrap();
        file.write_all_at(&key[..64], 10).unwrap();
        assert_eq!(traces.find(&file, &[]).unwrap(), [0; 0], "public bytes");
        let across = (1 << 20) - 7;
        file.write_all_at(&key[80..96], across).unwrap();
        file.write_all_at(hex::encode(&key[80..96]).as_bytes(), 5000)
            .unwrap();
        file.write_all_at(hex::encode_upper(&key[96..112]).as_bytes(), 7 << 20)
            .unwrap();
        assert_eq!(traces.find(&file, &[]).unwrap(), [5000, across, 7 << 20]);
        let allowed = [4096..8192, 7 << 20..8 << 20];
        assert_eq!(traces.find(&file, &allowed).unwrap(), [across]);
        assert!(Traces::of(b"short").is_none());
    }
}
