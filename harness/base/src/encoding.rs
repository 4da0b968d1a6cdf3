//! The bytes of a text file as text, in the encodings that editors write.

/// Why bytes are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// UTF-16, with a byte order mark or without.
    #[error("it is UTF-16: save it as UTF-8")]
    Utf16,
    /// Another encoding, or no text at all.
    #[error("it is not text in UTF-8")]
    Other,
}

/// The text in a file: UTF-8, without the byte order mark that some editors put in front of it.
///
/// # Errors
/// [`NotText`], which names UTF-16.
pub fn decode(file: &[u8]) -> Result<&str, NotText> {
    if is_utf16(file) {
        return Err(NotText::Utf16);
    }
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    match std::str::from_utf8(file) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(NotText::Other),
    }
}

/// Whether a file is text in UTF-16: by its byte order mark, or because about every second byte is zero, as of ASCII text.
#[must_use]
pub fn is_utf16(file: &[u8]) -> bool {
    if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] = file {
        return true;
    }
    let zeros = file.iter().filter(|byte| **byte == 0).count();
    file.len() >= 4 && zeros * 5 >= file.len() * 2 && zeros * 5 <= file.len() * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_encodings_are_read_or_named() {
        assert_eq!(decode(b"a = 1\n"), Ok("a = 1\n"));
        assert_eq!(decode(b"\xef\xbb\xbfa = 1\n"), Ok("a = 1\n"));
        assert_eq!(decode(b""), Ok(""));
        let encoded = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(order).collect()
        };
        for text in ["\u{feff}a = 1\n", "a = 1\n", "title = \"Z\u{fc}rich\"\n"] {
            for order in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
                assert_eq!(decode(&encoded(text, order)), Err(NotText::Utf16), "{text}");
            }
        }
        for noise in [
            &b"\x89PNG"[..],
            b"a\0b = 1 and more",
            b"\0\0\0\0",
            b"Z\xfcrich",
        ] {
            assert_eq!(decode(noise), Err(NotText::Other), "{noise:?}");
        }
    }
}
