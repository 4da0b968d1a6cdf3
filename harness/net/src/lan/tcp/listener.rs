//! The listening end, for tokio and for axum.

use std::future::pending;
use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Registry, TcpStream};

/// An open port of the LAN. Dropping it closes the port; connections accepted before live on.
#[derive(Debug)]
pub struct TcpListener {
    local: SocketAddrV4,
    incoming: mpsc::Receiver<TcpStream>,
    registry: Arc<Registry>,
}

impl TcpListener {
    pub(in crate::lan) fn new(
        local: SocketAddrV4,
        incoming: mpsc::Receiver<TcpStream>,
        registry: Arc<Registry>,
    ) -> Self {
        Self {
            local,
            incoming,
            registry,
        }
    }

    /// The next connection and its client's address.
    ///
    /// # Errors
    /// [`io::ErrorKind::ConnectionAborted`] when the LAN has ended.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddrV4)> {
        let stream = self
            .incoming
            .recv()
            .await
            .ok_or(io::ErrorKind::ConnectionAborted)?;
        let peer = stream.peer_addr();
        Ok((stream, peer))
    }

    /// The address and port that clients connect to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddrV4 {
        self.local
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.registry.close(self.local);
    }
}

impl axum::serve::Listener for TcpListener {
    type Io = TcpStream;
    type Addr = SocketAddrV4;

    async fn accept(&mut self) -> (TcpStream, SocketAddrV4) {
        match TcpListener::accept(self).await {
            Ok(accepted) => accepted,
            // axum knows no end of a listener.
            Err(_) => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddrV4> {
        Ok(self.local)
    }
}
