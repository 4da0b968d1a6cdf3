//! Bodies that end before they are whole.

use std::io;

use axum::body::{Body, Bytes};
use futures_util::{Stream, StreamExt, future, stream};

/// The first `count` bytes of a body, or all of one that has no more.
pub(crate) fn first(body: Body, count: u64) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    body.into_data_stream().scan(count, |left, piece| {
        let piece = piece.map(|mut piece| {
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= piece.len() as u64;
            piece
        });
        let ended = piece.as_ref().is_ok_and(|piece| piece.is_empty());
        future::ready((!ended).then_some(piece))
    })
}

/// In place of the end of a body: the connection breaks off.
pub(crate) fn breaks_off() -> impl Stream<Item = Result<Bytes, axum::Error>> {
    stream::once(async {
        // The pause lets the connection send what it holds before it learns of the end.
        tokio::task::yield_now().await;
        let text = "the server breaks off here, as it was told to";
        Err(axum::Error::new(io::Error::other(text)))
    })
}
