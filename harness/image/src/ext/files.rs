//! Reading files of an ext2, ext3 or ext4 file system from outside, without mounting it. A journal that was not played back counts.

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use ext4_view::{Ext4, Ext4Error, Ext4Read};

use crate::source::WrittenCard;

/// The longest file that is read, in bytes.
pub const LONGEST: u64 = 16 << 20;

/// Why a file cannot be read from outside.
#[derive(Debug, thiserror::Error)]
pub enum ExtError {
    /// There is no such file system, or it is damaged, or has something that is not read here.
    #[error("{0}")]
    FileSystem(String),
    /// The file is there, and larger than what is read.
    #[error("the file has {0} bytes, more than are read")]
    TooLong(u64),
    /// The file is there, and is a directory or a device.
    #[error("it is no regular file")]
    NoFile,
}

impl From<Ext4Error> for ExtError {
    fn from(error: Ext4Error) -> Self {
        Self::FileSystem(error.to_string())
    }
}

/// The file system in a partition of a card.
pub struct ExtVolume(Ext4);

impl ExtVolume {
    /// Opens the file system in the bytes `window` of a card.
    ///
    /// # Errors
    /// [`ExtError::FileSystem`].
    pub fn open(card: Arc<WrittenCard>, window: Range<u64>) -> Result<Self, ExtError> {
        Ok(Self(Ext4::load(Box::new(Window { card, window }))?))
    }

    /// What the file at `path`, from the root of the file system on, holds; `None` if there is nothing there.
    ///
    /// # Errors
    /// The file system is damaged, or the file is no regular file, or longer than [`LONGEST`].
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ExtError> {
        let path = rooted(path);
        let metadata = match self.0.metadata(path.as_str()) {
            Err(Ext4Error::NotFound | Ext4Error::NotADirectory) => return Ok(None),
            metadata => metadata?,
        };
        if !metadata.file_type().is_regular_file() {
            return Err(ExtError::NoFile);
        }
        if metadata.len() > LONGEST {
            return Err(ExtError::TooLong(metadata.len()));
        }
        Ok(Some(self.0.read(path.as_str())?))
    }

    /// There is something at `path`, from the root of the file system on: a file, a directory, whatever.
    ///
    /// # Errors
    /// The file system is damaged.
    pub fn exists(&self, path: &str) -> Result<bool, ExtError> {
        let path = rooted(path);
        match self.0.exists(path.as_str()) {
            Err(Ext4Error::NotADirectory) => Ok(false),
            exists => Ok(exists?),
        }
    }
}

/// The path as `ext4-view` wants it.
fn rooted(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}

/// A part of a card as `ext4-view` reads it.
struct Window {
    card: Arc<WrittenCard>,
    window: Range<u64>,
}

impl Ext4Read for Window {
    fn read(
        &mut self,
        start: u64,
        bytes: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        let at = self.window.start.checked_add(start);
        let end = at.and_then(|at| at.checked_add(bytes.len() as u64));
        match (at, end) {
            (Some(at), Some(end)) if end <= self.window.end => Ok(self.card.read_at(bytes, at)?),
            _ => Err("this is behind the end of the partition".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::ext::{SMALLEST, format};
    use crate::source::empty_overlay;

    const START: u64 = 1 << 20;

    fn card(change: impl Fn(&File)) -> Result<ExtVolume, ExtError> {
        let base = tempfile::tempfile().unwrap();
        let window = START..START + SMALLEST;
        base.set_len(window.end).unwrap();
        format(&base, &window, "B2C_CACHE", [7; 16]).unwrap();
        change(&base);
        let card = WrittenCard::new(base, empty_overlay(window.end)).unwrap();
        ExtVolume::open(Arc::new(card), window)
    }

    #[test]
    fn what_is_there_and_what_is_not() {
        let volume = card(|_| {}).unwrap();
        for path in ["lost+found", "/lost+found/", "lost+found/.."] {
            assert!(volume.exists(path).unwrap(), "{path}");
        }
        for path in ["storage", "lost+found/x", "\u{1b}[2J"] {
            assert!(!volume.exists(path).unwrap(), "{path}");
            assert!(volume.read(path).unwrap().is_none(), "{path}");
        }
        let error = volume.read("lost+found").unwrap_err();
        assert_eq!(error.to_string(), "it is no regular file");
    }

    #[test]
    fn damage_is_an_error() {
        let no_superblock = |disk: &File| disk.write_all_at(&[0; 4096], START).unwrap();
        assert!(card(no_superblock).is_err());
        let no_inodes = |disk: &File| {
            disk.write_all_at(&vec![0xff; 4 << 20], START + 4096)
                .unwrap();
        };
        let looked = card(no_inodes).and_then(|volume| volume.exists("lost+found"));
        assert!(looked.is_err_and(|e| !e.to_string().is_empty()));
    }
}
