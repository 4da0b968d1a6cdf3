//! Pushing and deleting (OCI distribution specification, "Push", "Content Management"): uploads of blobs in one piece or several, and manifests.
//!
//! An upload is a file that grows. It gets its place among the repository's blobs when the client says which digest it should have, and
//! it has it. Nothing is held in memory beyond the piece that just came, manifests aside, which are small.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::discovery::{Subject, parse};
use super::error::Refusal;
use super::headers::{CONTENT_DIGEST, with_header};
use super::name::{Reference, parse_digest};
use super::scope::{Action, Scope};
use super::service::Service;
use super::store::Repository;
use super::uploads::{Expected, Upload, Uploads, state};
use crate::oci::Document;
use crate::{Blob, Digest};

/// Largest manifest in bytes; the specification asks registries to take manifests up to this size.
const LARGEST_MANIFEST: usize = 4 << 20;

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// How an upload must begin.
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
        let mut upload = Upload::new(File::from_std(file), path);
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
            |_| Refusal::DigestInvalid("there must be one, for example ?digest=sha256:…".into());
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
        // Parameters, for example `; charset=utf-8`, are not part of the type.
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

/// Content that is there now.
fn created(kind: &str, name: &str, digest: Digest) -> Response {
    let location = format!("/v2/{name}/{kind}/{digest}");
    let response = with_header(StatusCode::CREATED.into_response(), LOCATION, &location);
    with_header(response, CONTENT_DIGEST, &digest.to_string())
}
