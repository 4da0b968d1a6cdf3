//! The registry's error answers (OCI distribution specification, "Error Codes").

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::Digest;
use crate::download::{HostFault, chain};

/// Why a request gets no content. Each carries what the client asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NoRoute(String),
    NameInvalid(String),
    NameUnknown(String),
    ManifestUnknown(String),
    ManifestInvalid(String),
    /// A manifest names content that the repository does not have.
    ManifestBlobUnknown(Digest),
    ManifestTooLarge(usize),
    BlobTooLarge(u64),
    /// A piece of an upload is not as long as it says.
    SizeInvalid(String),
    BlobUnknown(Digest),
    UploadUnknown(String),
    /// An upload that does not go on where it ended.
    UploadInvalid(String),
    /// The body of an upload broke off.
    UploadBroken(String),
    DigestInvalid(String),
    /// The method is not one of the route's.
    Unsupported(String),
    /// There is no token, or it is not good for this scope.
    Unauthorized(Option<String>),
    /// Come again in so many seconds.
    TooManyRequests(u64),
    /// A file of the registry cannot be used: a fault of the host, which the client is told of and the journal is told.
    Storage(String),
}

impl Refusal {
    pub(super) fn storage(error: &dyn std::error::Error) -> Self {
        Self::Storage(chain(error))
    }

    /// Status, code and message.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::NoRoute(_) => (
                S::NOT_FOUND,
                "UNSUPPORTED",
                "this registry has no such route",
            ),
            Self::NameInvalid(_) => (S::BAD_REQUEST, "NAME_INVALID", "invalid repository name"),
            Self::NameUnknown(_) => (
                S::NOT_FOUND,
                "NAME_UNKNOWN",
                "repository name not known to registry",
            ),
            Self::ManifestUnknown(_) => (S::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown"),
            Self::ManifestInvalid(_) => (S::BAD_REQUEST, "MANIFEST_INVALID", "manifest invalid"),
            Self::ManifestBlobUnknown(_) => (
                S::BAD_REQUEST,
                "MANIFEST_BLOB_UNKNOWN",
                "manifest references content unknown to registry",
            ),
            Self::ManifestTooLarge(_) => (
                S::PAYLOAD_TOO_LARGE,
                "SIZE_INVALID",
                "the manifest has more bytes than allowed",
            ),
            Self::BlobTooLarge(_) => (
                S::PAYLOAD_TOO_LARGE,
                "SIZE_INVALID",
                "the blob has more bytes than allowed",
            ),
            Self::SizeInvalid(_) => (
                S::BAD_REQUEST,
                "SIZE_INVALID",
                "provided length did not match content length",
            ),
            Self::BlobUnknown(_) => (S::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry"),
            Self::UploadUnknown(_) => (
                S::NOT_FOUND,
                "BLOB_UPLOAD_UNKNOWN",
                "blob upload unknown to registry",
            ),
            Self::UploadInvalid(_) => (
                S::RANGE_NOT_SATISFIABLE,
                "BLOB_UPLOAD_INVALID",
                "the upload does not go on there",
            ),
            Self::UploadBroken(_) => (S::BAD_REQUEST, "BLOB_UPLOAD_INVALID", "the body broke off"),
            Self::DigestInvalid(_) => (S::BAD_REQUEST, "DIGEST_INVALID", "invalid digest"),
            Self::Unsupported(_) => (
                S::METHOD_NOT_ALLOWED,
                "UNSUPPORTED",
                "this registry does not do that here",
            ),
            Self::Unauthorized(_) => (S::UNAUTHORIZED, "UNAUTHORIZED", "authentication required"),
            Self::TooManyRequests(_) => {
                (S::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", "too many requests")
            }
            Self::Storage(_) => (
                S::INTERNAL_SERVER_ERROR,
                "UNKNOWN",
                "the registry cannot use its files",
            ),
        }
    }

    /// What the client asked for.
    fn detail(self) -> Option<String> {
        match self {
            Self::NoRoute(text)
            | Self::NameInvalid(text)
            | Self::NameUnknown(text)
            | Self::ManifestUnknown(text)
            | Self::ManifestInvalid(text)
            | Self::UploadUnknown(text)
            | Self::UploadInvalid(text)
            | Self::SizeInvalid(text)
            | Self::UploadBroken(text)
            | Self::DigestInvalid(text)
            | Self::Unsupported(text) => Some(text),
            Self::Storage(_) => None,
            Self::ManifestBlobUnknown(digest) | Self::BlobUnknown(digest) => {
                Some(digest.to_string())
            }
            Self::ManifestTooLarge(limit) => Some(format!("at most {limit} bytes")),
            Self::BlobTooLarge(limit) => Some(format!("at most {limit} bytes")),
            Self::TooManyRequests(seconds) => Some(format!("come again in {seconds} s")),
            Self::Unauthorized(scope) => scope,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = self.kind();
        let retry_after = match self {
            Self::TooManyRequests(seconds) => Some(seconds),
            _ => None,
        };
        let fault = match &self {
            Self::Storage(text) => Some(HostFault(text.clone())),
            _ => None,
        };
        let error = json!({ "code": code, "message": message, "detail": self.detail() });
        let mut response = (status, Json(json!({ "errors": [error] }))).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if let Some(fault) = fault {
            response.extensions_mut().insert(fault);
        }
        response
    }
}
