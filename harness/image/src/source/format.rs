//! Recognises how an image is packed.

use std::fmt;

/// Bytes that [`Format::of`] and [`foreign`] want to see: the latest mark of a format is that of ISO 9660, in sector 16.
pub(super) const MAGIC_LENGTH: usize = 36 << 10;
/// Frames that a reader of Zstandard passes over begin with this, in their upper 28 bits (RFC 8878, section 3.1.2).
const SKIPPABLE: u32 = 0x184d_2a50;

/// How an image is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Not at all.
    Raw,
    /// The .xz file format.
    Xz,
    /// Zstandard, RFC 8878.
    Zstd,
    /// gzip, RFC 1952.
    Gzip,
    /// QEMU's copy-on-write format.
    Qcow2,
}

impl Format {
    /// The format of a file that begins like this. A raw image begins with boot code or zeros, which none of the others does.
    #[must_use]
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [b'Q', b'F', b'I', 0xfb, ..] => Self::Qcow2,
            // pzstd begins with the size of the first frame.
            _ if is_skippable(start) => Self::Zstd,
            _ => Self::Raw,
        }
    }
}

fn is_skippable(start: &[u8]) -> bool {
    let magic = start.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    magic.is_some_and(|magic| magic & !0xf == SKIPPABLE)
}

/// What a file is that begins like this and is no disk image that is read here, with what to do about it; `None` for what may be
/// one. Sources: the formats' own specifications, and file(1)'s magic.
#[must_use]
pub(super) fn foreign(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const UNPACK: &str = "unpack it first";
    const CONVERT: &str = "convert it with `qemu-img convert -O raw`";
    const SIGNATURE: &[u8] = &[0x55, 0xaa];
    let at = |offset: usize, magic: &[u8]| {
        let found = start.get(offset..).and_then(|rest| rest.get(..magic.len()));
        found == Some(magic)
    };
    let has_table = at(510, SIGNATURE);
    let known = match start {
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => ("a bzip2 archive", UNPACK),
        [0x04, 0x22, 0x4d, 0x18, ..] => ("an lz4 archive", UNPACK),
        [b'P', b'K', 3, 4, ..] => ("a zip archive", UNPACK),
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => ("a 7z archive", UNPACK),
        [b'R', b'a', b'r', b'!', ..] => ("a RAR archive", UNPACK),
        [b'L', b'Z', b'I', b'P', ..] => ("an lzip archive", UNPACK),
        [0x5d, 0, 0, ..] if !has_table => ("an lzma archive", UNPACK),
        [b'K', b'D', b'M', b'V', ..] | [b'C', b'O', b'W', b'D', ..] => ("a VMDK disk", CONVERT),
        [b'c', b'o', b'n', b'e', b'c', b't', b'i', b'x', ..] => ("a VHD disk", CONVERT),
        [b'v', b'h', b'd', b'x', b'f', b'i', b'l', b'e', ..] => ("a VHDX disk", CONVERT),
        [0x3a, 0xff, 0x26, 0xed, ..] => ("an Android sparse image", "convert it with `simg2img`"),
        _ if at(0x40, &0xbeda_107f_u32.to_le_bytes()) => ("a VDI disk", CONVERT),
        _ if at(257, b"ustar") => ("a tar archive", "unpack it first, and give the image in it"),
        _ if start.starts_with(b"# Disk DescriptorFile") => ("a VMDK descriptor", CONVERT),
        _ if at(0x8001, b"CD001") && !has_table => (
            "an ISO 9660 image",
            "a board's card has a partition table; give the image for cards",
        ),
        _ if !has_table && is_text(start) => ("text", "give a disk image"),
        _ => return None,
    };
    Some(known)
}

/// Whether these bytes are text as people write it, a log or a script. An empty file is none.
fn is_text(start: &[u8]) -> bool {
    let start = start.get(..4096).unwrap_or(start);
    let is_printable =
        |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b | 0x20..=0x7e | 0x80..);
    !start.is_empty() && start.iter().all(is_printable) && start.is_ascii()
}

/// A fixed VHD is a raw image with this in front of its last sector.
pub(super) const VHD_FOOTER: &[u8] = b"conectix";

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Qcow2 => "qcow2",
        })
    }
}
