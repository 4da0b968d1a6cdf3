//! Recognises how an image is packed.

use std::fmt;

/// Bytes that [`Format::of`] wants to see.
pub(super) const MAGIC_LENGTH: usize = 6;

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
            _ => Self::Raw,
        }
    }
}

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
