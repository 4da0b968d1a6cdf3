//! Answers a `GET` or `HEAD` request for a [`Blob`], whole or in part.

use std::time::SystemTime;

use axum::body::Body;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::conditional::Condition;
use super::range::{Selection, select};
use super::{Blob, Error};

/// The answer for `blob`: 200, 206, 304, 412 or 416.
///
/// `Range` counts for `GET` only (RFC 9110, section 14.2).
///
/// # Errors
/// What [`Blob`] says when its file cannot be read.
pub(crate) async fn download(
    blob: &Blob,
    content_type: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let (length, validators) = (blob.len(), blob.validators());
    match validators.weigh(headers) {
        Condition::Holds => {}
        Condition::NotModified => {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            validators.add_to(response.headers_mut());
            return Ok(response);
        }
        Condition::Failed => return Ok(StatusCode::PRECONDITION_FAILED.into_response()),
    }
    let selection = match headers.get(RANGE).map(HeaderValue::to_str) {
        Some(Ok(range))
            if method == Method::GET && validators.allow_range(headers, SystemTime::now()) =>
        {
            select(range, length)
        }
        _ => Selection::Whole,
    };
    let (status, range) = match selection {
        Selection::Whole => (StatusCode::OK, 0..length),
        Selection::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Selection::Unsatisfiable => {
            let whole = [(CONTENT_RANGE, format!("bytes */{length}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, whole).into_response());
        }
    };
    let mut response = if method == Method::HEAD {
        Response::new(Body::empty())
    } else {
        Response::new(blob.body(range.clone()).await?)
    };
    *response.status_mut() = status;
    let sent = response.headers_mut();
    sent.insert(CONTENT_LENGTH, (range.end - range.start).into());
    sent.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    validators.add_to(sent);
    if let Ok(content_type) = HeaderValue::from_str(content_type) {
        sent.insert(CONTENT_TYPE, content_type);
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{length}", range.start, range.end - 1);
        if let Ok(value) = HeaderValue::from_str(&text) {
            sent.insert(CONTENT_RANGE, value);
        }
    }
    Ok(response)
}

/// A fault of the host that an answer is about: all of it, paths included. It goes into the journal and to no client.
#[derive(Debug, Clone)]
pub(crate) struct HostFault(pub(crate) String);

/// The answer when a blob cannot be read.
pub(crate) fn unreadable(error: &Error) -> Response {
    let text = format!("{}\n", error.for_clients());
    let mut response = (StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
    response.extensions_mut().insert(HostFault(chain(error)));
    response
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
