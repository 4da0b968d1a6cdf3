//! A connection as services see it.

use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddrV4;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use smoltcp::socket::tcp::{RecvError, Socket, State};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::engine::{BUFFER, Conn};
use super::link::Link;
use super::turn::ConnId;

/// Bytes read after which the peer is told about the room: often enough that it never stalls.
const ANNOUNCE: usize = BUFFER / 8;

/// A TCP connection with a guest.
///
/// Dropping it closes it in order, in the background; when there are bytes that nobody has read, the peer gets a reset, as from
/// any operating system.
#[derive(Debug)]
pub struct TcpStream {
    link: Arc<Link>,
    id: ConnId,
    peer: SocketAddrV4,
}

impl TcpStream {
    pub(super) fn new(link: Arc<Link>, id: ConnId, peer: SocketAddrV4) -> Self {
        Self { link, id, peer }
    }

    /// The guest's address and port.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddrV4 {
        self.peer
    }

    /// Works on the socket; the error stands for a connection that was ended from this side of the cable.
    fn with<R>(&self, work: impl FnOnce(&mut Socket<'static>, &mut Conn) -> R) -> io::Result<R> {
        self.link
            .with(self.id, work)
            .ok_or_else(|| ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut has_room = false;
        let result =
            self.with(
                |socket, conn| match socket.recv_slice(buffer.initialize_unfilled()) {
                    Ok(0) => {
                        conn.reader = Some(cx.waker().clone());
                        Poll::Pending
                    }
                    Ok(read) => {
                        buffer.advance(read);
                        conn.unannounced += read;
                        has_room = conn.unannounced >= ANNOUNCE;
                        Poll::Ready(Ok(()))
                    }
                    Err(RecvError::Finished) => Poll::Ready(Ok(())),
                    Err(RecvError::InvalidState) => Poll::Ready(Err(broken(conn))),
                },
            )?;
        if has_room {
            self.link.ring();
        }
        result
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if data.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let result = self.with(|socket, conn| {
            let mut written = 0;
            for slice in data {
                match socket.send_slice(slice) {
                    Ok(sent) => written += sent,
                    Err(_) => return Poll::Ready(Err(unwritable(socket, conn))),
                }
            }
            if written == 0 {
                conn.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Ok(written))
        })?;
        if result.is_ready() {
            self.link.ring();
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Does nothing: what was written is as good as in a kernel.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Sends FIN behind what was written. The peer may go on sending.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|socket, _| socket.close())?;
        self.link.ring();
        Poll::Ready(Ok(()))
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        // A connection that is gone already needs no goodbye. The wakers leave the lock first: dropping one may drop a whole task.
        let _wakers = self.with(|socket, conn| {
            conn.is_orphan = true;
            socket.close();
            (conn.reader.take(), conn.writer.take())
        });
        self.link.ring();
    }
}

/// Why a connection ended without a FIN.
fn broken(conn: &Conn) -> io::Error {
    let kind = if conn.is_reset {
        ErrorKind::ConnectionReset
    } else {
        ErrorKind::TimedOut
    };
    kind.into()
}

fn unwritable(socket: &Socket<'_>, conn: &Conn) -> io::Error {
    if socket.state() == State::Closed {
        broken(conn)
    } else {
        ErrorKind::BrokenPipe.into()
    }
}
