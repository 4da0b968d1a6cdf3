//! Headers of the registry's answers.

use axum::http::HeaderValue;
use axum::http::header::HeaderName;
use axum::response::Response;

/// The digest of the content that an answer is about.
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// The response with a header more.
pub(super) fn with_header(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
