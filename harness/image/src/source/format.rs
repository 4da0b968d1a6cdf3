//! Recognises how an image is packed.

use std::fmt;

use crate::magic;

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
    const CONVERT: &str = "convert it with `qemu-img convert -O raw`";
    const SIGNATURE: &[u8] = &[0x55, 0xaa];
    let at = |offset: usize, magic: &[u8]| {
        let found = start.get(offset..).and_then(|rest| rest.get(..magic.len()));
        found == Some(magic)
    };
    let has_table = at(510, SIGNATURE);
    match magic::archive(start) {
        Some(magic::LZMA) if has_table => {}
        Some(magic::TAR) => return Some((magic::TAR, "unpack it first, and give the image in it")),
        Some(archive) => return Some((archive, "unpack it first")),
        None => {}
    }
    let known = match start {
        [b'K', b'D', b'M', b'V', ..] | [b'C', b'O', b'W', b'D', ..] => ("a VMDK disk", CONVERT),
        [b'c', b'o', b'n', b'e', b'c', b't', b'i', b'x', ..] => ("a VHD disk", CONVERT),
        [b'v', b'h', b'd', b'x', b'f', b'i', b'l', b'e', ..] => ("a VHDX disk", CONVERT),
        [0x3a, 0xff, 0x26, 0xed, ..] => ("an Android sparse image", "convert it with `simg2img`"),
        _ if at(0x40, &0xbeda_107f_u32.to_le_bytes()) => ("a VDI disk", CONVERT),
        _ if start.starts_with(b"# Disk DescriptorFile") => ("a VMDK descriptor", CONVERT),
        _ if at(0x8001, b"CD001") && !has_table => (
            "an ISO 9660 image",
            "a board's card has a partition table; give the image for cards",
        ),
        _ if !has_table && magic::is_text(start) => ("text", "give a disk image"),
        _ => return None,
    };
    Some(known)
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
