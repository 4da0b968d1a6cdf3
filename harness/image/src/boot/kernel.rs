//! What a file is that the firmware is asked to start, by its first bytes.
//!
//! Sources: Linux, Documentation/arch/arm64/booting.rst (the header of an Image) and Documentation/arch/arm/booting.rst (zImage);
//! the A64 and A32 encodings of a branch, with which boot loaders without a header begin.

use std::fmt;
use std::io::Read;

use flate2::read::GzDecoder;

use super::foreign::Foreign;
use crate::LIMITS;

/// What a kernel file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelKind {
    /// A Linux Image for 64-bit ARM, or a boot loader with the same header.
    Arm64Image,
    /// Code for 64-bit ARM without a header, such as U-Boot.
    Arm64Code,
    /// Code for 32-bit ARM.
    Arm32,
    /// A gzip archive, which the firmware unpacks.
    Gzip,
    /// An ELF file, which the firmware would start at its first byte.
    Elf,
    /// An EFI program without the header of an Image.
    EfiProgram,
    /// A file of U-Boot's mkimage.
    UImage,
    /// A device tree, or a flattened image tree of U-Boot.
    DeviceTree,
    /// No program at all.
    Foreign(Foreign),
    /// Nothing that is known here.
    Unknown,
}

impl KernelKind {
    /// What a file is that begins like this.
    #[must_use]
    pub fn of(file: &[u8]) -> Self {
        let word = |at: usize| {
            let bytes = file.get(at..)?.first_chunk()?;
            Some(u32::from_le_bytes(*bytes))
        };
        const ARM64_MAGIC: u32 = 0x644d_5241;
        const ZIMAGE_MAGIC: u32 = 0x016f_2818;
        const NOP: u32 = 0xe1a0_0000;
        if word(0x38) == Some(ARM64_MAGIC) {
            return Self::Arm64Image;
        }
        match file {
            [0x1f, 0x8b, ..] => return Self::Gzip,
            [0x7f, b'E', b'L', b'F', ..] => return Self::Elf,
            [b'M', b'Z', ..] => return Self::EfiProgram,
            [0x27, 0x05, 0x19, 0x56, ..] => return Self::UImage,
            [0xd0, 0x0d, 0xfe, 0xed, ..] => return Self::DeviceTree,
            _ => {}
        }
        match word(0) {
            _ if word(0x24) == Some(ZIMAGE_MAGIC) => Self::Arm32,
            // A branch that is always taken, or a vector table.
            Some(first) if first >> 24 == 0xea || first == NOP => Self::Arm32,
            Some(first) if first & 0xffff_f000 == 0xe59f_f000 => Self::Arm32,
            Some(first) if first & 0xfc00_0000 == 0x1400_0000 => Self::Arm64Code,
            _ => Foreign::of(file).map_or(Self::Unknown, Self::Foreign),
        }
    }

    /// Whether the firmware can start it at all.
    pub(super) fn is_startable(self) -> bool {
        !matches!(
            self,
            Self::Elf | Self::EfiProgram | Self::UImage | Self::DeviceTree | Self::Foreign(_)
        )
    }
}

impl fmt::Display for KernelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arm64Image => "an Image for 64-bit ARM",
            Self::Arm64Code => "code for 64-bit ARM",
            Self::Arm32 => "code for 32-bit ARM",
            Self::Gzip => "a gzip archive",
            Self::Elf => "an ELF file",
            Self::EfiProgram => "an EFI program",
            Self::UImage => "a file of U-Boot's mkimage",
            Self::DeviceTree => "a device tree or a FIT image",
            Self::Foreign(foreign) => return foreign.fmt(f),
            Self::Unknown => "of no kind that is known here",
        })
    }
}

/// The contents of a gzip archive, at most [`LIMITS`]`.program` bytes of them.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn unpack(archive: &[u8]) -> Result<Vec<u8>, String> {
    let mut contents = Vec::new();
    let mut decoder = GzDecoder::new(archive).take(LIMITS.program + 1);
    match decoder.read_to_end(&mut contents) {
        Err(error) => Err(format!("it cannot be unpacked: {error}")),
        Ok(_) if contents.len() as u64 > LIMITS.program => {
            Err(format!("it unpacks to more than {} bytes", LIMITS.program))
        }
        Ok(_) => Ok(contents),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        let at = |offset: usize, bytes: &[u8]| {
            let mut file = vec![0; 128];
            file[offset..offset + bytes.len()].copy_from_slice(bytes);
            KernelKind::of(&file)
        };
        assert_eq!(at(0x38, b"ARM\x64"), KernelKind::Arm64Image);
        assert_eq!(at(0, &[0x0a, 0, 0, 0x14]), KernelKind::Arm64Code);
        assert_eq!(at(0, &[0xb8, 0, 0, 0xea]), KernelKind::Arm32);
        assert_eq!(at(0, &[0, 0, 0xa0, 0xe1]), KernelKind::Arm32);
        assert_eq!(at(0x24, &0x016f_2818_u32.to_le_bytes()), KernelKind::Arm32);
        assert_eq!(at(0, &[0x1f, 0x8b, 8]), KernelKind::Gzip);
        assert_eq!(at(0, b"\x7fELF"), KernelKind::Elf);
        assert_eq!(at(0, b"MZ"), KernelKind::EfiProgram);
        assert_eq!(at(0, b"U-Boot"), KernelKind::Unknown);
        // Code comes before what text or an archive might begin with.
        assert_eq!(KernelKind::of(b"abc\xea"), KernelKind::Arm32);
        let text = KernelKind::of(b"404: Not Found");
        assert_eq!(text, KernelKind::Foreign(Foreign::Text));
        assert!(!text.is_startable() && KernelKind::Unknown.is_startable());
        // Linux is an EFI program and an Image.
        let mut linux = vec![0; 128];
        linux[..2].copy_from_slice(b"MZ");
        linux[0x38..0x3c].copy_from_slice(b"ARM\x64");
        assert_eq!(KernelKind::of(&linux), KernelKind::Arm64Image);
    }

    #[test]
    fn damaged_archives_are_refused() {
        assert!(
            unpack(&[0x1f, 0x8b, 8, 0])
                .unwrap_err()
                .starts_with("it cannot be unpacked")
        );
    }
}
