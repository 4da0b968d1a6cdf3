//! Files that are given as logs and are not logs: packed files, archives, and files of other programs, each with what to do about it.
//!
//! Sources: the formats' own specifications, and file(1)'s magic.

/// Characters of a short file that are looked at to tell a binary from a log that begins with noise.
const SAMPLE: usize = 64 << 10;
/// Lines that are looked at to tell an encoded file.
const LINES: usize = 50;

/// Why a file is no log. The name of the file goes in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotALog {
    /// No bytes.
    #[error("the file is empty: give a log in which the board says something")]
    Empty,
    /// Nothing but line ends, spaces and zeros.
    #[error("there is no line in it: give a log in which the board says something")]
    Blank,
    /// A log may be in it, packed.
    #[error("it is packed with {packer}: unpack it with `{command} FILE`, and give the log")]
    Packed {
        /// The format.
        packer: &'static str,
        /// What unpacks it.
        command: &'static str,
    },
    /// A log may be in it, among others.
    #[error("it is {what}: unpack it with `{command} FILE`, and give the log in it")]
    Archive {
        /// The format.
        what: &'static str,
        /// What unpacks it.
        command: &'static str,
    },
    /// It is something else.
    #[error("it is {what}, and no log: {remedy}")]
    Other {
        /// The format.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
}

/// Names what is no log, as far as its bytes show it.
///
/// # Errors
/// [`NotALog`].
pub(super) fn refuse(bytes: &[u8]) -> Result<(), NotALog> {
    if bytes.is_empty() {
        return Err(NotALog::Empty);
    }
    let known = packed(bytes).or_else(|| archive(bytes));
    known.or_else(|| other(bytes)).map_or(Ok(()), Err)
}

/// Names what is no log, as far as its text shows it.
///
/// # Errors
/// [`NotALog`].
pub(super) fn refuse_text(text: &str) -> Result<(), NotALog> {
    let is_blank = |c: char| c.is_whitespace() || matches!(c, '\0' | '\u{feff}');
    if text.chars().all(is_blank) {
        return Err(NotALog::Blank);
    }
    encoded(text).map_or(Ok(()), Err)
}

fn packed(bytes: &[u8]) -> Option<NotALog> {
    let (packer, command) = match bytes {
        [0x1f, 0x8b, 8, ..] => ("gzip", "gzip -d"),
        [0x1f, 0x9d, ..] => ("compress", "gzip -d"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => ("xz", "xz -d"),
        [0x5d, 0, 0, ..] => ("lzma", "xz --format=lzma -d"),
        [b'L', b'Z', b'I', b'P', 0..=1, ..] => ("lzip", "lzip -d"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => ("bzip2", "bzip2 -d"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, ..] => ("bzip2", "bzip2 -d"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ("zstd", "zstd -d"),
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => ("zstd or lz4", "zstd -d"),
        [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => ("lz4", "lz4 -d"),
        [0x89, b'L', b'Z', b'O', 0, ..] => ("lzop", "lzop -d"),
        _ => return None,
    };
    Some(NotALog::Packed { packer, command })
}

fn archive(bytes: &[u8]) -> Option<NotALog> {
    let is_tar = bytes.get(257..262) == Some(b"ustar");
    let (what, command) = match bytes {
        _ if is_tar => ("a tar archive", "tar -xf"),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => ("a zip archive", "unzip"),
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => ("a 7z archive", "7z x"),
        [b'R', b'a', b'r', b'!', 0x1a, ..] => ("a RAR archive", "unrar x"),
        [0x71, 0xc7, ..] => ("a cpio archive", "cpio -i -F"),
        _ if bytes.starts_with(b"070701") || bytes.starts_with(b"070702") => {
            ("a cpio archive", "cpio -i -F")
        }
        _ if bytes.starts_with(b"!<arch>\n") => ("an ar archive", "ar x"),
        _ => return None,
    };
    Some(NotALog::Archive { what, command })
}

fn other(bytes: &[u8]) -> Option<NotALog> {
    const TEXT: &str = "give what the serial port said, as text";
    let (what, remedy) = match bytes {
        _ if bytes.starts_with(b"LPKSHHRH") => (
            "a system's journal",
            "write it out with `journalctl --file FILE --output short-iso-precise`",
        ),
        [0xd4 | 0x4d, 0xc3 | 0x3c, 0xb2, 0xa1, ..]
        | [0xa1, 0xb2, 0xc3 | 0x3c, 0xd4 | 0x4d, ..]
        | [0x0a, 0x0d, 0x0d, 0x0a, ..] => ("a capture of network frames", TEXT),
        [0x7f, b'E', b'L', b'F', ..] => ("a program", TEXT),
        [0x89, b'P', b'N', b'G', ..] | [0xff, 0xd8, 0xff, ..] | [b'G', b'I', b'F', b'8', ..] => {
            ("a picture", TEXT)
        }
        [b'%', b'P', b'D', b'F', b'-', ..] => ("a PDF document", TEXT),
        [b'Q', b'F', b'I', 0xfb, ..] => ("a disk image", TEXT),
        _ if bytes.starts_with(b"SQLite format 3\0") => ("a database", TEXT),
        _ => return None,
    };
    Some(NotALog::Other { what, remedy })
}

/// Text that stands for other bytes, or no text at all.
fn encoded(text: &str) -> Option<NotALog> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.take(LINES).collect();
    let most = |is: fn(&str) -> bool| {
        lines.len() >= 4 && 10 * lines.iter().filter(|l| is(l)).count() >= 9 * lines.len()
    };
    let (what, remedy) = if most(is_dumped) {
        (
            "a hex dump",
            "make bytes of it, for example with `xxd -r FILE`, and give those",
        )
    } else if most(is_base64) {
        (
            "base64",
            "decode it with `base64 -d FILE`, and give the log",
        )
    } else if is_binary(text) {
        ("binary", "give what the serial port said, as text")
    } else {
        return None;
    };
    Some(NotALog::Other { what, remedy })
}

/// Whether a line is one of `xxd` or `hexdump`: an offset, and bytes or words in hexadecimal.
fn is_dumped(line: &str) -> bool {
    let is_hex = |word: &str| word.bytes().all(|b| b.is_ascii_hexdigit());
    let mut words = line.split_ascii_whitespace();
    let offset = words.next().unwrap_or_default().trim_end_matches(':');
    let is_offset = matches!(offset.len(), 7 | 8) && is_hex(offset);
    let mut words = words.take_while(|word| !word.starts_with('|')).take(2);
    is_offset && words.all(|word| matches!(word.len(), 2 | 4 | 8) && is_hex(word))
}

/// Whether a line is one of an encoded file: as long as others, without a space.
fn is_base64(line: &str) -> bool {
    let is_digit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    line.len() >= 60 && line.bytes().all(is_digit)
}

/// Whether there is no word of six letters among signs that are no text. A board's noise has words behind it.
fn is_binary(text: &str) -> bool {
    let is_odd = |c: &char| {
        c.is_control() && !c.is_whitespace() && *c != '\x1b' || *c == char::REPLACEMENT_CHARACTER
    };
    let chars = || text.chars().filter(|c| *c != '\0').take(SAMPLE);
    let (odd, all) = (chars().filter(is_odd).count(), chars().count());
    let text: String = chars().collect();
    let mut words = text.split(|c: char| !c.is_ascii_alphabetic());
    all < SAMPLE && 4 * odd > all && !words.any(|word| word.len() >= 6)
}
