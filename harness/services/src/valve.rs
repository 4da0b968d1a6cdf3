//! A connection whose answers can be stopped after a number of bytes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Stops what a server says on a connection. Handlers find it among the request's extensions.
#[derive(Debug, Clone)]
pub(crate) struct Valve {
    /// Bytes that may still be written.
    left: Arc<AtomicU64>,
}

impl Valve {
    pub(crate) fn new() -> Self {
        let left = Arc::new(AtomicU64::new(u64::MAX));
        Self { left }
    }

    fn is_open(&self) -> bool {
        self.left.load(Ordering::Relaxed) == u64::MAX
    }

    /// Only so many bytes more are written. The connection stays.
    pub(crate) fn close_after(&self, bytes: u64) {
        self.left.store(bytes, Ordering::Relaxed);
    }
}

/// A connection with a valve.
pub(crate) struct WithValve<S> {
    pub(crate) stream: S,
    pub(crate) valve: Valve,
}

impl<S: AsyncRead + Unpin> AsyncRead for WithValve<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WithValve<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.valve.is_open() {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        let left = self.valve.left.load(Ordering::Relaxed);
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let may = bytes.get(..most).unwrap_or(bytes);
        if may.is_empty() {
            // What may go has to arrive. A closed valve stays closed: there is nothing to be woken for.
            return match Pin::new(&mut self.stream).poll_flush(context) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Pending,
            };
        }
        let written = Pin::new(&mut self.stream).poll_write(context, may);
        if let Poll::Ready(Ok(count)) = written {
            let left = &self.valve.left;
            left.fetch_sub(count as u64, Ordering::Relaxed);
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.valve.is_open() {
            return Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty());
        self.poll_write(context, first.map_or(&[], |slice| slice))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_closed_valve_lets_out_what_it_was_told_and_what_comes_in() {
        let (mut client, stream) = tokio::io::duplex(64);
        let valve = Valve::new();
        let mut server = WithValve {
            stream,
            valve: valve.clone(),
        };
        server.write_all(b"whole").await.unwrap();
        valve.close_after(3);
        let stuck = tokio::spawn(async move {
            let mut asked = [0; 2];
            server.read_exact(&mut asked).await.unwrap();
            server.write_all(&asked).await.unwrap();
            server.write_all(b"more").await
        });
        client.write_all(b"ab").await.unwrap();
        let mut said = [0; 8];
        client.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"wholeabm");
        tokio::task::yield_now().await;
        assert!(!stuck.is_finished());
        stuck.abort();
        assert!(stuck.await.unwrap_err().is_cancelled());
        assert_eq!(client.read(&mut said).await.unwrap(), 0);
    }
}
