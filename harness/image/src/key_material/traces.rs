//! Looks for the pieces of one private key all over a disk.
//!
//! A key is looked for in pieces, since a file may lie in clusters all over a volume. The first quarter of an RSA key in DER is left
//! out: header, modulus and public exponent are in the certificate too (RFC 8017, appendix A.1.2).

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use aho_corasick::AhoCorasick;

use super::encoded::{Run, decoded_base64, decoded_hex};
use crate::sparse::data_extents;

/// Bytes of a piece: what is shorter is no use to anybody.
const PIECE: usize = 16;
/// Bytes of the largest RSA key: 16384 bits, and all its other numbers.
const LARGEST_KEY: usize = 16 << 10;
/// Bytes read at a time.
const BLOCK: u64 = 1 << 20;
/// What two blocks overlap by: the digits of a piece with a separator behind each, and a line's end.
const OVERLAP: u64 = 4 * PIECE as u64;
/// Pieces are reported once within so many bytes.
const NEAR: u64 = 3 * PIECE as u64;

/// What pieces of a key look like.
#[derive(Debug)]
pub(crate) struct Traces(AhoCorasick);

/// Bytes that are no key whose pieces could be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a private key of {0} bytes is none")]
pub(crate) struct NoKey(usize);

impl Traces {
    /// The traces of a private key in DER.
    pub(crate) fn of(key: &[u8]) -> Result<Self, NoKey> {
        let no_key = NoKey(key.len());
        let private = key.get(key.len().div_ceil(4)..).unwrap_or_default();
        if private.len() < PIECE || key.len() > LARGEST_KEY {
            return Err(no_key);
        }
        // Every piece, wherever it begins: the least that is found has as many bytes as one.
        AhoCorasick::new(private.windows(PIECE))
            .map(Self)
            .map_err(|_| no_key)
    }

    /// Where pieces of the key are in `file`, apart from the bytes `allowed`.
    pub(crate) fn find(&self, file: &File, allowed: &[Range<u64>]) -> io::Result<Vec<u64>> {
        let mut found: Vec<u64> = Vec::new();
        let mut block = Vec::new();
        for extent in data_extents(file)? {
            let mut at = extent.start;
            while at < extent.end {
                let end = extent.end.min(at + BLOCK + OVERLAP);
                block.resize((end - at) as usize, 0);
                file.read_exact_at(&mut block, at)?;
                let mut places = self.in_block(&block);
                places.sort_unstable();
                for place in places.into_iter().map(|place| at + place as u64) {
                    let is_new = found.last().is_none_or(|last| place > last + NEAR);
                    if is_new && !allowed.iter().any(|range| range.contains(&place)) {
                        found.push(place);
                    }
                }
                at += BLOCK;
            }
        }
        Ok(found)
    }

    /// Where pieces begin, in whichever form.
    fn in_block(&self, block: &[u8]) -> Vec<usize> {
        let mut places: Vec<_> = self.0.find_iter(block).map(|piece| piece.start()).collect();
        let hex = decoded_hex(block, 2 * PIECE);
        let base64 = decoded_base64(block, PIECE * 8 / 6);
        for Run { bytes, places: at } in hex.chain(base64) {
            let pieces = self.0.find_iter(&bytes);
            places.extend(pieces.filter_map(|piece| at.get(piece.start())));
        }
        places
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
        file.write_all_at(&key[83..99], across).unwrap();
        file.write_all_at(hex::encode(&key[80..96]).as_bytes(), 5000)
            .unwrap();
        file.write_all_at(hex::encode_upper(&key[96..112]).as_bytes(), 7 << 20)
            .unwrap();
        let separated: Vec<_> = key[100..120]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        file.write_all_at(separated.join(":").as_bytes(), 2 << 20)
            .unwrap();
        assert_eq!(
            traces.find(&file, &[]).unwrap(),
            [5000, across, 2 << 20, 7 << 20]
        );
        let allowed = [4096..8192, 2 << 20..8 << 20];
        assert_eq!(traces.find(&file, &allowed).unwrap(), [across]);
        assert_eq!(Traces::of(b"short").unwrap_err(), NoKey(5));
        assert!(Traces::of(&vec![1; LARGEST_KEY + 1]).is_err());
    }

    #[test]
    fn base64_is_read_at_every_offset() {
        let key: Vec<u8> = (0..=255).map(|n: u8| n.wrapping_mul(31) ^ 0x5a).collect();
        let traces = Traces::of(&key).unwrap();
        let file = tempfile::tempfile().unwrap();
        let encoded = encode(&key[100..140]);
        file.write_all_at(
            format!("x\n  {}\n{}\n", &encoded[..20], &encoded[20..]).as_bytes(),
            99,
        )
        .unwrap();
        assert_eq!(traces.find(&file, &[]).unwrap().len(), 1);
    }

    fn encode(bytes: &[u8]) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let groups = bytes.chunks_exact(3).map(|group| {
            let bits = group
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
            (0..4).map(move |n| ALPHABET[(bits >> (18 - 6 * n)) as usize & 63] as char)
        });
        groups.flatten().collect()
    }
}
