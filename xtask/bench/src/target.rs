//! The server that a guest under test loads from and sends to.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use shakedown_harness::timeline::ServiceId;

/// Bytes that a connection takes at a time.
const PIECE: usize = 64 * 1024;

/// Name of the journal.
pub(super) const SERVICE: ServiceId = ServiceId::Bench;
/// Where the data is available.
pub(super) const SOURCE: &str = "/blob";
/// What a guest asks for when it has received everything.
pub(super) const DONE: &str = "/done";
/// Where the same amount of data can be sent to.
pub(super) const SINK: &str = "/sink";

/// The server's routes: `data` is there for `GET`, and as many bytes may be sent by `POST`.
pub(super) fn routes(data: Bytes) -> Router {
    Router::new()
        .route(SOURCE, get(source))
        .route(DONE, get(async || "done\n"))
        .route(SINK, post(sink))
        .with_state(data)
}

async fn source(State(data): State<Bytes>) -> Response {
    let length = data.len();
    let pieces = stream::unfold(data, |mut rest| async move {
        let piece = rest.split_to(PIECE.min(rest.len()));
        (!piece.is_empty()).then_some((Ok::<_, std::io::Error>(piece), rest))
    });
    ([(CONTENT_LENGTH, length)], Body::from_stream(pieces)).into_response()
}

async fn sink(State(data): State<Bytes>, body: Body) -> Response {
    let mut pieces = body.into_data_stream();
    let mut received = 0;
    while let Some(Ok(piece)) = pieces.next().await {
        received += piece.len();
    }
    if received == data.len() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let text = format!("{received} bytes came, not {}\n", data.len());
        (StatusCode::BAD_REQUEST, text).into_response()
    }
}
