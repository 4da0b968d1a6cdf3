//! A failed run in one archive: everything that is needed to run it again elsewhere, and to judge its record again.
//!
//! ```text
//! bundle.json                what is in it, and what the run was made of
//! boards/ scenarios/         the definitions as they were when they were read
//! run/                       the run's folder: report, timeline, journal, transcript, raw serial ports, QEMU's command line, captures
//! image.img                  the prebuilt disk image, on request
//! ```
//! A tar archive (POSIX.1-2001 ustar), packed with Zstandard (RFC 8878). The run's card and whatever else holds a private key stay out.
//!
//! Who reads a bundle need not trust who made it: it has [bounds](limits), its names are plain, and what does not fit is an error.

mod limits;
mod manifest;
mod read;
mod secrets;
mod unpacked;
mod write;

pub use manifest::{ContainerItem, Item, Manifest};
pub use read::Bundle;
pub use write::{Contents, write};

use std::io;
use std::path::{Path, PathBuf};

/// The archive's name in the run's folder.
pub const FILE_NAME: &str = crate::folder::RunFolder::BUNDLE;

const MANIFEST: &str = "bundle.json";
const RUN: &str = "run";
const IMAGE: &str = "image.img";

/// An archive that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The operating system refused something about a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, for example `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no bundle, or a damaged one.
    #[error("{} is not a whole bundle: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The bundle has no image in it.
    #[error("{} has no disk image in it; give the image by --image, its SHA-256 is in bundle.json", path.display())]
    NoImage {
        /// The file.
        path: PathBuf,
    },
}

impl BundleError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    fn damaged(path: &Path, detail: impl ToString) -> Self {
        Self::Damaged {
            path: path.into(),
            detail: detail.to_string(),
        }
    }
}
