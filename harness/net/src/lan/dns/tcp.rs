//! DNS over TCP: the same replies behind a two-byte length.
//!
//! Source: RFC 7766, sections 6 and 8.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Zone;
use crate::lan::tcp::{TcpListener, TcpStream};
use shakedown_base::timeline::Timeline;

/// How long a client may keep a connection without asking anything.
const IDLE: Duration = Duration::from_secs(10);

/// Answers queries until the LAN ends.
pub(in crate::lan) async fn serve(mut listener: TcpListener, zone: Arc<Zone>, timeline: Timeline) {
    let mut clients = JoinSet::new();
    while let Ok((stream, client)) = listener.accept().await {
        while clients.try_join_next().is_some() {}
        let (zone, timeline) = (Arc::clone(&zone), timeline.of_client(*client.ip()));
        // A client that breaks off harms nobody else.
        clients.spawn(async move { drop(converse(stream, &zone, &timeline).await) });
    }
}

async fn converse(mut stream: TcpStream, zone: &Zone, timeline: &Timeline) -> io::Result<()> {
    loop {
        let length = timeout(IDLE, stream.read_u16()).await??;
        let mut message = vec![0; length.into()];
        timeout(IDLE, stream.read_exact(&mut message)).await??;
        let Some((reply, event)) = zone.reply(&message) else {
            return Ok(());
        };
        if let Some(event) = event {
            timeline.emit(event);
        }
        let mut framed = (reply.len() as u16).to_be_bytes().to_vec();
        framed.extend_from_slice(&reply);
        stream.write_all(&framed).await?;
    }
}
