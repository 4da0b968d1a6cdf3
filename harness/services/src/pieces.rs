//! A file as a body: read piece by piece as the connection takes them, so that a thousand clients of a large file need no memory.
//!
//! What is in the page cache is read on the spot, and nothing is waited for (preadv2(2), `RWF_NOWAIT`). Only what has to come from the disk,
//! or a file system that cannot tell, costs a trip to a thread that may block.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// Bytes per piece. A piece that has been handed to a connection counts as sent in the journal.
const PIECE: u64 = 64 * 1024;

/// A body with the bytes of `range`. It fails if the file ends before them.
pub(super) fn file_body(file: File, range: Range<u64>) -> Body {
    let file = Arc::new(file);
    Body::from_stream(stream::try_unfold(range, move |range| {
        let file = Arc::clone(&file);
        async move {
            if range.is_empty() {
                return Ok::<_, io::Error>(None);
            }
            let length = (range.end - range.start).min(PIECE);
            let piece = read_piece(&file, range.start, length as usize).await?;
            let next = range.start + piece.len() as u64;
            Ok(Some((piece, next..range.end)))
        }
    }))
}

/// At least one byte at `offset`, and at most `length`.
async fn read_piece(file: &Arc<File>, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut piece = vec![0; length];
    let buffer = &mut [IoSliceMut::new(&mut piece)];
    let read = match preadv2(file, buffer, offset, ReadWriteFlags::NOWAIT) {
        Ok(read) => read,
        Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => {
            let file = Arc::clone(file);
            let blocking = move || {
                let read = file.read_at(&mut piece, offset);
                read.map(|read| (piece, read))
            };
            let read;
            (piece, read) = tokio::task::spawn_blocking(blocking).await??;
            read
        }
        Err(error) => return Err(error.into()),
    };
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    piece.truncate(read);
    Ok(piece.into())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_file_that_has_become_shorter_breaks_its_body_off() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(2 * PIECE).unwrap();
        let whole = file_body(file.try_clone().unwrap(), 3..2 * PIECE);
        let bytes = whole.collect().await.unwrap().to_bytes();
        assert_eq!(bytes.len() as u64, 2 * PIECE - 3);
        let error = file_body(file, 0..2 * PIECE + 1).collect().await;
        assert!(error.is_err());
    }
}
