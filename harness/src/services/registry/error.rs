//! The registry's error answers (OCI distribution specification, "Error Codes").

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::services::Digest;

/// Why a request gets no content. Each carries what the client asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NoRoute(String),
    NameInvalid(String),
    NameUnknown(String),
    ManifestUnknown(String),
    BlobUnknown(Digest),
    DigestInvalid(String),
    /// The method is not one that reads.
    Unsupported(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message, subject) = match self {
            Self::NoRoute(path) => (
                StatusCode::NOT_FOUND,
                "UNSUPPORTED",
                "this registry has no such route",
                path,
            ),
            Self::NameInvalid(name) => (
                StatusCode::BAD_REQUEST,
                "NAME_INVALID",
                "invalid repository name",
                name,
            ),
            Self::NameUnknown(name) => (
                StatusCode::NOT_FOUND,
                "NAME_UNKNOWN",
                "repository name not known to registry",
                name,
            ),
            Self::ManifestUnknown(reference) => (
                StatusCode::NOT_FOUND,
                "MANIFEST_UNKNOWN",
                "manifest unknown",
                reference,
            ),
            Self::BlobUnknown(digest) => (
                StatusCode::NOT_FOUND,
                "BLOB_UNKNOWN",
                "blob unknown to registry",
                digest.to_string(),
            ),
            Self::DigestInvalid(digest) => (
                StatusCode::BAD_REQUEST,
                "DIGEST_INVALID",
                "invalid digest",
                digest,
            ),
            Self::Unsupported(method) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "UNSUPPORTED",
                "this registry can only be pulled from",
                method,
            ),
        };
        let body = json!({ "errors": [{ "code": code, "message": message, "detail": subject }] });
        (status, Json(body)).into_response()
    }
}
