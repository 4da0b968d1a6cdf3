//! Why a volume could not be used.

use std::io;

use shakedown_base::untrusted;

use super::{FatKind, Finding};

/// What can go wrong in a FAT file system.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// The volume is damaged, and nothing may be read from or written to it.
    #[error("the file system is damaged: {first}{}", and_more(.others))]
    Damaged {
        /// The first damage found.
        first: Finding,
        /// How many other findings there are.
        others: usize,
    },
    /// The disk could not be read.
    #[error("cannot read the file system: {0}")]
    Read(io::Error),
    /// The library does not mount the volume, although nothing is wrong with it.
    #[error("cannot mount the file system: {0}")]
    Mount(io::Error),
    /// The volume cannot be made as asked for.
    #[error("cannot make a {kind:?} file system of {size} bytes")]
    Format {
        /// Width of the table asked for.
        kind: FatKind,
        /// Size of the partition.
        size: u64,
    },
    /// A file is not there.
    #[error("{} does not exist", untrusted(.0))]
    NotFound(String),
    /// Reading or writing a file failed.
    #[error("cannot {action} {}: {source}", untrusted(.file))]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file, by its path in the volume.
        file: String,
        /// What went wrong.
        source: io::Error,
    },
    /// A file is larger than the caller wants to hold in memory.
    #[error("{} has {size} bytes, more than the {limit} it may have", untrusted(.file))]
    TooLarge {
        /// The file, by its path in the volume.
        file: String,
        /// Its size.
        size: u64,
        /// The largest size accepted.
        limit: u64,
    },
    /// The disk did not take the data.
    #[error("cannot write the file system: {0}")]
    WriteBack(io::Error),
}

fn and_more(others: &usize) -> String {
    match others {
        0 => String::new(),
        others => format!(" (and {others} more)"),
    }
}
