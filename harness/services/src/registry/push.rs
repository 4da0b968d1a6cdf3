//! Pushing and deleting (OCI distribution specification, "Push", "Content Management"): uploads of blobs in one piece or several, and manifests.
//!
//! An upload is a file that grows. It gets its place among the repository's blobs when the client says which digest it should have, and
//! it has it. Nothing is held in memory beyond the piece that just came, manifests aside, which are small.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, to_bytes};
use axum::http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, LOCATION, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt, SeekFrom};
use tokio::time::Instant;

use super::content::with_header;
use super::discovery::parse;
use super::error::Refusal;
use super::name::{Reference, parse_digest};
use super::routes::CONTENT_DIGEST;
use super::scope::{Action, Scope};
use super::service::Service;
use super::store::Repository;
use crate::oci::Document;
use crate::{Blob, Digest};

/// Largest manifest in bytes; the specification asks registries to take manifests up to this size.
const LARGEST_MANIFEST: usize = 4 << 20;

/// Largest blob in bytes.
const LARGEST_BLOB: u64 = 16 << 30;
/// Uploads that are open at a time; the one that has been idle for longest gives way, since each holds a file open.
const OPEN_UPLOADS: usize = 64;

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Uploads that have begun, by repository and identifier.
#[derive(Debug)]
pub(super) struct Uploads {
    folder: PathBuf,
    open: Mutex<Open>,
}

/// Uploads by repository and identifier. Each is locked while a piece of it comes.
type Open = HashMap<(String, String), Arc<tokio::sync::Mutex<Upload>>>;

/// A file that grows. The file is removed with it unless it was finished.
#[derive(Debug)]
struct Upload {
    file: File,
    path: tempfile::TempPath,
    hash: Sha256,
    length: u64,
    /// When something of it came last.
    used: Instant,
}

/// How an upload is to begin.
#[derive(Deserialize)]
struct Beginning {
    digest: Option<String>,
    mount: Option<String>,
    from: Option<String>,
}

