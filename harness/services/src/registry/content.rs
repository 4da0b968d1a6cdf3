//! Manifests and blobs, sent as the exact bytes (OCI distribution specification, "Pull").
//!
//! A client says by `Accept` which kinds of manifests it understands. As with Docker Hub's software (distribution, `handlers/manifests.go`), one
//! that understands no indexes and asks for a tag gets the manifest for linux/amd64 out of the index, and where there is nothing that it
//! understands the answer is 404. One that says nothing, or `*/*`, gets what there is.

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use super::error::Refusal;
use super::headers::{CONTENT_DIGEST, with_header};
use super::name::Reference;
use super::service::Service;
use super::store::Repository;
use crate::download::download;
use crate::oci::Document;
use crate::{Blob, Digest};

impl Service {
    pub(super) async fn manifest(
        &self,
        name: &str,
        reference: &Reference<'_>,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        if method == Method::GET
            && let Some(quota) = &self.quota
        {
            quota.take().map_err(Refusal::TooManyRequests)?;
        }
        let document = {
            let content = self.read();
            let repository = content.repository(name)?;
            let found = repository.manifest(reference);
            let found = found.ok_or_else(|| Refusal::ManifestUnknown(reference.to_string()))?;
            let understood = negotiate(repository, reference, found, headers);
            let understood = understood.ok_or_else(|| {
                Refusal::ManifestUnknown(format!(
                    "there is one of type {}, which the client does not accept",
                    found.media_type
                ))
            })?;
            understood.clone()
        };
        let blob = document.bytes.into();
        send(
            &blob,
            document.digest,
            &document.media_type,
            method,
            headers,
        )
        .await
    }

    pub(super) async fn blob(
        &self,
        name: &str,
        digest: Digest,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let blob = {
            let content = self.read();
            let found = content.repository(name)?.blob(digest).cloned();
            found.ok_or(Refusal::BlobUnknown(digest))?
        };
        let response = send(&blob, digest, "application/octet-stream", method, headers).await?;
        Ok(match &self.break_off {
            Some(fault) if method == Method::GET && response.status() == StatusCode::OK => {
                response.map(|body| fault.cut(digest, blob.len(), body))
            }
            _ => response,
        })
    }
}

/// What the client understands: the document, or of an index that it asks for by tag the manifest for linux/amd64.
fn negotiate<'a>(
    repository: &'a Repository,
    reference: &Reference<'_>,
    found: &'a Document,
    headers: &HeaderMap,
) -> Option<&'a Document> {
    if accepts(headers, &found.media_type) {
        return Some(found);
    }
    if !matches!(reference, Reference::Tag(_)) {
        return None;
    }
    let index: Index = serde_json::from_slice(&found.bytes).ok()?;
    let of_platform = |entry: &&Entry| {
        entry
            .platform
            .as_ref()
            .is_some_and(|p| p.os == "linux" && p.architecture == "amd64")
    };
    let entry = index.manifests.iter().find(of_platform)?;
    let manifest = repository.manifest(&Reference::Digest(entry.digest))?;
    accepts(headers, &manifest.media_type).then_some(manifest)
}

/// The request's `Accept` names this type (RFC 9110, section 12.5.1). Without one everything is accepted.
fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let lines = headers.get_all(ACCEPT).iter();
    let mut ranges = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .peekable();
    ranges.peek().is_none()
        || ranges.any(|range| range == media_type || matches!(range, "*/*" | "application/*"))
}

/// The part of an index that says which manifest is for whom.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    digest: Digest,
    platform: Option<EntryPlatform>,
}

#[derive(Deserialize)]
struct EntryPlatform {
    os: String,
    architecture: String,
}

async fn send(
    blob: &Blob,
    digest: Digest,
    media_type: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let response = download(blob, media_type, method, headers).await;
    let response = response.map_err(|error| Refusal::storage(&error))?;
    Ok(with_header(response, CONTENT_DIGEST, &digest.to_string()))
}
