//! Uploads of blobs that have begun: files that grow piece by piece.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName, LOCATION, RANGE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt, SeekFrom};
use tokio::time::Instant;

use super::error::Refusal;
use super::headers::with_header;

/// Largest blob in bytes.
const LARGEST_BLOB: u64 = 16 << 30;
/// Uploads that are open at a time; the one that has been idle for longest gives way, since each holds a file open.
const OPEN_UPLOADS: usize = 64;

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// Uploads that have begun, by repository and identifier.
#[derive(Debug)]
pub(super) struct Uploads {
    pub(super) folder: PathBuf,
    open: Mutex<Open>,
}

/// Uploads by repository and identifier. Each is locked while a piece of it comes.
pub(super) type Open = HashMap<(String, String), Arc<tokio::sync::Mutex<Upload>>>;

/// A file that grows. The file is removed with it unless it was finished.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) file: File,
    pub(super) path: tempfile::TempPath,
    pub(super) hash: Sha256,
    pub(super) length: u64,
    /// When something of it came last.
    used: Instant,
}

impl Uploads {
    /// Uploads whose files are in `folder`.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            open: Mutex::default(),
        }
    }

    /// Remembers an upload that has begun.
    pub(super) fn insert(&self, name: &str, id: String, upload: Upload) {
        let mut open = self.open();
        if open.len() >= OPEN_UPLOADS {
            // One that a piece is coming for is not idle.
            let used =
                |upload: &Arc<tokio::sync::Mutex<Upload>>| Some(upload.try_lock().ok()?.used);
            let idle = open
                .iter()
                .filter_map(|(key, upload)| Some((used(upload)?, key.clone())));
            if let Some((_, key)) = idle.min() {
                open.remove(&key);
            }
        }
        let upload = Arc::new(tokio::sync::Mutex::new(upload));
        open.insert((name.into(), id), upload);
    }

    pub(super) fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// An upload into a file that is empty.
    pub(super) fn new(file: File, path: tempfile::TempPath) -> Self {
        Self {
            file,
            path,
            hash: Sha256::new(),
            length: 0,
            used: Instant::now(),
        }
    }

    /// Appends what comes, of which `expected` bytes are announced. What came before a connection broke off counts, so that the client can go
    /// on there; a piece that is longer or shorter than announced does not.
    pub(super) async fn append(
        &mut self,
        body: Body,
        expected: Option<u64>,
    ) -> Result<(), Refusal> {
        let before = (self.hash.clone(), self.length);
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| Refusal::UploadBroken(error.to_string()))?;
            self.used = Instant::now();
            if self.length + piece.len() as u64 > LARGEST_BLOB {
                return Err(Refusal::BlobTooLarge(LARGEST_BLOB));
            }
            self.file
                .write_all(&piece)
                .await
                .map_err(|error| Refusal::storage(&error))?;
            self.hash.update(&piece);
            self.length += piece.len() as u64;
        }
        let came = self.length - before.1;
        match expected {
            Some(expected) if expected != came => {
                (self.hash, self.length) = before;
                self.cut().await.map_err(|error| Refusal::storage(&error))?;
                Err(Refusal::SizeInvalid(format!(
                    "{came} bytes came, {expected} were announced"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Makes the file as long as what counts.
    async fn cut(&mut self) -> std::io::Result<()> {
        self.file.flush().await?;
        self.file.set_len(self.length).await?;
        self.file.seek(SeekFrom::Start(self.length)).await?;
        Ok(())
    }

    /// What a piece says of where it belongs, as `0-1023`.
    pub(super) fn expected(&self, headers: &HeaderMap) -> Result<Expected, Refusal> {
        let Some(range) = headers.get(CONTENT_RANGE) else {
            return Ok(Expected::Here(None));
        };
        let text = range.to_str().unwrap_or_default();
        let ends = text.split_once('-');
        let ends = ends.and_then(|(start, end)| Some((number(start)?, number(end)?)));
        let Some((start, end)) = ends.filter(|(start, end)| start <= end) else {
            return Err(Refusal::UploadInvalid(format!("{text} is no range")));
        };
        if start != self.length {
            return Ok(Expected::Elsewhere);
        }
        // The last byte is included.
        let length = end - start + 1;
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        match announced {
            Some(announced) if announced != length => Err(Refusal::SizeInvalid(format!(
                "the range has {length} bytes and the body {announced}"
            ))),
            _ => Ok(Expected::Here(Some(length))),
        }
    }

    /// The answer to a piece that does not follow what came: it says what would.
    pub(super) fn elsewhere(&self, name: &str, id: &str) -> Response {
        let refusal = Refusal::UploadInvalid(format!("{} bytes have come", self.length));
        with_state(refusal.into_response(), name, id, self.length)
    }
}

/// Where a piece belongs.
pub(super) enum Expected {
    /// After what came; so many bytes, if it says so.
    Here(Option<u64>),
    /// Somewhere else.
    Elsewhere,
}

/// Digits, and nothing else.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.len() < 20 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// Where an upload stands. `Range` counts from 0 and includes the last byte.
pub(super) fn state(status: StatusCode, name: &str, id: &str, length: u64) -> Response {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    with_state(response, name, id, length)
}

/// The response, with where an upload stands.
fn with_state(response: Response, name: &str, id: &str, length: u64) -> Response {
    let range = format!("0-{}", length.saturating_sub(1));
    let location = format!("/v2/{name}/blobs/uploads/{id}");
    let response = with_header(response, RANGE, &range);
    let response = with_header(response, UPLOAD_ID, id);
    with_header(response, LOCATION, &location)
}
