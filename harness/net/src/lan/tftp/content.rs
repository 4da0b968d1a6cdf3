//! Where the files of TFTP come from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

/// The files that a TFTP server hands out.
pub trait TftpFiles: Send + Sync + 'static {
    /// Opens a file for `client`. `name` is what the client asked for, with its leading slashes taken off: foreign text that may
    /// hold `..`.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] and [`io::ErrorKind::PermissionDenied`] are told to the client by their own error codes, every
    /// other error by the undefined one.
    fn open(&self, client: Ipv4Addr, name: &str) -> io::Result<TftpContent>;
}

/// Files in memory, by their names without leading slashes.
impl TftpFiles for BTreeMap<String, Bytes> {
    fn open(&self, _: Ipv4Addr, name: &str) -> io::Result<TftpContent> {
        let content = self.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(content.clone().into())
    }
}

/// The content of a file.
#[derive(Debug)]
pub struct TftpContent(Source);

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    File { file: File, length: u64 },
}

impl From<Bytes> for TftpContent {
    fn from(bytes: Bytes) -> Self {
        Self(Source::Memory(bytes))
    }
}

impl TryFrom<File> for TftpContent {
    type Error = io::Error;

    /// The content of an open file, of the length that it has now.
    fn try_from(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let length = metadata.len();
        Ok(Self(Source::File { file, length }))
    }
}

impl TftpContent {
    /// Its length in bytes.
    pub(super) fn length(&self) -> u64 {
        match &self.0 {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::File { length, .. } => *length,
        }
    }

    /// Appends up to `size` bytes from `offset` on to `to`; fewer at the end of the content.
    pub(super) fn read(&self, offset: u64, size: usize, to: &mut Vec<u8>) -> io::Result<()> {
        let left = self.length().saturating_sub(offset);
        let size = size.min(usize::try_from(left).unwrap_or(usize::MAX));
        match &self.0 {
            Source::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let rest = bytes.get(start..).unwrap_or_default();
                to.extend_from_slice(rest.get(..size).unwrap_or(rest));
                Ok(())
            }
            Source::File { file, .. } => {
                let start = to.len();
                to.resize(start + size, 0);
                let place = to.get_mut(start..).unwrap_or_default();
                file.read_exact_at(place, offset)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn memory_and_files_read_alike() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let sources: [TftpContent; 2] = [
            Bytes::from_static(b"0123456789").into(),
            file.try_into().unwrap(),
        ];
        for content in sources {
            let read = |offset, size| {
                let mut bytes = Vec::new();
                content.read(offset, size, &mut bytes).unwrap();
                bytes
            };
            assert_eq!(content.length(), 10);
            assert_eq!(read(0, 4), b"0123");
            assert_eq!(read(8, 4), b"89");
            assert_eq!(read(10, 4), b"");
            assert_eq!(read(u64::MAX, 4), b"");
        }
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let opened = File::open(folder.path()).unwrap();
        let error = TftpContent::try_from(opened).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
