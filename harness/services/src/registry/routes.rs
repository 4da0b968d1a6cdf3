//! The registry's front: who may do what, and which part of the registry answers.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, HeaderName};
use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::error::Refusal;
use super::name::Target;
use super::service::Service;

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// Answers every request.
pub(super) async fn answer(State(service): State<Arc<Service>>, request: Request) -> Response {
    if let Some(auth) = &service.auth
        && auth.is_realm(request.uri(), request.headers())
    {
        return auth.token(request.method(), request.uri(), request.headers());
    }
    let outcome = route(&service, request).await;
    let mut response = outcome.unwrap_or_else(IntoResponse::into_response);
    response
        .headers_mut()
        .insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    response
}

async fn route(service: &Service, request: Request) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let below = path.strip_prefix("/v2");
    let below = below.filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let below = below.ok_or_else(|| Refusal::NoRoute(path.into()))?;
    let target = Target::parse(below.strip_prefix('/').unwrap_or(below))?;
    if let Some(auth) = &service.auth
        && let Err(challenge) = auth.check(&target, &head.method, &head.headers)
    {
        return Ok(*challenge);
    }
    let query = head.uri.query().unwrap_or_default();
    let (method, headers) = (&head.method, &head.headers);
    match (&target, method.as_str()) {
        (Target::Base, "GET" | "HEAD") => Ok(Json(json!({})).into_response()),
        (Target::Manifest(name, reference), "GET" | "HEAD") => {
            service.manifest(name, reference, method, headers).await
        }
        (Target::Blob(name, digest), "GET" | "HEAD") => {
            service.blob(name, *digest, method, headers).await
        }
        (Target::Tags(name), "GET" | "HEAD") => service.tags(name, query),
        (Target::Referrers(name, digest), "GET" | "HEAD") => service.referrers(name, digest, query),
        (Target::Manifest(name, reference), "PUT") if service.uploads.is_some() => {
            service.put_manifest(name, reference, headers, body).await
        }
        (Target::Manifest(name, reference), "DELETE") if service.uploads.is_some() => {
            service.delete_manifest(name, reference)
        }
        (Target::Blob(name, digest), "DELETE") if service.uploads.is_some() => {
            service.delete_blob(name, *digest)
        }
        (Target::Uploads(name), "POST") => service.begin(name, query, headers, body).await,
        (Target::Upload(name, upload), "GET") => service.progress(name, upload).await,
        (Target::Upload(name, upload), "PATCH") => {
            service.append(name, upload, headers, body).await
        }
        (Target::Upload(name, upload), "PUT") => {
            service.finish(name, upload, query, headers, body).await
        }
        (Target::Upload(name, upload), "DELETE") => service.cancel(name, upload),
        _ => Ok(unsupported(&target, method, service.uploads.is_some())),
    }
}

/// The answer to a method that a route does not have.
fn unsupported(target: &Target<'_>, method: &Method, pushes: bool) -> Response {
    let allowed = match target {
        Target::Manifest(..) if pushes => "GET, HEAD, PUT, DELETE",
        Target::Blob(..) if pushes => "GET, HEAD, DELETE",
        Target::Uploads(_) if pushes => "POST",
        Target::Upload(..) if pushes => "GET, PATCH, PUT, DELETE",
        Target::Uploads(_) | Target::Upload(..) => "",
        _ => "GET, HEAD",
    };
    ([(ALLOW, allowed)], Refusal::Unsupported(method.to_string())).into_response()
}
