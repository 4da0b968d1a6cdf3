//! The copying itself.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::serve::Listener;
use shakedown_base::timeline::{AlertEvent, ConnectionEvent};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::sniff::{Sniffer, alert_name};
use crate::serve::serve_connections;
use crate::{Journal, Peer, Server};

/// Bytes copied at a time.
const PIECE: usize = 32 * 1024;
/// How long the server outside may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Copies each connection of `listener` to the server at `to` and back, until the returned server is dropped. Needs a tokio runtime.
pub fn forward<L>(listener: L, to: SocketAddr, journal: Journal) -> Server
where
    L: Listener<Addr: Into<Peer>>,
{
    let log = journal.clone();
    serve_connections(listener, journal, move |io, address| {
        let (peer, journal) = (address.into(), log.clone());
        async move {
            let connection = connection(io, &peer, to, &journal).await;
            journal.connection(connection);
        }
    })
}

/// One direction of a connection.
#[derive(Default)]
struct Direction {
    sniffer: Sniffer,
    bytes: u64,
}

impl Direction {
    /// Copies until `from` ends, and then ends `to`.
    async fn copy(
        &mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        loop {
            let read = from.read(&mut piece).await?;
            if read == 0 {
                return to.shutdown().await;
            }
            let bytes = piece.get(..read).unwrap_or_default();
            self.sniffer.feed(bytes);
            to.write_all(bytes).await?;
            to.flush().await?;
            self.bytes += read as u64;
        }
    }

    fn alert(&self, from_client: bool) -> Option<AlertEvent> {
        let code = self.sniffer.alert()?;
        let name = alert_name(code).into();
        Some(AlertEvent {
            from_client,
            code,
            name,
        })
    }
}

async fn connection<I>(io: I, peer: &Peer, to: SocketAddr, journal: &Journal) -> ConnectionEvent
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let started = Instant::now();
    let (mut upward, mut downward) = (Direction::default(), Direction::default());
    let error = match timeout(CONNECT, TcpStream::connect(to)).await {
        Ok(Ok(server)) => {
            let (from_client, to_client) = split(io);
            let (from_server, to_server) = split(server);
            let both = tokio::try_join!(
                upward.copy(from_client, to_server),
                downward.copy(from_server, to_client)
            );
            both.err().map(|error| format!("broken off: {error}"))
        }
        Ok(Err(error)) => Some(format!("no connection to {to}: {error}")),
        Err(_) => Some(format!("no connection to {to} within {CONNECT:?}")),
    };
    ConnectionEvent {
        service: journal.service(),
        client: *peer.address.ip(),
        server_name: upward.sniffer.server_name().map(String::from),
        alert: downward.alert(false).or_else(|| upward.alert(true)),
        error,
        to_server: upward.bytes,
        to_client: downward.bytes,
        duration: started.elapsed(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use rustls::version::{TLS12, TLS13};
    use shakedown_base::timeline::{Cursor, Event, ServiceId, Timeline};
    use tokio::net::TcpListener;

    use super::*;
    use crate::TlsOptions;
    use crate::testing::{HOST, PKI, STRANGER, Service, constant};

    /// Puts a forwarder in front of `service`; its tests dial that one then.
    async fn in_front_of(mut service: Service) -> (Service, Server, Timeline) {
        let timeline = Timeline::start();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let journal = Journal::new(ServiceId::Registry, timeline.clone());
        let forwarder = forward(listener, service.address, journal);
        service.address = address;
        (service, forwarder, timeline)
    }

    async fn ended(timeline: &Timeline) -> ConnectionEvent {
        let mut cursor = Cursor::default();
        let wait = timeline.wait_for(&mut cursor, |r| matches!(r.event, Event::Connection(_)));
        let record = timeout(Duration::from_secs(20), wait).await.unwrap();
        match record.event {
            Event::Connection(connection) => connection,
            other => panic!("{other:?}"),
        }
    }

    async fn tls() -> (Service, Server, Timeline) {
        let router = constant(|| Body::from("x".repeat(100_000)));
        let options = TlsOptions::for_ipxe(&PKI.server, PKI.authority.certificate_der());
        in_front_of(Service::tls(ServiceId::Boot, router, &options).await).await
    }

    #[tokio::test]
    async fn tls_passes_through_with_the_clients_own_certificate() {
        for version in [&TLS12, &TLS13] {
            let (service, _forwarder, timeline) = tls().await;
            let mut client = service.dial_tls(Some(&PKI.client), version).await.unwrap();
            assert_eq!(client.get("/").await.body().len(), 100_000);
            drop(client);
            let connection = ended(&timeline).await;
            assert_eq!(connection.server_name.as_deref(), Some(HOST));
            assert_eq!((connection.alert, connection.error), (None, None));
            assert_eq!(connection.service, ServiceId::Registry);
            assert!(connection.to_client > 100_000 && connection.to_server > 100);
            let handshake = service.handshake(&mut Cursor::default()).await;
            assert!(handshake.fingerprint.is_some());
        }
    }

    #[tokio::test]
    async fn an_alert_of_the_server_is_seen() {
        let (service, _forwarder, timeline) = tls().await;
        let refused = service.dial_tls(Some(&STRANGER), &TLS12).await;
        assert!(refused.is_err());
        let alert = ended(&timeline).await.alert.unwrap();
        assert_eq!(
            (alert.from_client, alert.name.as_str()),
            (false, "unknown_ca")
        );
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_said() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (service, server, timeline) =
            in_front_of(Service::plain(ServiceId::Boot, constant(Body::empty)).await).await;
        drop(server);
        // A port that nobody listens on any more.
        let to = gone.local_addr().unwrap();
        drop(gone);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let journal = Journal::new(ServiceId::Registry, timeline.clone());
        let _forwarder = forward(listener, to, journal);
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
        let error = ended(&timeline).await.error.unwrap();
        assert!(
            error.starts_with(&format!("no connection to {to}: ")),
            "{error}"
        );
        drop(service);
    }
}
