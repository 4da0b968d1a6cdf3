//! Pushing (OCI distribution specification, "Push"): uploads of blobs in one piece or several, and manifests.
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
use tokio::io::AsyncWriteExt;

use super::content::with_header;
use super::discovery::parse;
use super::error::Refusal;
use super::name::{Reference, parse_digest};
use super::routes::CONTENT_DIGEST;
use super::scope::{Action, Scope};
use super::service::Service;
use crate::oci::Document;
use crate::{Blob, Digest};

/// Largest manifest in bytes; the specification asks registries to take manifests up to this size.
const LARGEST_MANIFEST: usize = 4 << 20;

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
        };
        if let Some(digest) = beginning.digest {
            let digest = parse_digest(&digest)?;
            upload.append(body).await?;
            return self.keep(name, digest, upload).await;
        }
        let id = hex::encode(rand::random::<[u8; 16]>());
        let answer = state(StatusCode::ACCEPTED, name, &id, 0);
        let upload = Arc::new(tokio::sync::Mutex::new(upload));
        uploads.open().insert((name.into(), id), upload);
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
        upload.check_range(headers)?;
        upload.append(body).await?;
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
            upload.check_range(headers)?;
            upload.append(body).await?;
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
        let given = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let media_type = given.map(String::from).or(links.media_type);
        let media_type =
            media_type.ok_or_else(|| Refusal::ManifestInvalid("it has no media type".into()))?;
        let document = Document::from_bytes(&media_type, bytes);
        let digest = document.digest;
        let mut content = self.write();
        let repository = content.entry(name);
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
        match reference {
            Reference::Tag(tag) => repository.tag(tag, digest),
            Reference::Digest(wanted) if *wanted != digest => {
                return Err(Refusal::DigestInvalid(format!(
                    "{digest} came instead of {wanted}"
                )));
            }
            Reference::Digest(_) => {}
        }
        repository.add_manifest(document);
        let answer = created("manifests", name, digest);
        Ok(match links.subject {
            Some(subject) => with_header(answer, SUBJECT, &subject.digest.to_string()),
            None => answer,
        })
    }
}

impl Upload {
    /// Appends what comes. What came before a connection broke off counts, so that the client can go on there.
    async fn append(&mut self, body: Body) -> Result<(), Refusal> {
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| Refusal::UploadBroken(error.to_string()))?;
            self.file
                .write_all(&piece)
                .await
                .map_err(|error| Refusal::storage(&error))?;
            self.hash.update(&piece);
            self.length += piece.len() as u64;
        }
        Ok(())
    }

    /// A piece may say where it belongs, as `0-1023`.
    fn check_range(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(range) = headers.get(CONTENT_RANGE) else {
            return Ok(());
        };
        let text = range.to_str().unwrap_or_default();
        let start = text
            .split_once('-')
            .and_then(|(start, _)| start.parse().ok());
        if start == Some(self.length) {
            Ok(())
        } else {
            let length = self.length;
            Err(Refusal::UploadInvalid(format!(
                "{text} does not follow {length} bytes"
            )))
        }
    }
}

/// The parts of a manifest or index that name other content.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Links {
    media_type: Option<String>,
    config: Option<Link>,
    #[serde(default)]
    layers: Vec<Link>,
    #[serde(default)]
    manifests: Vec<Link>,
    subject: Option<Link>,
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
