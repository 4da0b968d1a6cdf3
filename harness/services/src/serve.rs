//! Serves a router on a listener until the server is shut down or dropped.
//!
//! hyper is driven directly rather than through `axum::serve`, whose connections outlive it: here one owner holds all tasks, so
//! that dropping it ends every connection, and each request in progress is journalled as broken off.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::patience::Patient;
use super::valve::{Valve, WithValve};
use super::{Journal, Peer};

/// Bytes that a connection holds for a client that is slower than the server; also the longest head of a request.
const HELD: usize = 64 * 1024;
/// How long a client may take for a request's head, be idle between two requests, and pause in a body: nginx' default for each
/// (`client_header_timeout`, `client_body_timeout`; its `keepalive_timeout` is 75 s).
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections that a listener has at a time; further ones wait in its backlog. As many as a port of the LAN has.
const CONNECTIONS: usize = 512;

/// A running service. It answers until it is dropped, which breaks off its connections, or shut down, which does not.
#[derive(Debug)]
#[must_use = "the service ends when this is dropped"]
pub struct Server {
    task: AbortOnDropHandle<()>,
    stop: CancellationToken,
}

impl Server {
    /// Takes no more connections, lets the requests in progress come to their end for as long as `patience`, and breaks off what is
    /// left then.
    pub async fn shut_down(self, patience: Duration) {
        self.stop.cancel();
        // What has not ended by itself ends with the task, which is dropped here.
        let _ = timeout(patience, self.task).await;
    }
}

/// Starts a task that answers every connection of `listener` with `router`, in HTTP/1.1 with keep-alive, and writes each
/// request to `journal`. Handlers find the [`Peer`] among the request's extensions. Needs a tokio runtime.
pub fn serve<L>(listener: L, router: Router, journal: Journal) -> Server
where
    L: Listener<Addr: Into<Peer>>,
{
    let stop = CancellationToken::new();
    let (log, stopped) = (journal.clone(), stop.clone());
    let connection = move |io, address: L::Addr| {
        let (peer, router) = (address.into(), router.clone());
        connection(io, peer, router, journal.clone(), stopped.clone())
    };
    let accept = accept_all(listener, log, stop.clone(), connection);
    Server {
        task: AbortOnDropHandle::new(tokio::spawn(accept)),
        stop,
    }
}

/// Starts a task that runs `handle` for every connection of `listener`. Needs a tokio runtime.
pub(crate) fn serve_connections<L, F>(
    listener: L,
    journal: Journal,
    handle: impl FnMut(L::Io, L::Addr) -> F + Send + 'static,
) -> Server
where
    L: Listener,
    F: Future<Output = ()> + Send + 'static,
{
    let stop = CancellationToken::new();
    let accept = accept_all(listener, journal, stop.clone(), handle);
    Server {
        task: AbortOnDropHandle::new(tokio::spawn(accept)),
        stop,
    }
}

/// Accepts connections until `stop` and runs `handle` for each in a task of its own; then waits for these tasks. They end with the
/// returned future.
pub(crate) async fn accept_all<L, F>(
    mut listener: L,
    journal: Journal,
    stop: CancellationToken,
    mut handle: impl FnMut(L::Io, L::Addr) -> F,
) where
    L: Listener,
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks: JoinSet<()> = JoinSet::new();
    let watch = |ended: Result<(), JoinError>| {
        if ended.is_err_and(|e| e.is_panic()) {
            journal.note("a connection's task panicked: see the harness's own standard error");
        }
    };
    loop {
        while tasks.len() >= CONNECTIONS {
            tokio::select! {
                Some(ended) = tasks.join_next() => watch(ended),
                () = stop.cancelled() => break,
            }
        }
        let mut accept = pin!(listener.accept());
        let accepted = loop {
            tokio::select! {
                accepted = &mut accept => break Some(accepted),
                Some(ended) = tasks.join_next() => watch(ended),
                () = stop.cancelled() => break None,
            }
        };
        match accepted {
            Some((io, address)) => tasks.spawn(handle(io, address)),
            None => break,
        };
    }
    drop(listener);
    while let Some(ended) = tasks.join_next().await {
        watch(ended);
    }
}

