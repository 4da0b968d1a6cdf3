//! Folders that live as long as their owner: removed with it, or by the next run if the owner was killed.
//!
//! The owner holds a lock on a file in the folder (flock(2)), which the system drops when the process dies, however it dies. A sweep
//! takes the lock first, so runs beside each other cannot remove each other's folders.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The file whose lock the owner holds.
const LOCK: &str = ".owner";

/// A folder of this process.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    keep: bool,
    _lock: File,
}

impl Scratch {
    /// The folder `path`, made if need be; `keep` leaves it to the user when it is dropped.
    pub fn create(path: PathBuf, keep: bool) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        // Nobody may find the file without its lock, so it gets its name last.
        let new = path.join(format!("{LOCK}-{}", std::process::id()));
        let lock = File::create(&new)?;
        lock.lock()?;
        fs::rename(new, path.join(LOCK))?;
        Ok(Self {
            path,
            keep,
            _lock: lock,
        })
    }

    /// A folder with a short name among the system's temporary files.
    pub fn temporary(prefix: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(prefix).tempdir()?;
        Self::create(folder.keep(), false)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing depends on it; a leftover shows itself.
        let _ = if self.keep {
            fs::remove_file(self.path.join(LOCK))
        } else {
            fs::remove_dir_all(&self.path)
        };
    }
}

/// Removes those of `folders` that belonged to a process which is dead. Others, and what is no scratch folder, stay.
pub fn sweep(folders: impl Iterator<Item = PathBuf>) {
    for folder in folders {
        let Ok(lock) = File::open(folder.join(LOCK)) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            // Another sweeper may have been quicker.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// The entries of a folder; none if it cannot be read.
pub fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_owns_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let path = |name: &str| parent.path().join(name);
        let alive = Scratch::create(path("alive"), false).unwrap();
        fs::create_dir(path("foreign")).unwrap();
        // What a killed process leaves: the folder with the file, and no lock on it.
        fs::create_dir(path("dead")).unwrap();
        fs::write(path("dead").join(LOCK), "").unwrap();
        fs::write(path("dead").join("key"), "secret").unwrap();
        sweep(entries(parent.path()));
        assert!(alive.path().exists() && path("foreign").exists());
        assert!(!path("dead").exists());
        drop(alive);
        assert!(!path("alive").exists());
    }

    #[test]
    fn what_is_kept_is_the_users() {
        let parent = tempfile::tempdir().unwrap();
        let kept = Scratch::create(parent.path().join("kept"), true).unwrap();
        let path = kept.path().to_owned();
        drop(kept);
        sweep(entries(parent.path()));
        assert!(path.exists());
    }
}