#[derive(Deserialize)]
struct Ending {
    digest: String,
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
    fn insert(&self, name: &str, id: String, upload: Upload) {
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

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    fn uploads(&self) -> Result<&Uploads, Refusal> {
        let refused = || Refusal::Unsupported("this registry can only be pulled from".into());
        self.uploads.as_ref().ok_or_else(refused)
    }

    /// `POST`: begins an upload, takes a blob as a whole, or takes one over from another repository.
    pub(super) async fn begin(
        &self,
        name: &str,
        query: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Refusal> {
        let uploads = self.uploads()?;
        let beginning: Beginning = parse(query)?;
        if let (Some(digest), Some(from)) = (&beginning.mount, &beginning.from) {
            let digest = parse_digest(digest)?;
            let wanted = Scope::of(from, Action::Pull);
            let allowed = self
                .auth
                .as_ref()
                .is_none_or(|auth| auth.allows(headers, &wanted));
            let found = self
                .read()
                .repository(from)
                .ok()
                .and_then(|r| r.blob(digest).cloned());
            if let Some(blob) = found.filter(|_| allowed) {
                self.write().entry(name).add_blob(digest, blob);
                return Ok(created("blobs", name, digest));
            }
        }
        let (file, path) = tempfile::NamedTempFile::new_in(&uploads.folder)
            .map_err(|error| Refusal::storage(&error))?
            .into_parts();
        let mut upload = Upload {
            file: File::from_std(file),
            path,
            hash: Sha256::new(),
            length: 0,
            used: Instant::now(),
        };
        if let Some(digest) = beginning.digest {
            let digest = parse_digest(&digest)?;
            upload.append(body, None).await?;
            return self.keep(name, digest, upload).await;
        }
        let id = hex::encode(rand::random::<[u8; 16]>());
        let answer = state(StatusCode::ACCEPTED, name, &id, 0);
        uploads.insert(name, id, upload);
        Ok(answer)
    }

    /// `GET`: how much has come.
    pub(super) async fn progress(&self, name: &str, id: &str) -> Result<Response, Refusal> {
        let upload = self.upload(name, id)?;
        let length = upload.lock().await.length;
        Ok(state(StatusCode::NO_CONTENT, name, id, length))
    }

    /// `PATCH`: a piece, which must go on where the last one ended.
    pub(super) async fn append(
        &self,
        name: &str,
        id: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Refusal> {
        let upload = self.upload(name, id)?;
        let mut upload = upload.lock().await;
        let expected = match upload.expected(headers)? {
            Expected::Elsewhere => return Ok(upload.elsewhere(name, id)),
            Expected::Here(expected) => expected,
        };
        upload.append(body, expected).await?;
        Ok(state(StatusCode::ACCEPTED, name, id, upload.length))
    }

    /// `PUT`: the last piece, if there is one, and the digest of the whole.
    pub(super) async fn finish(
        &self,
        name: &str,
        id: &str,
        query: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Refusal> {
        let refused =
            |_| Refusal::DigestInvalid("there must be one, as in ?digest=sha256:…".into());
        let ending: Ending = parse(query).map_err(refused)?;
        let digest = parse_digest(&ending.digest)?;
        let upload = self.upload(name, id)?;
        {
            let mut upload = upload.lock().await;
            let expected = match upload.expected(headers)? {
                Expected::Elsewhere => return Ok(upload.elsewhere(name, id)),
                Expected::Here(expected) => expected,
            };
            upload.append(body, expected).await?;
        }
        self.uploads()?.open().remove(&(name.into(), id.into()));
        let busy = |_| Refusal::UploadInvalid(id.into());
        let upload = Arc::try_unwrap(upload).map_err(busy)?.into_inner();
        self.keep(name, digest, upload).await
    }

    /// `DELETE`: the upload is given up.
    pub(super) fn cancel(&self, name: &str, id: &str) -> Result<Response, Refusal> {
        let key = (name.into(), id.into());
        let removed = self.uploads()?.open().remove(&key);
        removed.ok_or_else(|| Refusal::UploadUnknown(id.into()))?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    fn upload(&self, name: &str, id: &str) -> Result<Arc<tokio::sync::Mutex<Upload>>, Refusal> {
        let found = self
            .uploads()?
            .open()
            .get(&(name.into(), id.into()))
            .cloned();
        found.ok_or_else(|| Refusal::UploadUnknown(id.into()))
    }

    /// Gives a finished upload its place, if it is what it should be.
    async fn keep(
        &self,
        name: &str,
        digest: Digest,
        mut upload: Upload,
    ) -> Result<Response, Refusal> {
        upload
            .file
            .flush()
            .await
            .map_err(|error| Refusal::storage(&error))?;
        let found = Digest::from_hash(upload.hash);
        if found != digest {
            return Err(Refusal::DigestInvalid(format!(
                "{found} came instead of {digest}"
            )));
        }
        let path = self.uploads()?.folder.join(digest.hex());
        upload
            .path
            .persist(&path)
            .map_err(|error| Refusal::storage(&error.error))?;
        let blob = Blob::file(path).map_err(|error| Refusal::storage(&error))?;
        self.write().entry(name).add_blob(digest, blob);
        Ok(created("blobs", name, digest))
    }

    /// Takes a manifest whose content is here, under its digest and the tag if it was pushed by one.
    pub(super) async fn put_manifest(
        &self,
        name: &str,
        reference: &Reference<'_>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Refusal> {
        let too_large = |_| Refusal::ManifestTooLarge(LARGEST_MANIFEST);
        let bytes = to_bytes(body, LARGEST_MANIFEST).await.map_err(too_large)?;
        let links: Links = serde_json::from_slice(&bytes)
            .map_err(|error| Refusal::ManifestInvalid(error.to_string()))?;
        let media_type = links
            .checked_type(headers)
            .map_err(Refusal::ManifestInvalid)?;
        let document = Document::from_bytes(&media_type, bytes);
        let digest = document.digest;
        if let Reference::Digest(wanted) = reference
            && *wanted != digest
        {
            return Err(Refusal::DigestInvalid(format!(
                "{digest} came instead of {wanted}"
            )));
        }
        let mut content = self.write();
        // A repository is there once it has something.
        let empty = Repository::default();
        let repository = content.repository(name).unwrap_or(&empty);
        for link in links.config.iter().chain(&links.layers) {
            if link.urls.is_empty() && repository.blob(link.digest).is_none() {
                return Err(Refusal::ManifestBlobUnknown(link.digest));
            }
        }
        for link in &links.manifests {
            if repository
                .manifest(&Reference::Digest(link.digest))
                .is_none()
            {
                return Err(Refusal::ManifestBlobUnknown(link.digest));
            }
        }
        let repository = content.entry(name);
        if let Reference::Tag(tag) = reference {
            repository.tag(tag, digest);
        }
        repository.add_manifest(document);
        let answer = created("manifests", name, digest);
        Ok(match links.subject {
            Some(subject) => with_header(answer, SUBJECT, &subject.digest),
            None => answer,
        })
    }
}

impl Service {
    /// `DELETE` of a tag, or of a manifest with all its tags.
    pub(super) fn delete_manifest(
        &self,
        name: &str,
        reference: &Reference<'_>,
    ) -> Result<Response, Refusal> {
        self.read().repository(name)?;
        match self.write().entry(name).delete_manifest(reference) {
            true => Ok(StatusCode::ACCEPTED.into_response()),
            false => Err(Refusal::ManifestUnknown(reference.to_string())),
        }
    }

    /// `DELETE` of a blob. Its file stays: another repository may have it too.
    pub(super) fn delete_blob(&self, name: &str, digest: Digest) -> Result<Response, Refusal> {
        self.read().repository(name)?;
        match self.write().entry(name).delete_blob(digest) {
            true => Ok(StatusCode::ACCEPTED.into_response()),
            false => Err(Refusal::BlobUnknown(digest)),
        }
    }
}

impl Upload {
    /// Appends what comes, of which `expected` bytes are announced. What came before a connection broke off counts, so that the client can go
    /// on there; a piece that is longer or shorter than announced does not.
    async fn append(&mut self, body: Body, expected: Option<u64>) -> Result<(), Refusal> {
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
    fn expected(&self, headers: &HeaderMap) -> Result<Expected, Refusal> {
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
    fn elsewhere(&self, name: &str, id: &str) -> Response {
        let refusal = Refusal::UploadInvalid(format!("{} bytes have come", self.length));
        with_state(refusal.into_response(), name, id, self.length)
    }
}

/// Where a piece belongs.
enum Expected {
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

/// The parts of a manifest or index that name other content.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Links {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<Link>,
    #[serde(default)]
    layers: Vec<Link>,
    #[serde(default)]
    manifests: Vec<Link>,
    subject: Option<Subject>,
}

/// What a manifest refers to, by a digest of any algorithm.
#[derive(Deserialize)]
struct Subject {
    digest: String,
}

impl Links {
    /// The media type, which header and document must agree on; or what is wrong with the document.
    fn checked_type(&self, headers: &HeaderMap) -> Result<String, String> {
        if self.schema_version != 2 {
            return Err(format!(
                "its schemaVersion is {}, not 2",
                self.schema_version
            ));
        }
        let header = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        // Parameters, as in `; charset=utf-8`, are not part of the type.
        let header = header.map(|text| text.split(';').next().unwrap_or_default().trim());
        match (header, self.media_type.as_deref()) {
            (Some(header), Some(own)) if header != own => {
                Err(format!("Content-Type is {header}, its mediaType {own}"))
            }
            (Some(one), _) | (None, Some(one)) => Ok(one.to_owned()),
            (None, None) => Err("it has no media type".into()),
        }
    }
}

#[derive(Deserialize)]
struct Link {
    digest: Digest,
    /// Where content is that no registry has.
    #[serde(default)]
    urls: Vec<String>,
}

/// Where an upload stands. `Range` counts from 0 and includes the last byte.
fn state(status: StatusCode, name: &str, id: &str, length: u64) -> Response {
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

/// Content that is there now.
fn created(kind: &str, name: &str, digest: Digest) -> Response {
    let location = format!("/v2/{name}/{kind}/{digest}");
    let response = with_header(StatusCode::CREATED.into_response(), LOCATION, &location);
    with_header(response, CONTENT_DIGEST, &digest.to_string())
}
