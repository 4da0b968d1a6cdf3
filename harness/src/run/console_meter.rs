//! How much a board has said on its serial ports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::broadcast::error::RecvError;

use crate::console::Console;

/// The bytes that a console has brought so far, as it brings them. Needs a tokio runtime.
pub(super) fn bytes_said(console: &Console) -> Arc<AtomicU64> {
    let bytes = Arc::new(AtomicU64::new(0));
    let (count, mut from_board) = (Arc::clone(&bytes), console.subscribe());
    tokio::spawn(async move {
        loop {
            match from_board.recv().await {
                Ok(chunk) => count.fetch_add(chunk.bytes.len() as u64, Ordering::Relaxed),
                Err(RecvError::Lagged(chunks)) => count.fetch_add(chunks, Ordering::Relaxed),
                Err(RecvError::Closed) => return,
            };
        }
    });
    bytes
}
