//! Where iPXE is in an image, and what starts it there.
//!
//! Most images have iPXE as the default loader of their EFI system partition. Others boot by a script of their own: U-Boot runs a
//! `boot.scr` that loads iPXE from wherever it lies, or another loader comes first. Sources: UEFI 2.10, section 3.5.1.1; U-Boot,
//! doc/develop/distro.rst (`boot.scr`) and include/image.h (its header); docs/image-spec.md, "Images that boot by a script of their own".

use std::fmt;
use std::fs::File;

use shakedown_base::Untrusted;
use shakedown_base::architecture::Architecture;

use super::binary;
use super::efivar::{self, Variable, VariableStore};
use super::fat::{FatError, FatVolume};
use super::guid::Guid;
use super::manifest::{self, Manifest};
use super::partitions::Partition;
use super::prebuilt::EFI_BOOT_FILE;
use super::{Disk, ImageError, LIMITS};

/// Names of U-Boot's boot scripts, in its order.
const BOOT_SCRIPTS: [&str; 4] = [
    "boot.scr.uimg",
    "boot.scr",
    "boot/boot.scr.uimg",
    "boot/boot.scr",
];
/// Bytes in front of a boot script's text: the header, and a table with one length.
const SCRIPT_HEADER: usize = 64 + 8;
/// EFI programs that are looked at in search of iPXE, and the size of the largest one.
const MOST_PROGRAMS: usize = 32;
const LARGEST_PROGRAM: u64 = 8 << 20;

/// What starts iPXE.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Starter {
    /// The boot loader, since iPXE is the default EFI program; or nothing, where no iPXE was found.
    #[default]
    Default,
    /// What the manifest says is somebody's own way to the path in it.
    Manifest,
    /// A boot script of U-Boot, by its path.
    BootScript(String),
    /// Another default EFI program, by its name.
    Loader(&'static str),
}

impl fmt::Display for Starter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default EFI program"),
            Self::Manifest => f.write_str("named by the manifest"),
            Self::BootScript(path) => write!(f, "started by {path}"),
            Self::Loader(name) => write!(f, "behind {name}"),
        }
    }
}

/// Where iPXE is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpxeHome {
    /// The partition that iPXE, its boot script and its trust are on.
    pub partition: Partition,
    /// iPXE's path on it; that of the default EFI program where no iPXE was found.
    pub path: String,
    /// What starts it.
    pub starter: Starter,
    /// The partition is an EFI system partition. On no other does U-Boot keep EFI variables, and with them iPXE's trust.
    pub has_variables: bool,
}

impl IpxeHome {
    /// Finds iPXE on the EFI system partition or, where there is none, on the first FAT partition that has it.
    ///
    /// # Errors
    /// [`ImageError::NoPartition`], [`ImageError::Fat`], [`ImageError::Manifest`].
    pub fn find(disk: &Disk) -> Result<Self, ImageError> {
        let home = |partition: &Partition, (path, starter)| Self {
            partition: partition.clone(),
            path,
            starter,
            has_variables: partition.kind.is_esp(),
        };
        if let Some(partition) = disk.table.esp() {
            let found = locate(disk, partition)?;
            let default = || (format!("/{EFI_BOOT_FILE}"), Starter::Default);
            return Ok(home(partition, found.unwrap_or_else(default)));
        }
        for partition in disk.table.find(|kind| kind.is_fat()).take(4) {
            if let Some(found) = locate(disk, partition)? {
                return Ok(home(partition, found));
            }
        }
        // The error that says what is missing.
        disk.esp()
            .map(|partition| home(partition, Default::default()))
    }

    /// The EFI variable with the CAs that the image is provisioned to trust, if it has one.
    ///
    /// # Errors
    /// [`ImageError::Fat`], [`ImageError::EfiVar`].
    pub fn authority(&self, disk: &Disk) -> Result<Option<Variable>, ImageError> {
        let volume = disk.volume(&self.partition)?;
        let file = optional(&volume, efivar::FILE_NAME);
        let file = file.map_err(ImageError::fat(disk.path(), self.partition.number))?;
        let Some(file) = file else { return Ok(None) };
        let store = VariableStore::decode(&file).map_err(|source| ImageError::EfiVar {
            path: disk.path().into(),
            partition: self.partition.number,
            file: efivar::FILE_NAME,
            source,
        })?;
        let variable = store.get(Guid::TLS_CA_CERTIFICATE, efivar::TLS_CA_CERTIFICATE);
        Ok(variable.cloned())
    }

