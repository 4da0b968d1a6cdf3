//! The manifest: a small file on the EFI system partition by which an image says what it does otherwise than the rest.
//!
//! Without the file everything is where the specification has it. Rules R-MAN-1 and R-IPXE-1 of docs/image-spec.md.

use serde::Deserialize;
use shakedown_base::encoding::decode;
use shakedown_base::untrusted_lines;

use super::prebuilt::EFI_BOOT_FILE;

/// Name of the file in the root directory of the EFI system partition.
pub const FILE_NAME: &str = "netboot-image.toml";

/// Bytes that the file may have.
pub const LIMIT: u64 = 4096;

/// The version of the specification that this code knows.
pub const SPECIFICATION: u32 = 1;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Major version of the specification that the image keeps to.
    pub specification: u32,
    /// Path of the iPXE binary on the EFI system partition.
    #[serde(default = "default_ipxe")]
    pub ipxe: String,
}

/// Why a manifest cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is not TOML of this form.
    #[error("{}", untrusted_lines(.0.trim_end()))]
    Syntax(String),
    /// It keeps to another specification.
    #[error(
        "it keeps to version {0} of the specification, and only version {SPECIFICATION} is known"
    )]
    Version(u32),
    /// The path leads nowhere.
    #[error("ipxe = {0:?} is no path of a file: give one such as \"/EFI/BOOT/BOOTAA64.EFI\"")]
    Path(String),
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            specification: SPECIFICATION,
            ipxe: default_ipxe(),
        }
    }
}

impl Manifest {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn parse(file: &[u8]) -> Result<Self, ManifestError> {
        let text = decode(file).map_err(|error| ManifestError::Syntax(error.to_string()))?;
        let manifest: Self =
            toml::from_str(text).map_err(|error| ManifestError::Syntax(error.to_string()))?;
        if manifest.specification != SPECIFICATION {
            return Err(ManifestError::Version(manifest.specification));
        }
        let mut parts = manifest.ipxe.trim_start_matches('/').split('/');
        if parts.any(|part| matches!(part, "" | "." | "..")) {
            return Err(ManifestError::Path(manifest.ipxe));
        }
        Ok(manifest)
    }

    /// The folder that iPXE is in, without a slash at its end: iPXE looks for its script there first.
    #[must_use]
    pub fn ipxe_folder(&self) -> &str {
        self.ipxe.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

fn default_ipxe() -> String {
    format!("/{EFI_BOOT_FILE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Manifest::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_path_may_be_named() {
        let manifest =
            Manifest::parse(b"specification = 1\nipxe = \"/efi/tools/snp.efi\"\n").unwrap();
        assert_eq!(manifest.ipxe, "/efi/tools/snp.efi");
        assert_eq!(manifest.ipxe_folder(), "/efi/tools");
        assert_eq!(
            Manifest::parse(b"\xef\xbb\xbfspecification = 1"),
            Ok(Manifest::default())
        );
        assert_eq!(
            Manifest::parse(b"specification = 1"),
            Ok(Manifest::default())
        );
        assert_eq!(Manifest::default().ipxe, "/EFI/BOOT/BOOTAA64.EFI");
    }

    #[test]
    fn mistakes_are_named() {
        insta::assert_snapshot!(refused("specification = 2"), @"it keeps to version 2 of the specification, and only version 1 is known");
        insta::assert_snapshot!(refused("specification = 1\nipxe = \"/a/../b\""), @r#"ipxe = "/a/../b" is no path of a file: give one such as "/EFI/BOOT/BOOTAA64.EFI""#);
        insta::assert_snapshot!(refused("specification = 1\nipxe = \"\""), @r#"ipxe = "" is no path of a file: give one such as "/EFI/BOOT/BOOTAA64.EFI""#);
        insta::assert_snapshot!(refused("specification = 1\nixpe = \"/a\""), @r#"
        TOML parse error at line 2, column 1
          |
        2 | ixpe = "/a"
          | ^^^^
        unknown field `ixpe`, expected `specification` or `ipxe`
        "#);
        assert_eq!(
            Manifest::parse(&[0xff]).unwrap_err().to_string(),
            "it is not text in UTF-8"
        );
    }
}
