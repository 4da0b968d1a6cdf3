//! Manifests and blobs, sent as the exact bytes (OCI distribution specification, "Pull").

use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;

use super::error::Refusal;
use super::name::Reference;
use super::routes::CONTENT_DIGEST;
use super::service::Service;
use crate::download::download;
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
            let found = content.repository(name)?.manifest(reference).cloned();
            found.ok_or_else(|| Refusal::ManifestUnknown(reference.to_string()))?
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

/// The response with a header more.
pub(super) fn with_header(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
