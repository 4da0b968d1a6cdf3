//! Archives and text, by the bytes that a file begins with. Sources: the formats' own specifications, and file(1)'s magic.

use crate::source::Format;

/// Boot code may begin like one.
pub(crate) const LZMA: &str = "an lzma archive";
pub(crate) const TAR: &str = "a tar archive";

/// The archive that a file is, in words. Those that [`Format`] reads are left out: see [`packed`].
pub(crate) fn archive(start: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| {
        let found = start.get(offset..).and_then(|rest| rest.get(..magic.len()));
        found == Some(magic)
    };
    let known = match start {
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => "a bzip2 archive",
        [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => "an lz4 archive",
        [b'P', b'K', 3, 4, ..] => "a zip archive",
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => "a 7z archive",
        [b'R', b'a', b'r', b'!', ..] => "a RAR archive",
        [b'L', b'Z', b'I', b'P', ..] => "an lzip archive",
        [0x89, b'L', b'Z', b'O', 0, ..] => "an lzop archive",
        [0x1f, 0x9d, ..] => "a compress (.Z) archive",
        [0x5d, 0, 0, ..] => LZMA,
        _ if start.starts_with(b"!<arch>\n") => "an ar archive or a Debian package",
        _ if at(257, b"ustar") => TAR,
        _ => return None,
    };
    Some(known)
}

/// The same, with the formats that an image may be packed in.
pub(crate) fn packed(start: &[u8]) -> Option<&'static str> {
    match Format::of(start) {
        Format::Raw => archive(start),
        Format::Xz => Some("an xz archive"),
        Format::Zstd => Some("a zstd archive"),
        Format::Gzip => Some("a gzip archive"),
        Format::Qcow2 => Some("a qcow2 disk"),
    }
}

/// Whether these bytes are text as people write it, a log or a script. An empty file is not text.
pub(crate) fn is_text(start: &[u8]) -> bool {
    let is_cut = start.len() > TEXT;
    let start = start.get(..TEXT).unwrap_or(start);
    let is_control =
        |byte: &u8| !matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r' | 0x1b | 0x20..=0x7e | 0x80..);
    let is_utf8 = match str::from_utf8(start) {
        Ok(_) => true,
        // The last character goes on behind the bytes that are looked at.
        Err(error) => is_cut && error.error_len().is_none(),
    };
    !start.is_empty() && is_utf8 && !start.iter().any(is_control)
}

/// Bytes that show whether a file is text.
const TEXT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_code() {
        for text in [&b"a log\r\n"[..], "Gr\u{fc}\u{df}e\n".as_bytes()] {
            assert!(is_text(text));
        }
        // A character of two bytes lies across the end of what is looked at.
        assert!(is_text("\u{e4}".repeat(3000)[..].as_bytes()));
        let cut = [b"a", "\u{e4}".repeat(3000).as_bytes()].concat();
        assert!(is_text(&cut));
        for code in [&b""[..], b"\x0a\0\0\x14", b"caf\xe9", b"\xc3"] {
            assert!(!is_text(code));
        }
    }

    #[test]
    fn archives_are_named() {
        assert_eq!(packed(b"\xfd7zXZ\0"), Some("an xz archive"));
        assert_eq!(packed(&[0x28, 0xb5, 0x2f, 0xfd]), Some("a zstd archive"));
        assert_eq!(packed(&[0x02, 0x21, 0x4c, 0x18]), Some("an lz4 archive"));
        assert_eq!(packed(b"BZh9"), Some("a bzip2 archive"));
        assert_eq!(packed(b"\x0a\0\0\x14"), None);
    }
}
