//! Processor architectures, and what everybody calls them.
//!
//! Sources: Debian's architecture names (`dpkg-architecture -L`); iPXE's `buildarch` setting; UEFI specification 2.10, section 3.5.1.1, for the
//! loader of a removable disk; OCI image specification, `image-index.md`, for a platform's architecture and variant.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A processor architecture that boards have.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 64-bit ARM.
    #[default]
    Arm64,
    /// 64-bit x86.
    Amd64,
    /// 32-bit ARM with hardware floating point.
    Armhf,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Arm64, Self::Amd64, Self::Armhf, Self::Riscv64];

    /// Debian's name, which board files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::Amd64 => "amd64",
            Self::Armhf => "armhf",
            Self::Riscv64 => "riscv64",
        }
    }

    /// iPXE's name (`buildarch`).
    #[must_use]
    pub fn ipxe(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::Amd64 => "x86_64",
            Self::Armhf => "arm32",
            Self::Riscv64 => "riscv64",
        }
    }

    /// Where UEFI firmware looks for the boot loader of a removable disk.
    #[must_use]
    pub fn efi_boot_file(self) -> &'static str {
        match self {
            Self::Arm64 => "EFI/BOOT/BOOTAA64.EFI",
            Self::Amd64 => "EFI/BOOT/BOOTX64.EFI",
            Self::Armhf => "EFI/BOOT/BOOTARM.EFI",
            Self::Riscv64 => "EFI/BOOT/BOOTRISCV64.EFI",
        }
    }

    /// The architecture of a container image's platform, and its variant if it has one.
    #[must_use]
    pub fn oci(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Arm64 => ("arm64", None),
            Self::Amd64 => ("amd64", None),
            Self::Armhf => ("arm", Some("v7")),
            Self::Riscv64 => ("riscv64", None),
        }
    }

    /// Linux' name (`uname -m`), which Alpine's files have, too.
    #[must_use]
    pub fn linux(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64",
            Self::Amd64 => "x86_64",
            Self::Armhf => "armv7",
            Self::Riscv64 => "riscv64",
        }
    }
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_is_read_by_its_name_and_has_a_loader_of_its_own() {
        let mut loaders = Vec::new();
        for architecture in Architecture::ALL {
            let json = format!("\"{}\"", architecture.name());
            assert_eq!(
                serde_json::from_str::<Architecture>(&json).unwrap(),
                architecture
            );
            loaders.push(architecture.efi_boot_file());
        }
        loaders.sort_unstable();
        loaders.dedup();
        assert_eq!(loaders.len(), Architecture::ALL.len());
    }
}
