//! Where images are unpacked.
//!
//! An unpacked image has gigabytes. Where `TMPDIR` says nothing and the system's folder for temporary files is in memory, as on many
//! distributions, `/var/tmp` takes its place (Filesystem Hierarchy Standard 3.0, section 5.15).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::statfs;

/// What holds its files in memory.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
const ON_DISK: &str = "/var/tmp";

/// A file without a name, which vanishes with its last user.
pub(super) fn unnamed() -> io::Result<File> {
    tempfile::tempfile_in(folder(std::env::var_os("TMPDIR").map(PathBuf::from)))
}

/// The folder, where `chosen` is what the user has set.
fn folder(chosen: Option<PathBuf>) -> PathBuf {
    let usual = std::env::temp_dir();
    match chosen {
        Some(chosen) => chosen,
        None if is_in_memory(&usual) && Path::new(ON_DISK).is_dir() => ON_DISK.into(),
        None => usual,
    }
}

fn is_in_memory(folder: &Path) -> bool {
    statfs(folder).is_ok_and(|fs| IN_MEMORY.contains(&(fs.f_type as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_has_set_counts() {
        assert_eq!(folder(Some("/x".into())), Path::new("/x"));
        assert!(is_in_memory(Path::new("/dev/shm")) || !Path::new("/dev/shm").exists());
        assert!(!is_in_memory(Path::new("/proc")));
    }
}
