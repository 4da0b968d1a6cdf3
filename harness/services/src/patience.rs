//! Bodies of requests that must not stop coming.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// A request's body that fails when its next piece takes longer than `limit`.
pub(crate) struct Patient<B> {
    body: B,
    limit: Duration,
    deadline: Pin<Box<Sleep>>,
}

/// The next piece of a body took too long.
#[derive(Debug, thiserror::Error)]
#[error("nothing of the body came for {limit:?}")]
struct Stalled {
    limit: Duration,
}

impl<B> Patient<B> {
    /// `body`, whose pieces may be `limit` apart. Needs a tokio runtime.
    pub(crate) fn new(body: B, limit: Duration) -> Self {
        Self {
            body,
            limit,
            deadline: Box::pin(sleep(limit)),
        }
    }
}

impl<B> Body for Patient<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.deadline.as_mut().reset(Instant::now() + this.limit);
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => match this.deadline.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(Stalled { limit: this.limit }.into()))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use http_body_util::BodyExt;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_taken_and_a_stalled_one_is_not() {
        let piece = |_| async {
            sleep(LIMIT - Duration::from_secs(1)).await;
            Ok::<_, std::convert::Infallible>(Bytes::from_static(b"x"))
        };
        let slow = axum::body::Body::from_stream(stream::iter(0..3).then(piece));
        let whole = Patient::new(slow, LIMIT).collect().await.unwrap();
        assert_eq!(whole.to_bytes(), "xxx");

        let stalled = stream::pending::<Result<Bytes, std::convert::Infallible>>();
        let stalled = axum::body::Body::from_stream(stalled);
        let error = Patient::new(stalled, LIMIT).collect().await.unwrap_err();
        insta::assert_snapshot!(error, @"nothing of the body came for 60s");
    }
}
