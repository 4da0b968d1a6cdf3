//! What the servers saw: each request and each handshake becomes an event on the timeline.
//!
//! A request is journalled once, when its body has been handed to the connection in full or when the connection broke off,
//! whichever comes first. Handed over means taken by the HTTP connection: up to about 200 kilobytes of it may still wait in
//! buffers for a slow or vanished client. A request whose connection broke before there was an answer has the status 0.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, HOST};
use axum::http::{Method, Request, Response, StatusCode};
use axum::response::IntoResponse;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tower::ServiceExt;

use super::Peer;
use super::download::HostFault;
use super::fault::HeadStalls;
use shakedown_base::timeline::{Event, RequestEvent, ServiceId, Timeline, TlsEvent};

/// Characters of a request's target that are written down. A head may have 64 KiB, and the timeline keeps every request.
const LONGEST_TARGET: usize = 2048;
/// Characters of a host's name or a method that are written down.
const LONGEST_NAME: usize = 255;

/// Writes what one service sees onto the timeline. Clones write to the same timeline.
#[derive(Debug, Clone)]
pub struct Journal {
    service: ServiceId,
    timeline: Timeline,
}

impl Journal {
    /// A journal of this service.
    #[must_use]
    pub fn new(service: ServiceId, timeline: Timeline) -> Self {
        Self { service, timeline }
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> ServiceId {
        self.service
    }

    /// The journal of what the client at this address does: the board's that lives there.
    #[must_use]
    pub(crate) fn of_client(&self, address: Ipv4Addr) -> Self {
        Self {
            timeline: self.timeline.of_client(address),
            ..*self
        }
    }

    /// Writes down a handshake.
    pub(crate) fn handshake(
        &self,
        server_name: Option<String>,
        outcome: Result<&Peer, String>,
        duration: Duration,
    ) {
        let fingerprint = outcome.as_ref().ok().and_then(|peer| peer.fingerprint);
        self.timeline.emit(Event::Tls(TlsEvent {
            service: self.service,
            server_name,
            fingerprint: fingerprint.map(|f| f.to_string()),
            error: outcome.err(),
            duration,
        }));
    }

    /// Writes down what was seen of a connection that was forwarded.
    pub(crate) fn seen(&self, event: Event) {
        self.timeline.emit(event);
    }

    /// Writes down something that is neither a request nor a handshake.
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.timeline.note(self.service.name(), text);
    }

    /// Lets `router` answer a request of `peer`, and writes the request down when the returned body is finished or dropped.
    pub(crate) async fn answer<B>(
        &self,
        peer: Peer,
        router: Router,
        mut request: Request<B>,
    ) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let mut entry = Entry {
            event: self.request_event(&peer, &request),
            started: Instant::now(),
            timeline: self.timeline.of_client(*peer.address.ip()).of_this_boot(),
        };
        let head = request.method() == Method::HEAD;
        let response = match &peer.objection {
            Some(objection) => bad_certificate(objection),
            None => {
                request.extensions_mut().insert(peer);
                let Ok(response) = router.oneshot(request).await;
                response
            }
        };
        if let Some(HostFault(text)) = response.extensions().get() {
            self.note(text.clone());
        }
        entry.event.status = response.status().as_u16();
        entry.event.offset = part_offset(&response);
        let expected = match response.extensions().get::<HeadStalls>() {
            Some(HeadStalls) => None,
            None if head => Some(0),
            None => promised_length(&response),
        };
        response.map(|body| Body::new(JournalBody::new(body, entry, expected)))
    }

    fn request_event<B>(&self, peer: &Peer, request: &Request<B>) -> RequestEvent {
        let target = request.uri().path_and_query();
        RequestEvent {
            service: self.service,
            client: *peer.address.ip(),
            fingerprint: peer.fingerprint.map(|f| f.to_string()),
            host: cut(host(request), LONGEST_NAME),
            method: cut(request.method().to_string(), LONGEST_NAME),
            target: cut(
                target.map_or_else(|| request.uri().to_string(), ToString::to_string),
                LONGEST_TARGET,
            ),
            status: 0,
            offset: None,
            bytes: 0,
            complete: false,
            duration: Duration::ZERO,
        }
    }
}

/// The first `longest` characters; an ellipsis says that there were more.
fn cut(mut text: String, longest: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(longest) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What a client with a bad certificate gets for every request; the connection ends then.
fn bad_certificate(objection: &str) -> Response<Body> {
    let text = format!("The SSL certificate error: {objection}\n");
    let headers = [(CONNECTION, "close")];
    (StatusCode::BAD_REQUEST, headers, text).into_response()
}

/// The `Host` header without the port.
fn host<B>(request: &Request<B>) -> String {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|value| value.to_str().ok());
    let host = host.or_else(|| request.uri().host()).unwrap_or_default();
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name.into(),
        _ => host.into(),
    }
}

/// The body's length in bytes, where the response says it in advance.
fn promised_length(response: &Response<Body>) -> Option<u64> {
    let header = response
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    header
        .and_then(|value| value.parse().ok())
        .or_else(|| response.body().size_hint().exact())
}

/// Where the part in a response begins (RFC 9110, section 14.4).
fn part_offset(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range
        .strip_prefix("bytes ")?
        .split_once('-')?
        .0
        .parse()
        .ok()
}

/// A request in progress, which writes itself down when it is dropped.
struct Entry {
    event: RequestEvent,
    started: Instant,
    timeline: Timeline,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.event.duration = self.started.elapsed();
        self.timeline.emit(Event::Request(self.event.clone()));
    }
}

/// A body that counts what is taken from it.
struct JournalBody {
    body: Body,
    /// Taken out, and thereby written down, once the outcome is known.
    entry: Option<Entry>,
    expected: Option<u64>,
}

