//! FAT file systems inside a disk image.
//!
//! [`check()`] reads a volume that somebody else made and lists everything that is wrong with it. [`FatVolume`] reads and writes
//! files; it opens only what passed the check, so that the library behind it never meets a loop or a size that is made up.
//! Layout: Microsoft, "FAT: General Overview of On-Disk Format", version 1.03.

mod boot_sector;
mod chain;
mod check;
mod clusters;
mod directory;
mod error;
mod finding;
mod format;
mod lookup;
mod name;
mod table;
mod tree;
mod volume;

pub use check::{FatReport, check};
pub(crate) use clusters::ClusterMap;
pub use clusters::places_of_file;
pub use error::FatError;
pub use finding::{Fault, Finding, Severity};
pub use format::{FatFormat, FatKind};
pub use volume::FatVolume;