    /// The folder that iPXE is in, without a slash at its end: iPXE looks for its script there first.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// What of an image like this can and cannot be tried, where that is not all.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        let way = match &self.starter {
            Starter::Default if self.has_variables => return None,
            starter => format!(
                "it boots by a script of its own: iPXE is {}, {starter}",
                Untrusted::new(&self.path[..])
            ),
        };
        Some(match self.has_variables {
            true => format!("{way}; that way is the image's own and is followed as it is"),
            false => format!(
                "{way}; without an EFI system partition U-Boot keeps no EFI variables, so that iPXE can be given no trust: boots over \
                 HTTP by DHCP can be tried, boots over HTTPS cannot"
            ),
        })
    }
}

/// iPXE's path on a partition, and what starts it; nothing where there is no iPXE.
fn locate(disk: &Disk, partition: &Partition) -> Result<Option<(String, Starter)>, ImageError> {
    let volume = disk.volume(partition)?;
    let fat = ImageError::fat(disk.path(), partition.number);
    if let Some(file) = optional(&volume, manifest::FILE_NAME).map_err(&fat)? {
        let manifest = Manifest::parse(&file).map_err(|source| ImageError::Manifest {
            path: disk.path().into(),
            source,
        })?;
        return Ok(Some((manifest.ipxe, Starter::Manifest)));
    }
    for path in Architecture::ALL.map(Architecture::efi_boot_file) {
        if program(&volume, path).as_deref().is_some_and(is_ipxe) {
            return Ok(Some((format!("/{path}"), Starter::Default)));
        }
    }
    let default = program(&volume, EFI_BOOT_FILE);
    for script in BOOT_SCRIPTS {
        let Some(file) = optional(&volume, script).map_err(&fat)? else {
            continue;
        };
        for path in efi_paths(&file) {
            if program(&volume, &path).as_deref().is_some_and(is_ipxe) {
                return Ok(Some((path, Starter::BootScript(script.into()))));
            }
        }
    }
    let Some(loader) = default.as_deref().and_then(loader_name) else {
        return Ok(None);
    };
    let files = volume.list().map_err(&fat)?.into_iter();
    let mut programs = files
        .filter(|(path, size)| {
            path.to_ascii_lowercase().ends_with(".efi") && *size <= LARGEST_PROGRAM
        })
        .take(MOST_PROGRAMS);
    let found = programs.find(|(path, _)| program(&volume, path).as_deref().is_some_and(is_ipxe));
    Ok(found.map(|(path, _)| (path, Starter::Loader(loader))))
}

fn program(volume: &FatVolume<&File>, path: &str) -> Option<Vec<u8>> {
    volume
        .read(path.trim_start_matches('/'), LIMITS.program)
        .ok()
}

fn is_ipxe(file: &[u8]) -> bool {
    binary::ipxe(file).is_some()
}

/// What an EFI program that is not iPXE is, of those that images have in its place.
#[must_use]
pub fn loader_name(file: &[u8]) -> Option<&'static str> {
    let has = |text: &[u8]| file.windows(text.len()).any(|window| window == text);
    match () {
        () if has(b"grub_") || has(b"GRUB") => Some("GRUB"),
        () if has(b"systemd-boot") => Some("systemd-boot"),
        () if has(b"UEFI SHIM") || has(b"shim,") => Some("shim"),
        () if has(b"rEFInd") => Some("rEFInd"),
        () => None,
    }
}

/// The EFI programs that a boot script of U-Boot names, each with a slash in front, in its order.
#[must_use]
pub fn efi_paths(script: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(script.get(SCRIPT_HEADER..).unwrap_or_default());
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, ';' | '"' | '\''));
    let mut paths: Vec<String> = Vec::new();
    for word in words.filter(|word| word.to_ascii_lowercase().ends_with(".efi")) {
        let path = format!("/{}", word.trim_start_matches('/'));
        if !paths.contains(&path) && paths.len() < MOST_PROGRAMS {
            paths.push(path);
        }
    }
    paths
}

/// A file that need not be there.
pub(crate) fn optional(volume: &FatVolume<&File>, path: &str) -> Result<Option<Vec<u8>>, FatError> {
    match volume.read(path, LIMITS.small_file) {
        Ok(contents) => Ok(Some(contents)),
        Err(FatError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_script_names_programs() {
        let mut script = vec![0; SCRIPT_HEADER];
        script.extend(b"load mmc 0:1 ${kernel_addr_r} efi/tools/snp.efi; bootefi ${kernel_addr_r}\nload mmc 0:1 $a '/x.EFI'\nload efi/tools/snp.efi\n");
        assert_eq!(efi_paths(&script), ["/efi/tools/snp.efi", "/x.EFI"]);
        assert_eq!(efi_paths(b"short"), [""; 0]);
    }

    #[test]
    fn loaders_have_names() {
        assert_eq!(loader_name(b"MZ grub_exit"), Some("GRUB"));
        assert_eq!(
            loader_name(b"MZ #### LoaderInfo: systemd-boot 252"),
            Some("systemd-boot")
        );
        assert_eq!(loader_name(b"MZ"), None);
    }
}
