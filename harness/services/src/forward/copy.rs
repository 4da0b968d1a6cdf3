//! The copying itself.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::serve::Listener;
use shakedown_base::timeline::{AnswerEvent, ConnectionEvent, Event, TlsEvent};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::observer::{Observer, Seen};
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
        let peer: Peer = address.into();
        let journal = log.of_client(*peer.address.ip());
        async move { connection(io, &peer, to, &journal).await }
    })
}

/// What is written down of a connection while it lasts.
struct Log<'a> {
    observer: Mutex<Observer>,
    journal: &'a Journal,
    client: Ipv4Addr,
    started: Instant,
    /// Why it has ended early. A connection that is not over yet ends with the run.
    error: Option<String>,
}

impl Log<'_> {
    /// Lets the observer look, and writes down what it has seen.
    fn look<R>(&self, look: impl FnOnce(&mut Observer) -> (Vec<Seen>, R)) -> R {
        let mut observer = self.observer.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, result) = look(&mut observer);
        let server_name = observer.server_name().map(String::from);
        for seen in seen {
            self.journal.seen(match seen {
                Seen::Handshake(error) => Event::Tls(TlsEvent {
                    service: self.journal.service(),
                    server_name: server_name.clone(),
                    fingerprint: None,
                    error,
                    duration: self.started.elapsed(),
                }),
                Seen::Answer(answer) => Event::Answer(AnswerEvent {
                    service: self.journal.service(),
                    client: self.client,
                    server_name: server_name.clone(),
                    number: answer.number,
                    bytes: answer.bytes,
                    bytes_before: answer.bytes_before,
                    total: answer.total,
                    total_before: answer.total_before,
                }),
            });
        }
        result
    }

    /// Copies until `from` ends, and then ends `to`.
    async fn copy(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        see: fn(&mut Observer, &[u8]) -> Vec<Seen>,
    ) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        loop {
            let read = from.read(&mut piece).await?;
            if read == 0 {
                return to.shutdown().await;
            }
            let bytes = piece.get(..read).unwrap_or_default();
            self.look(|observer| (see(observer, bytes), ()));
            to.write_all(bytes).await?;
            to.flush().await?;
        }
    }
}

impl Drop for Log<'_> {
    fn drop(&mut self) {
        let error = self.error.take();
        let (to_server, to_client, server_name, alert) = self.look(|observer| {
            let seen = observer.end();
            let (to_server, to_client) = observer.bytes();
            let name = observer.server_name().map(String::from);
            (seen, (to_server, to_client, name, observer.alert()))
        });
        self.journal.seen(Event::Connection(ConnectionEvent {
            service: self.journal.service(),
            client: self.client,
            server_name,
            alert,
            error,
            to_server,
            to_client,
            duration: self.started.elapsed(),
        }));
    }
}

async fn connection<I>(io: I, peer: &Peer, to: SocketAddr, journal: &Journal)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut log = Log {
        observer: Mutex::default(),
        journal,
        client: *peer.address.ip(),
        started: Instant::now(),
        error: Some("broken off with the run".into()),
    };
    log.error = match timeout(CONNECT, TcpStream::connect(to)).await {
        Ok(Ok(server)) => {
            let (from_client, to_client) = split(io);
            let (from_server, to_server) = split(server);
            let both = tokio::try_join!(
                log.copy(from_client, to_server, Observer::client_sent),
                log.copy(from_server, to_client, Observer::server_sent)
            );
            both.err().map(|error| format!("broken off: {error}"))
        }
        Ok(Err(error)) => Some(format!("no connection to {to}: {error}")),
        Err(_) => Some(format!("no connection to {to} within {CONNECT:?}")),
    };
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use rustls::version::{TLS12, TLS13};
    use shakedown_base::timeline::{Cursor, Event, ServiceId, Timeline};
    use tokio::net::TcpListener;

    use super::*;
    use crate::TlsOptions;
    use crate::testing::{HOST, PKI, Service, UNKNOWN_CLIENT, constant};

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
            let records = timeline.snapshot();
            let handshakes: Vec<_> = records
                .iter()
                .filter_map(|r| match &r.event {
                    Event::Tls(tls) => Some((tls.service, tls.error.clone())),
                    _ => None,
                })
                .collect();
            assert_eq!(handshakes, [(ServiceId::Registry, None)], "{version:?}");
            let mut answers = records.iter().filter_map(|r| match &r.event {
                Event::Answer(answer) => Some(answer),
                _ => None,
            });
            let last = answers.next_back().unwrap();
            assert!(
                (100_000..110_000).contains(&last.total),
                "{version:?}: {last:?}"
            );
            let handshake = service.handshake(&mut Cursor::default()).await;
            assert!(handshake.fingerprint.is_some());
        }
    }

    #[tokio::test]
    async fn an_alert_of_the_server_is_seen() {
        let (service, _forwarder, timeline) = tls().await;
        let refused = service.dial_tls(Some(&UNKNOWN_CLIENT), &TLS12).await;
        assert!(refused.is_err());
        let alert = ended(&timeline).await.alert.unwrap();
        assert_eq!(
            (alert.from_client, alert.name.as_str()),
            (false, "unknown_ca")
        );
        let error = timeline.snapshot().into_iter().find_map(|r| match r.event {
            Event::Tls(tls) => tls.error,
            _ => None,
        });
        assert_eq!(
            error.as_deref(),
            Some("TLS alert of the server: unknown_ca (48)")
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
