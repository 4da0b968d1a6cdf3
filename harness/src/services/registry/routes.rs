//! The registry's routes: `/v2/`, manifests, blobs, tags.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{ALLOW, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;

use super::Registry;
use super::error::Refusal;
use super::name::{Reference, Target};
use super::store::Repository;
use crate::services::Blob;
use crate::services::Digest;
use crate::services::download::{download, unreadable};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

impl Registry {
    /// The routes. One handler takes them all, since repository names contain slashes.
    pub fn router(self) -> Router {
        Router::new().fallback(answer).with_state(Arc::new(self))
    }
}

async fn answer(
    State(registry): State<Arc<Registry>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let outcome = route(&registry, &method, uri.path(), &headers).await;
    let mut response = outcome.unwrap_or_else(IntoResponse::into_response);
    response
        .headers_mut()
        .insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    response
}

async fn route(
    registry: &Registry,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let refusal = Refusal::Unsupported(method.to_string());
        return Ok(([(ALLOW, "GET, HEAD")], refusal).into_response());
    }
    let Some(path) = path.strip_prefix("/v2") else {
        return Err(Refusal::NoRoute(path.into()));
    };
    if matches!(path, "" | "/") {
        return Ok(Json(json!({})).into_response());
    }
    match Target::parse(path.trim_start_matches('/'))? {
        Target::Manifest(name, reference) => {
            let document = repository(registry, name)?.manifest(&reference);
            let document = document.ok_or_else(|| {
                Refusal::ManifestUnknown(match reference {
                    Reference::Tag(tag) => tag.into(),
                    Reference::Digest(digest) => digest.to_string(),
                })
            })?;
            let blob = document.bytes.clone().into();
            Ok(content(
                &blob,
                document.digest,
                &document.media_type,
                method,
                headers,
            )
            .await)
        }
        Target::Blob(name, digest) => {
            let blob = repository(registry, name)?
                .blob(digest)
                .ok_or(Refusal::BlobUnknown(digest))?;
            Ok(content(blob, digest, "application/octet-stream", method, headers).await)
        }
        Target::Tags(name) => {
            let tags = repository(registry, name)?.tags();
            Ok(Json(json!({ "name": name, "tags": tags })).into_response())
        }
    }
}

fn repository<'a>(registry: &'a Registry, name: &str) -> Result<&'a Repository, Refusal> {
    registry
        .repository(name)
        .ok_or_else(|| Refusal::NameUnknown(name.into()))
}

async fn content(
    blob: &Blob,
    digest: Digest,
    media_type: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Response {
    let mut response = match download(blob, media_type, method, headers).await {
        Ok(response) => response,
        Err(error) => return unreadable(&error),
    };
    if let Ok(digest) = HeaderValue::from_str(&digest.to_string()) {
        response.headers_mut().insert(CONTENT_DIGEST, digest);
    }
    response
}