impl JournalBody {
    fn new(body: Body, entry: Entry, expected: Option<u64>) -> Self {
        let mut this = Self {
            body,
            entry: Some(entry),
            expected,
        };
        this.count(0);
        this
    }

    /// Adds `bytes`, and writes the request down if they were the last. The HTTP connection does not ask again after the
    /// length that the header promised, so the end of the body alone would never be seen.
    fn count(&mut self, bytes: u64) {
        if let Some(entry) = &mut self.entry {
            entry.event.bytes += bytes;
            entry.event.complete = match self.expected {
                Some(expected) => entry.event.bytes >= expected,
                None => self.body.is_end_stream(),
            };
            if entry.event.complete {
                self.entry = None;
            }
        }
    }

    /// The body has ended. Without a promised length that is its completion.
    fn ended(&mut self) {
        if let Some(mut entry) = self.entry.take() {
            entry.event.complete = self.expected.is_none();
        }
    }
}

impl HttpBody for JournalBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => self.count(frame.data_ref().map_or(0, |data| data.len() as u64)),
            Some(Err(_)) => self.entry = None,
            None => self.ended(),
        }
        Poll::Ready(frame)
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
    use std::convert::Infallible;
    use std::net::{Ipv4Addr, SocketAddrV4};

    use axum::routing::get;
    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::*;

    fn request(method: Method) -> Request<Body> {
        let builder = Request::builder().method(method).uri("/a?b=c");
        builder
            .header(HOST, "boot.example:8443")
            .body(Body::empty())
            .unwrap()
    }

    fn chunks() -> Body {
        Body::from_stream(stream::iter(["one", "two"].map(Ok::<_, Infallible>)))
    }

    async fn answer(timeline: &Timeline, router: Router, method: Method) -> Response<Body> {
        let peer = SocketAddrV4::new(Ipv4Addr::new(10, 42, 0, 2), 4000).into();
        Journal::new(ServiceId::Boot, timeline.clone())
            .answer(peer, router, request(method))
            .await
    }

    fn only_request(timeline: &Timeline) -> RequestEvent {
        let records = timeline.snapshot();
        match &records[..] {
            [record] => match &record.event {
                Event::Request(event) => event.clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_body_read_to_its_end_is_complete() {
        let timeline = Timeline::start();
        let router = Router::new().route("/a", get(|| async { chunks() }));
        let response = answer(&timeline, router, Method::GET).await;
        assert!(timeline.snapshot().is_empty());
        response.into_body().collect().await.unwrap();
        let event = only_request(&timeline);
        assert_eq!((event.status, event.bytes, event.complete), (200, 6, true));
        assert_eq!(
            (event.host.as_str(), event.target.as_str()),
            ("boot.example", "/a?b=c")
        );
        assert_eq!(event.client, Ipv4Addr::new(10, 42, 0, 2));
    }

    #[tokio::test]
    async fn what_a_client_sends_is_written_down_within_bounds() {
        let timeline = Timeline::start();
        let request = Request::builder()
            .method(&*"M".repeat(9999))
            .uri(format!("/a?{}", "b".repeat(60_000)))
            .header(HOST, "h".repeat(9999));
        let request = request.body(Body::empty()).unwrap();
        let peer = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4000).into();
        let journal = Journal::new(ServiceId::Boot, timeline.clone());
        drop(journal.answer(peer, Router::new(), request).await);
        let event = only_request(&timeline);
        let lengths = [event.target, event.host, event.method].map(|t| t.chars().count());
        assert_eq!(
            lengths,
            [LONGEST_TARGET + 1, LONGEST_NAME + 1, LONGEST_NAME + 1]
        );
    }

    #[tokio::test]
    async fn a_body_dropped_half_way_is_not() {
        let timeline = Timeline::start();
        let router = Router::new().route("/a", get(|| async { chunks() }));
        let mut body = answer(&timeline, router, Method::GET).await.into_body();
        body.frame().await.unwrap().unwrap();
        drop(body);
        let event = only_request(&timeline);
        assert_eq!((event.bytes, event.complete), (3, false));
    }

    #[tokio::test]
    async fn a_body_shorter_than_promised_is_not_complete() {
        let timeline = Timeline::start();
        let router =
            Router::new().route("/a", get(|| async { ([(CONTENT_LENGTH, "7")], chunks()) }));
        let response = answer(&timeline, router, Method::GET).await;
        response.into_body().collect().await.unwrap();
        assert!(!only_request(&timeline).complete);
    }

    #[tokio::test]
    async fn a_part_says_where_it_begins() {
        let timeline = Timeline::start();
        let router = Router::new().route(
            "/a",
            get(|| async { ([(CONTENT_RANGE, "bytes 100-105/106")], chunks()) }),
        );
        let response = answer(&timeline, router, Method::GET).await;
        response.into_body().collect().await.unwrap();
        assert_eq!(only_request(&timeline).offset, Some(100));
    }

    #[tokio::test]
    async fn a_head_request_is_complete_without_a_body() {
        let timeline = Timeline::start();
        let router = Router::new().route("/a", get(|| async { "text" }));
        drop(answer(&timeline, router, Method::HEAD).await);
        let event = only_request(&timeline);
        assert_eq!((event.status, event.bytes, event.complete), (200, 0, true));
    }

    #[tokio::test]
    async fn a_handler_that_never_answers_leaves_status_0() {
        let timeline = Timeline::start();
        let router = Router::new().route("/a", get(std::future::pending::<&str>));
        let mut pending = Box::pin(answer(&timeline, router, Method::GET));
        assert!(futures_util::poll!(&mut pending).is_pending());
        drop(pending);
        let event = only_request(&timeline);
        assert_eq!((event.status, event.complete), (0, false));
    }
}