async fn connection<I>(io: I, peer: Peer, router: Router, journal: Journal, stop: CancellationToken)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let valve = Valve::new();
    let answer = service_fn(|request: Request<Incoming>| {
        let (journal, peer, router) = (journal.clone(), peer.clone(), router.clone());
        let mut request = request.map(|body| Patient::new(body, PATIENCE));
        request.extensions_mut().insert(valve.clone());
        async move { Ok::<_, Infallible>(journal.answer(peer, router, request).await) }
    });
    let mut serving = pin!(
        http1::Builder::new()
            .max_buf_size(HELD)
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(
                TokioIo::new(WithValve {
                    stream: io,
                    valve: valve.clone()
                }),
                answer
            )
    );
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    // A client that resets the connection or vanishes is its own business, and the journal says how far it got.
    if let Err(error) = outcome
        && error.is_parse()
    {
        journal.note(format!(
            "{} sent something that is not HTTP: {error}",
            peer.address
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::Method;
    use bytes::Bytes;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;

    use crate::Blob;
    use crate::testing::{Service, constant};
    use shakedown_base::timeline::{Cursor, Event, ServiceId};

    use super::*;

    /// Far more than the buffers on the way hold.
    const LARGE: usize = 64 << 20;

    /// A router whose answers have [`LARGE`] bytes.
    async fn large() -> Router {
        let blob = Blob::from(Bytes::from(vec![0; LARGE]));
        Router::new().fallback(move || {
            let blob = blob.clone();
            async move { blob.body(0..LARGE as u64).await.unwrap() }
        })
    }

    #[tokio::test]
    async fn a_connection_serves_many_requests() {
        let service = Service::plain(ServiceId::Boot, constant(|| Body::from("text"))).await;
        let (mut client, mut cursor) = (service.dial().await, Cursor::default());
        for target in ["/one", "/two?x=y"] {
            assert_eq!(client.get(target).await.body(), "text");
            let request = service.request(&mut cursor).await;
            assert_eq!(
                (request.target.as_str(), request.bytes, request.complete),
                (target, 4, true)
            );
            assert_eq!(
                (request.service, request.host.as_str()),
                (ServiceId::Boot, "boot.example")
            );
        }
    }

    #[tokio::test]
    async fn a_client_that_leaves_early_is_journalled_as_incomplete() {
        let service = Service::plain(ServiceId::Boot, large().await).await;
        let mut client = service.dial().await;
        let mut response = client.send(Method::GET, "/", None).await.unwrap();
        response.frame().await.unwrap().unwrap();
        drop((response, client));
        let request = service.request(&mut Cursor::default()).await;
        assert_eq!((request.status, request.complete), (200, false));
        assert!(
            request.bytes > 0 && request.bytes < LARGE as u64,
            "{}",
            request.bytes
        );
        // The others are served as before.
        assert_eq!(service.dial().await.get("/").await.body().len(), LARGE);
    }

    #[tokio::test]
    async fn dropping_the_server_breaks_its_connections_off() {
        let Service {
            server,
            timeline,
            address,
        } = Service::plain(ServiceId::Boot, large().await).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        stream.read_exact(&mut [0; 64]).await.unwrap();
        drop(server);
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        assert!(read.len() < LARGE);
        let mut cursor = Cursor::default();
        let recorded = timeline.wait_for(&mut cursor, |_| true);
        let record = tokio::time::timeout(Duration::from_secs(20), recorded)
            .await
            .unwrap();
        assert!(matches!(record.event, Event::Request(request) if !request.complete));
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn shutting_down_ends_requests_in_progress_well_and_idle_connections_at_once() {
        let Service {
            server,
            timeline,
            address,
        } = Service::plain(ServiceId::Boot, large().await).await;
        let (mut idle, mut stream) = (
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        );
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        stream.read_exact(&mut [0; 64]).await.unwrap();
        let shut_down = tokio::spawn(server.shut_down(Duration::from_secs(20)));
        assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.len() >= LARGE - 64);
        shut_down.await.unwrap();
        let records = timeline.snapshot();
        assert!(matches!(&records[0].event, Event::Request(request) if request.complete));
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_never_finishes_its_head_is_let_go() {
        let service = Service::plain(ServiceId::Boot, constant(|| Body::from("text"))).await;
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
        let started = tokio::time::Instant::now();
        tokio::time::pause();
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        assert!(started.elapsed() >= PATIENCE, "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn there_are_so_many_connections_and_no_more() {
        let service = Service::plain(ServiceId::Boot, constant(|| Body::from("text"))).await;
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut client = service.dial().await;
            assert_eq!(client.get("/").await.body(), "text");
            open.push(client);
        }
        let mut waiting = service.dial().await;
        let mut request = pin!(waiting.get("/"));
        let early = tokio::time::timeout(Duration::from_millis(200), &mut request).await;
        assert!(early.is_err(), "one more than {CONNECTIONS} was served");
        open.pop();
        assert_eq!(request.await.body(), "text");
    }

    #[tokio::test]
    async fn shutting_down_has_an_end() {
        let service = Service::plain(ServiceId::Boot, large().await).await;
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        stream.read_exact(&mut [0; 64]).await.unwrap();
        // The client reads no more.
        service.server.shut_down(Duration::from_millis(100)).await;
        let mut cursor = Cursor::default();
        let recorded = service.timeline.wait_for(&mut cursor, |_| true);
        let record = timeout(Duration::from_secs(20), recorded).await.unwrap();
        assert!(matches!(record.event, Event::Request(request) if !request.complete));
    }

    #[tokio::test]
    async fn a_client_that_leaves_before_the_answer_has_status_0() {
        let started = Arc::new(Notify::new());
        let notify = Arc::clone(&started);
        let router = Router::new().fallback(move || {
            notify.notify_one();
            std::future::pending::<&str>()
        });
        let service = Service::plain(ServiceId::Boot, router).await;
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        started.notified().await;
        drop(stream);
        let request = service.request(&mut Cursor::default()).await;
        assert_eq!(
            (request.status, request.bytes, request.complete),
            (0, 0, false)
        );
    }

    #[tokio::test]
    async fn noise_is_noted_and_harms_nobody() {
        let service = Service::plain(ServiceId::Boot, constant(|| Body::from("text"))).await;
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream
            .write_all(b"\x16\x03\x01\x00\x05hello\r\n\r\n")
            .await
            .unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
        let note = |record: &shakedown_base::timeline::Record| matches!(&record.event, Event::Note { text, .. } if text.contains("not HTTP"));
        service
            .timeline
            .wait_for(&mut Cursor::default(), note)
            .await;
        assert_eq!(service.dial().await.get("/").await.body(), "text");
    }
}
