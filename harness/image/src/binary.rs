//! What boot loader and iPXE binaries say of themselves.
//!
//! Versions and features are found as text in the binary, which is not proof of anything but what the builder left there.
//! Formats: PE/COFF specification (headers), the shim project's SBAT.md (the section with the version).

use std::sync::LazyLock;

use regex::bytes::Regex;
use shakedown_base::architecture::Architecture;

/// Machine code of a PE file for 64-bit ARM.
pub const MACHINE_AARCH64: u16 = 0xaa64;

/// The machine code that the default boot loader of this path has, and the processor's name. Any other path is one of 64-bit ARM.
#[must_use]
pub fn machine_of_path(path: &str) -> (u16, &'static str) {
    let path = path.trim_start_matches('/');
    let is_default =
        |architecture: &Architecture| path.eq_ignore_ascii_case(architecture.efi_boot_file());
    match Architecture::ALL.into_iter().find(is_default) {
        None | Some(Architecture::Arm64) => (MACHINE_AARCH64, "64-bit ARM"),
        Some(Architecture::Amd64) => (0x8664, "64-bit x86"),
        Some(Architecture::Armhf) => (0x01c2, "32-bit ARM"),
        Some(Architecture::Riscv64) => (0x5064, "64-bit RISC-V"),
    }
}

/// The names that iPXE shows in its line "Features:", in its order.
const FEATURES: &[&str] = &[
    "DNS", "FTP", "HTTP", "HTTPS", "iSCSI", "NFS", "SLAM", "SRP", "TFTP", "VLAN", "AoE", "FCoE",
    "EFI", "Menu", "IPv6",
];

/// An iPXE binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipxe {
    /// Its version, if it says one.
    pub version: Option<String>,
    /// The features whose names are in it.
    pub features: Vec<&'static str>,
}

/// The machine code of an EFI application (PE32+), or `None` when `file` is none.
#[must_use]
pub fn efi_machine(file: &[u8]) -> Option<u16> {
    const OPTIONAL_HEADER: usize = 24;
    const PE32_PLUS: u16 = 0x20b;
    let field = |at: usize| {
        let bytes = file.get(at..)?.first_chunk::<2>()?;
        Some(u16::from_le_bytes(*bytes))
    };
    let start = file.get(0x3c..)?.first_chunk::<4>()?;
    let start = usize::try_from(u32::from_le_bytes(*start)).ok()?;
    let header = file.get(start..)?;
    let is_pe = file.starts_with(b"MZ") && header.starts_with(b"PE\0\0");
    let magic = field(start.checked_add(OPTIONAL_HEADER)?)?;
    (is_pe && magic == PE32_PLUS).then(|| field(start + 4))?
}

/// What an iPXE binary says of itself, or `None` when it does not call itself iPXE.
#[must_use]
pub fn ipxe(file: &[u8]) -> Option<Ipxe> {
    static NAME: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?-u)\x00iPXE\x00|iPXE initialising").ok());
    // The section .sbat, else the version behind the program's name.
    static VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?-u)ipxe,\d+,iPXE,[!-+\--~]*,([!-+\--~]{1,80}),http|\x00iPXE\x00\x00?(\d+\.\d+[!-~]{0,80})\x00").ok()
    });
    if !NAME.as_ref()?.is_match(file) {
        return None;
    }
    let version = VERSION.as_ref()?.captures(file);
    let version = version.and_then(|found| found.get(1).or(found.get(2)));
    Some(Ipxe {
        version: version.map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned()),
        features: FEATURES
            .iter()
            .copied()
            .filter(|feature| has_string(file, feature))
            .collect(),
    })
}

/// The version that a U-Boot binary prints first, for example `U-Boot 2025.01-3 (Jun 24 2026 - 09:07:15 +0000)`.
#[must_use]
pub fn u_boot_version(file: &[u8]) -> Option<String> {
    static BANNER: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?-u)U-Boot (?:SPL )?20\d\d\.\d\d[ -~]{0,100}").ok());
    let found = BANNER.as_ref()?.find(file)?;
    Some(
        String::from_utf8_lossy(found.as_bytes())
            .trim_end()
            .to_owned(),
    )
}

/// Whether there is `text` between two NULs.
fn has_string(file: &[u8], text: &str) -> bool {
    let needle = [b"\0", text.as_bytes(), b"\0"].concat();
    file.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn machine_codes_are_those_of_the_header() {
        let mut file = vec![0; 256];
        file[..2].copy_from_slice(b"MZ");
        file[0x3c] = 0x80;
        file[0x80..0x86].copy_from_slice(b"PE\0\0\x64\xaa");
        file[0x98..0x9a].copy_from_slice(&[0x0b, 0x02]);
        assert_eq!(efi_machine(&file), Some(MACHINE_AARCH64));
        file[0x98] = 0x0c;
        assert_eq!(efi_machine(&file), None);
        file[0x3c..0x40].fill(0xff);
        assert_eq!(efi_machine(&file), None);
    }

    #[test]
    fn versions_and_features_are_found() {
        let new = b"..\0iPXE\0..ipxe,1,iPXE,ipxe.efi,1.21.1+git.dad+dfsg-1,https://ipxe.org\n..\0DNS\0HTTPS\0\0http\0";
        let found = ipxe(new).unwrap();
        assert_eq!(found.version.as_deref(), Some("1.21.1+git.dad+dfsg-1"));
        assert_eq!(found.features, ["DNS", "HTTPS"]);
        let old = ipxe(b"\0iPXE\0\x001.0.0+ (abc)\0").unwrap();
        assert_eq!(old.version, None);
        let old = ipxe(b"\0iPXE\0\x001.0.0+git\0").unwrap();
        assert_eq!(old.version.as_deref(), Some("1.0.0+git"));
        assert_eq!(ipxe(b"GRUB"), None);
        let banner = b"\xffU-Boot 2025.01-3 (Jun 24 2026 - 09:07:15 +0000)\0\n";
        assert_eq!(
            u_boot_version(banner).as_deref(),
            Some("U-Boot 2025.01-3 (Jun 24 2026 - 09:07:15 +0000)")
        );
        assert_eq!(u_boot_version(b"U-Boot is great"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_through(mut file in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = efi_machine(&file);
            if let Some(start) = file.first_chunk_mut() {
                *start = *b"MZ";
            }
            let _ = efi_machine(&file);
            let _ = (ipxe(&file), u_boot_version(&file));
        }
    }
}
