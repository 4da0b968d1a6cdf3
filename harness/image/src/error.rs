//! What can go wrong with an image.

use std::io;
use std::path::{Path, PathBuf};

use shakedown_base::untrusted;

use super::config_txt::ConfigError;
use super::efivar::EfiVarError;
use super::fat::FatError;
use super::manifest::ManifestError;
use super::partitions::TableError;
use super::source::{Format, Qcow2Error};

/// Why an image could not be read, built or provisioned.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file of the host could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done, for example `open`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The image holds no usable partition table.
    #[error("{}: {source}", path.display())]
    Table {
        /// The image.
        path: PathBuf,
        /// What is wrong with it.
        source: TableError,
    },
    /// The file is something else.
    #[error("{} is {}{what}, no disk image that is read here: {remedy}", path.display(), inside(.formats))]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How it was packed, outermost first.
        formats: Vec<Format>,
        /// What it is.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A packed image cannot be unpacked.
    #[error("cannot unpack {} ({format}): {source}", path.display())]
    Packed {
        /// The image.
        path: PathBuf,
        /// How it is packed.
        format: Format,
        /// What the decoder said.
        source: io::Error,
    },
    /// A qcow2 file cannot be read.
    #[error("cannot read {} (qcow2): {source}", path.display())]
    Qcow2 {
        /// The image.
        path: PathBuf,
        /// What is wrong with it.
        source: Qcow2Error,
    },
    /// A partition that the image must have is not there.
    #[error("{}: no {what} in the partition table", path.display())]
    NoPartition {
        /// The image.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// A FAT file system could not be read or written.
    #[error("partition {partition} of {}: {source}", path.display())]
    Fat {
        /// The image.
        path: PathBuf,
        /// Partition number.
        partition: u32,
        /// What is wrong with it.
        source: FatError,
    },
    /// The EFI variable store of the image cannot be understood, and so not be kept.
    #[error("{file} in partition {partition} of {}: {source}", path.display())]
    EfiVar {
        /// The image.
        path: PathBuf,
        /// Partition number.
        partition: u32,
        /// The store's name in that partition.
        file: &'static str,
        /// What is wrong with it.
        source: EfiVarError,
    },
    /// `config.txt` cannot be read the way the firmware would.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The sizes asked for give no valid layout.
    #[error("{0}")]
    Sizes(String),
    /// The given image is not a prebuilt image.
    #[error(
        "{} is not a prebuilt image: there is no {} with iPXE; if iPXE is elsewhere, say so in {}",
        path.display(),
        untrusted(.missing),
        super::manifest::FILE_NAME
    )]
    NotPrebuilt {
        /// The image.
        path: PathBuf,
        /// The file looked for.
        missing: String,
    },
    /// There is no EFI system partition, on which alone U-Boot keeps EFI variables.
    #[error(
        "{}: it has no EFI system partition, so that U-Boot keeps no EFI variables and iPXE can be given no CA to trust; boot it over HTTP, by DHCP",
        path.display()
    )]
    NoVariables {
        /// The image.
        path: PathBuf,
    },
    /// The manifest cannot be used.
    #[error("{} on the EFI system partition of {}: {source}", super::manifest::FILE_NAME, path.display())]
    Manifest {
        /// The image.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// Pieces of a former private key are where they cannot be removed.
    #[error(
        "{}: the private key that it had is at byte {byte} too, outside of the boot script, where nothing may be changed; provision a prebuilt image instead",
        path.display()
    )]
    OldKey {
        /// The image.
        path: PathBuf,
        /// Where the first piece is.
        byte: u64,
    },
    /// A former private key cannot be read, and so its pieces not be looked for.
    #[error("{}: the private key that it had cannot be looked for, since {}; provision a prebuilt image instead", path.display(), untrusted(.what))]
    UnknownKey {
        /// The image.
        path: PathBuf,
        /// Why not.
        what: String,
    },
    /// Input and output are the same file, which would destroy the input.
    #[error("{} is input and output; give another output, images are never changed in place", path.display())]
    SameFile {
        /// The file.
        path: PathBuf,
    },
}

/// How something was packed, in front of what it is.
fn inside(formats: &[Format]) -> String {
    let layers = formats.iter().map(|format| format!("{format} around "));
    layers.collect()
}

impl ImageError {
    /// A function that turns a system error into [`ImageError::Io`].
    pub(crate) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl Fn(io::Error) -> Self + use<'a> {
        move |source| Self::Io {
            action,
            path: path.into(),
            source,
        }
    }

    /// A function that turns an error of the partition table into [`ImageError::Table`].
    pub(crate) fn table<'a>(path: &'a Path) -> impl Fn(TableError) -> Self + use<'a> {
        move |source| Self::Table {
            path: path.into(),
            source,
        }
    }

    /// A function that turns a file system error into [`ImageError::Fat`].
    pub(crate) fn fat<'a>(path: &'a Path, partition: u32) -> impl Fn(FatError) -> Self + use<'a> {
        move |source| Self::Fat {
            path: path.into(),
            partition,
            source,
        }
    }
}
