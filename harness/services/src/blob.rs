//! Content that a service hands out: bytes in memory or a file on disk, sent in chunks so that size does not matter.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use bytes::{Buf, Bytes};
use futures_util::stream;
use tokio::io::AsyncReadExt;

use super::Error;
use super::conditional::Validators;
use super::pieces::file_body;

/// Bytes per chunk of what is in memory. A chunk that has been handed to a connection counts as sent in the journal.
const CHUNK: usize = 128 * 1024;

/// Content with a known length. Clones share it.
#[derive(Debug, Clone)]
pub struct Blob(Source);

#[derive(Debug, Clone)]
enum Source {
    Memory {
        bytes: Bytes,
        checksum: u32,
    },
    File {
        path: Arc<Path>,
        length: u64,
        modified: SystemTime,
    },
}

impl Blob {
    /// The content of a file, which is read anew for every request and must not change while the blob lives.
    ///
    /// # Errors
    /// [`Error::File`] when the file is not there or is not a regular file.
    pub fn file(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let metadata = std::fs::metadata(&path).and_then(|metadata| match metadata.is_file() {
            true => Ok((metadata.len(), metadata.modified()?)),
            false => Err(io::Error::other("not a regular file")),
        });
        match metadata {
            Ok((length, modified)) => Ok(Self(Source::File {
                path: path.into(),
                length,
                modified,
            })),
            Err(source) => Err(Error::File { path, source }),
        }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.0 {
            Source::Memory { bytes, .. } => bytes.len() as u64,
            Source::File { length, .. } => *length,
        }
    }

    /// There is no content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What tells this content from any other that the same URL may have had or will have.
    pub(crate) fn validators(&self) -> Validators {
        let length = self.len();
        match &self.0 {
            Source::Memory { checksum, .. } => Validators {
                etag: format!("\"{length:x}-{checksum:x}\""),
                modified: None,
            },
            Source::File { modified, .. } => {
                let since_epoch = modified.duration_since(SystemTime::UNIX_EPOCH);
                let nanoseconds = since_epoch.unwrap_or_default().as_nanos();
                Validators {
                    etag: format!("\"{length:x}-{nanoseconds:x}\""),
                    modified: Some(*modified),
                }
            }
        }
    }

    /// Reads the content from its beginning. Blocking.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::FileChanged`].
    pub fn reader(&self) -> Result<Box<dyn Read + Send>, Error> {
        match &self.0 {
            Source::Memory { bytes, .. } => Ok(Box::new(bytes.clone().reader())),
            Source::File { path, length, .. } => Ok(Box::new(open(path, *length, 0)?)),
        }
    }

    /// The whole content. Blocking.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::FileChanged`].
    pub fn content(&self) -> Result<Vec<u8>, Error> {
        let mut content = Vec::new();
        let read = self.reader()?.read_to_end(&mut content);
        read.map_err(|source| Error::File {
            path: match &self.0 {
                Source::Memory { .. } => PathBuf::new(),
                Source::File { path, .. } => path.to_path_buf(),
            },
            source,
        })?;
        Ok(content)
    }

    /// The whole content, for small blobs.
    pub(crate) async fn read(&self) -> Result<Bytes, Error> {
        match &self.0 {
            Source::Memory { bytes, .. } => Ok(bytes.clone()),
            Source::File { path, length, .. } => {
                let file = open_elsewhere(path, *length, 0).await?;
                let (mut file, mut content) = (tokio::fs::File::from_std(file), Vec::new());
                file.read_to_end(&mut content)
                    .await
                    .map_err(unreadable(path))?;
                Ok(content.into())
            }
        }
    }

    /// A body with the bytes of `range`, which the caller has checked against [`len`](Self::len).
    pub(crate) async fn body(&self, range: Range<u64>) -> Result<Body, Error> {
        match &self.0 {
            Source::Memory { bytes, .. } => Ok(memory_body(slice(bytes, &range))),
            Source::File { path, length, .. } => {
                let file = open_elsewhere(path, *length, range.start).await?;
                Ok(file_body(file, range))
            }
        }
    }
}

impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Self {
        let checksum = crc32fast::hash(&bytes);
        Self(Source::Memory { bytes, checksum })
    }
}

impl From<&'static str> for Blob {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

/// Opens a file at byte `start`, if it still has the length that it had.
fn open(path: &Path, expected: u64, start: u64) -> Result<File, Error> {
    let mut file = File::open(path).map_err(unreadable(path))?;
    let found = file.metadata().map_err(unreadable(path))?.len();
    if found != expected {
        return Err(Error::FileChanged {
            path: path.to_path_buf(),
            expected,
            found,
        });
    }
    file.seek(SeekFrom::Start(start))
        .map_err(unreadable(path))?;
    Ok(file)
}

/// [`open`] without blocking the caller's thread.
async fn open_elsewhere(path: &Arc<Path>, expected: u64, start: u64) -> Result<File, Error> {
    let owned = Arc::clone(path);
    let opened = tokio::task::spawn_blocking(move || open(&owned, expected, start)).await;
    opened.map_err(|error| unreadable(path)(error.into()))?
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> Error {
    |source| Error::File {
        path: path.to_path_buf(),
        source,
    }
}

/// The bytes of `range` as far as they exist, without copying.
fn slice(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let clamp = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let (start, end) = (clamp(range.start), clamp(range.end));
    bytes.slice(start..end.max(start))
}

/// Chunks instead of one frame: a connection takes the next chunk when it has sent the last ones, so that a client that
/// leaves early is noticed.
fn memory_body(bytes: Bytes) -> Body {
    if bytes.len() <= CHUNK {
        return bytes.into();
    }
    Body::from_stream(stream::unfold(bytes, |mut rest| async move {
        let chunk = rest.split_to(CHUNK.min(rest.len()));
        (!chunk.is_empty()).then_some((Ok::<_, io::Error>(chunk), rest))
    }))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn collect(body: Body) -> Bytes {
        body.collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn memory_and_file_give_the_same_bytes() {
        let content: Vec<u8> = (0..3 * CHUNK + 17).map(|i| (i % 251) as u8).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &content).unwrap();
        let length = content.len() as u64;
        for blob in [
            Blob::from(Bytes::from(content.clone())),
            Blob::file(file.path()).unwrap(),
        ] {
            assert_eq!(blob.len(), length);
            for range in [0..length, 0..1, 5..length - 5, length - 1..length, 0..0] {
                let wanted = &content[range.start as usize..range.end as usize];
                assert!(
                    collect(blob.body(range.clone()).await.unwrap()).await == wanted,
                    "{range:?}"
                );
            }
            let mut read = Vec::new();
            blob.reader().unwrap().read_to_end(&mut read).unwrap();
            assert!(read == content);
        }
    }

    #[tokio::test]
    async fn a_file_that_changed_is_not_served() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let blob = Blob::file(file.path()).unwrap();
        std::fs::write(file.path(), "more").unwrap();
        let error = blob.body(0..0).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::FileChanged {
                    expected: 0,
                    found: 4,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_missing_file_and_a_directory_are_errors_that_name_it() {
        let directory = tempfile::tempdir().unwrap();
        for path in [
            directory.path().to_path_buf(),
            directory.path().join("kernel"),
        ] {
            let error = Blob::file(&path).unwrap_err();
            assert!(
                error.to_string().contains(path.to_str().unwrap()),
                "{error}"
            );
        }
    }
}
