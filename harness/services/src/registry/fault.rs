//! What registries do to their clients: limits, and connections that break off.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt;
use tokio::time::Instant;

use crate::Digest;
use crate::cut::{breaks_off, first};

/// How often manifests may be asked for.
///
/// The pause begins with the first request too many, so that a slow client meets it as well as a fast one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests that are answered before the pause.
    pub requests: u32,
    /// How long none is answered then, which refused clients are told in `Retry-After`.
    pub retry_after: Duration,
}

/// A limit at work.
#[derive(Debug)]
pub(super) struct Quota {
    limit: RateLimit,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: u32,
    pause_ends: Option<Instant>,
}

impl Quota {
    pub(super) fn new(limit: RateLimit) -> Self {
        let state = State {
            left: limit.requests,
            pause_ends: None,
        };
        Self {
            limit,
            state: Mutex::new(state),
        }
    }

    /// Takes one request off the quota, or says in how many seconds to come again.
    pub(super) fn take(&self) -> Result<(), u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.pause_ends.is_some_and(|end| now >= end) {
            state.pause_ends = None;
            state.left = self.limit.requests;
        }
        if state.left > 0 {
            state.left -= 1;
            return Ok(());
        }
        let end = *state
            .pause_ends
            .get_or_insert_with(|| now + self.limit.retry_after);
        // Whole seconds only (RFC 9110, section 10.2.3).
        Err((end - now).as_secs_f64().ceil() as u64)
    }
}

/// Breaks off the first whole transfer of each blob.
#[derive(Debug)]
pub(super) struct BreakOff {
    after: u64,
    broken: Mutex<HashSet<Digest>>,
}

impl BreakOff {
    /// Breaks off after so many bytes.
    pub(super) fn new(after: u64) -> Self {
        Self {
            after,
            broken: Mutex::default(),
        }
    }

    /// The body for the whole blob of `length` bytes, cut short if it is the first.
    pub(super) fn cut(&self, digest: Digest, length: u64, body: Body) -> Body {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if length <= self.after || !broken.insert(digest) {
            return body;
        }
        Body::from_stream(first(body, self.after).chain(breaks_off()))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_pause_begins_with_the_request_too_many() {
        let quota = Quota::new(RateLimit {
            requests: 2,
            retry_after: Duration::from_secs(3),
        });
        for _ in 0..2 {
            assert_eq!(quota.take(), Ok(()));
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        assert_eq!(quota.take(), Err(3));
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(quota.take(), Err(2));
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(quota.take(), Ok(()));
        assert_eq!(quota.take(), Ok(()));
        assert_eq!(quota.take(), Err(3));
    }

    #[tokio::test]
    async fn each_long_blob_breaks_off_once() {
        let break_off = BreakOff::new(5);
        let pieces =
            || Body::from_stream(stream::iter(["abc", "def", "ghi"].map(Ok::<_, io::Error>)));
        let (long, short) = (Digest::of(b"long"), Digest::of(b"short"));
        let mut body = break_off.cut(long, 9, pieces());
        let mut received = Vec::new();
        let error = loop {
            match body.frame().await.unwrap() {
                Ok(frame) => received.extend(frame.into_data().unwrap()),
                Err(error) => break error,
            }
        };
        assert_eq!(received, b"abcde");
        assert!(error.to_string().contains("breaks off"), "{error}");
        for (digest, length) in [(long, 9), (short, 5)] {
            let body = break_off.cut(digest, length, pieces());
            assert_eq!(body.collect().await.unwrap().to_bytes(), "abcdefghi");
        }
    }
}
