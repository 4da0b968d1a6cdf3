//! From the bytes of a log to text: byte order marks and UTF-16, as Windows' tools write it.

use std::borrow::Cow;

/// Bytes that are looked at to tell UTF-16 without a byte order mark.
const SAMPLE: usize = 512;

/// The text of a log. Invalid sequences are replaced.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes).into(),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes).into(),
        _ => match zeros(bytes) {
            (true, false) => utf16(bytes, u16::from_be_bytes).into(),
            (false, true) => utf16(bytes, u16::from_le_bytes).into(),
            _ => String::from_utf8_lossy(bytes),
        },
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| match pair {
        [a, b] => unit([*a, *b]),
        _ => 0,
    });
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Whether most bytes at even and at odd places are zero, as one of them is in UTF-16 of ASCII text.
fn zeros(bytes: &[u8]) -> (bool, bool) {
    let sample = bytes.get(..SAMPLE.min(bytes.len())).unwrap_or_default();
    let most_are_zero = |skip| {
        let places = sample.iter().skip(skip).step_by(2);
        let all = places.clone().count();
        all >= 4 && 5 * places.filter(|b| **b == 0).count() >= 4 * all
    };
    (most_are_zero(0), most_are_zero(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_of_the_same_text() {
        let text = "U-Boot 2025.01\r\nDRAM: 1 GiB – ok\r\n";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let marked = |mark: &[u8], bytes: &[u8]| [mark, bytes].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            marked(&[0xef, 0xbb, 0xbf], text.as_bytes()),
            marked(&[0xff, 0xfe], &le),
            marked(&[0xfe, 0xff], &be),
            le,
            be,
        ] {
            assert_eq!(decode(&bytes), text);
        }
        assert_eq!(decode(b"\0\xf8\0U-Boot"), "\0\u{fffd}\0U-Boot");
    }
}
