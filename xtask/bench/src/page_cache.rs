//! Makes files cold: what has been read of them goes out of the system's page cache.
//!
//! Source: posix_fadvise(2), `POSIX_FADV_DONTNEED`: clean pages that nobody has mapped are dropped. It needs no rights.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{Advice, fadvise};

/// Drops a file, or all files below a folder, from the page cache.
pub(super) fn drop_cached(path: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            drop_cached(&entry?.path())?;
        }
    } else if kind.is_file() {
        fadvise(File::open(path)?, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}
