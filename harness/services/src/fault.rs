//! Answers with a defect: what a scenario's faults do to a server's answers over HTTP.
//!
//! The router answers as ever, and what it answers is spoiled on its way out, so that every server can have every defect. The journal sees what
//! the client sees. Source: RFC 9110, sections 8.6 (Content-Length) and 15.4 (redirection).

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, LOCATION};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use futures_util::{StreamExt, future, stream};
use shakedown_base::fault::{AnswerDefect, Defect, Faults};
use shakedown_base::timeline::ServiceId;
use tokio::time::sleep;
use tower::ServiceExt;

use crate::Peer;
use crate::cut::{breaks_off, first};
use crate::valve::Valve;

/// Pieces that a slow server sends in a second, if it sends as many bytes.
const PIECES: u64 = 10;

/// The same server, with those of `faults` that are of its answers.
pub fn with_faults(router: Router, service: ServiceId, faults: Faults) -> Router {
    Router::new().fallback(move |request: Request| {
        let (router, faults) = (router.clone(), faults.clone());
        async move { answer(router, service, &faults, request).await }
    })
}

async fn answer(
    router: Router,
    service: ServiceId,
    faults: &Faults,
    request: Request,
) -> Response<Body> {
    let target = request.uri().path_and_query();
    let target = target.map_or_else(|| request.uri().to_string(), ToString::to_string);
    let place = format!("{service} server, {} {target}", request.method());
    let peer = request.extensions().get::<Peer>();
    let of_client = peer.map(|peer| faults.of_client(*peer.address.ip()));
    let defect = chosen(
        service,
        of_client.as_ref().unwrap_or(faults),
        &target,
        &place,
    );
    let valve = request.extensions().get::<Valve>().cloned();
    match defect {
        Some(AnswerDefect::NoAnswer) => return future::pending().await,
        Some(AnswerDefect::Status(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            return (status, "this server has a fault, as it was told to\n").into_response();
        }
        Some(AnswerDefect::RedirectLoop) => {
            return (StatusCode::FOUND, [(LOCATION, target)]).into_response();
        }
        _ => {}
    }
    let Ok(response) = router.oneshot(request).await;
    if let (Some(AnswerDefect::StallHead(bytes)), Some(valve)) = (defect, valve) {
        valve.close_after(bytes.0);
    }
    match defect {
        Some(defect) => spoiled(response, defect),
        None => response,
    }
}

/// The defect that shows in the answer to this request.
fn chosen(service: ServiceId, faults: &Faults, target: &str, place: &str) -> Option<AnswerDefect> {
    faults.at_work().find_map(|(index, defect)| match defect {
        Defect::Http(http) if http.service == service => {
            let pattern = http.target.as_ref();
            let is_meant = pattern.is_none_or(|pattern| pattern.regex().is_match(target));
            is_meant.then(|| faults.count(index))??;
            faults.fires(index, place).then_some(http.answer)
        }
        _ => None,
    })
}

/// The answer with a defect in its body.
fn spoiled(response: Response<Body>, defect: AnswerDefect) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let length = head.headers.get(CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|text| text.to_str().ok()?.parse().ok());
    let body = match defect {
        AnswerDefect::Stall(at) => Body::from_stream(first(body, at.0).chain(never())),
        AnswerDefect::BreakOff(at) => Body::from_stream(first(body, at.0).chain(breaks_off())),
        AnswerDefect::Truncate(at) => {
            let shorter = length.map_or(at.0, |length| length.min(at.0));
            head.headers.insert(CONTENT_LENGTH, shorter.into());
            Body::from_stream(first(body, shorter))
        }
        AnswerDefect::PromiseMore(bytes) => {
            let promised = length.map(|length| length + bytes.0);
            if let Some(promised) = promised {
                head.headers
                    .insert(CONTENT_LENGTH, HeaderValue::from(promised));
            }
            Body::from_stream(body.into_data_stream().chain(breaks_off()))
        }
        AnswerDefect::Corrupt(at) => corrupted(body, at.0),
        AnswerDefect::Trickle(rate) => trickling(body, rate.0),
        // Its head stops before.
        AnswerDefect::StallHead(_) => {
            head.extensions.insert(HeadStalls);
            Body::from_stream(never())
        }
        AnswerDefect::Status(_) | AnswerDefect::RedirectLoop | AnswerDefect::NoAnswer => body,
    };
    Response::from_parts(head, body)
}

/// On a response: it never comes to the end of its head, so that nobody has it whole, whatever its body is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadStalls;

/// The rest of a body, of which nothing ever comes.
fn never() -> impl futures_util::Stream<Item = Result<Bytes, axum::Error>> {
    stream::pending()
}

/// The body with the bits of one byte turned over.
fn corrupted(body: Body, at: u64) -> Body {
    let mut before = 0u64;
    Body::from_stream(body.into_data_stream().map(move |piece| {
        let piece = piece?;
        let place = at.checked_sub(before);
        before += piece.len() as u64;
        let mut bytes = piece.to_vec();
        let byte = place.and_then(|place| bytes.get_mut(usize::try_from(place).ok()?));
        Ok::<_, axum::Error>(match byte {
            Some(byte) => {
                *byte = !*byte;
                bytes.into()
            }
            None => piece,
        })
    }))
}

/// The body at so many bytes a second.
fn trickling(body: Body, rate: u64) -> Body {
    let size = usize::try_from(rate.div_ceil(PIECES).max(1)).unwrap_or(usize::MAX);
    let pieces = body.into_data_stream().flat_map(move |piece| {
        let parts = match piece {
            Ok(piece) => {
                let parts = (0..piece.len()).step_by(size);
                let parts = parts.map(|start| piece.slice(start..(start + size).min(piece.len())));
                parts.map(Ok).collect()
            }
            Err(error) => vec![Err(error)],
        };
        stream::iter(parts)
    });
    Body::from_stream(
        pieces.then(move |piece: Result<Bytes, axum::Error>| async move {
            let bytes = piece.as_ref().map_or(0, Bytes::len);
            sleep(Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64)).await;
            piece
        }),
    )
}

#[cfg(test)]
mod tests {
    use axum::http::header::HOST;
    use http_body_util::BodyExt;
    use shakedown_base::fault::{Fault, HttpDefect};
    use shakedown_base::input::ByteSize;
    use shakedown_base::timeline::{Event, Timeline};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::{Instant, timeout};

    use crate::testing::Service;

    use super::*;

    const WHOLE: &str = "0123456789";

    /// A server with ten bytes at each address, and a fault: once, at the second request for `/file`.
    fn server(answer: AnswerDefect) -> (Router, Timeline) {
        let timeline = Timeline::start();
        let defect = Defect::Http(HttpDefect {
            service: ServiceId::Boot,
            target: serde_json::from_str("\"^/file\"").unwrap(),
            answer,
        });
        let fault = Fault {
            skip: 1,
            times: Some(1),
            ..Fault::new("a fault", defect)
        };
        let faults = Faults::new(1, vec![fault], timeline.clone());
        let router = Router::new().fallback(|| async { WHOLE });
        (with_faults(router, ServiceId::Boot, faults), timeline)
    }

    async fn get(router: &Router, target: &str) -> Response<Body> {
        let request = Request::get(target).header(HOST, "boot.example");
        let request = request.body(Body::empty()).unwrap();
        let Ok(response) = router.clone().oneshot(request).await;
        response
    }

    /// What comes of a body, and whether it is whole.
    async fn read(mut body: Body) -> (String, bool) {
        let mut text = Vec::new();
        loop {
            let frame = timeout(Duration::from_secs(3600), body.frame()).await;
            match frame {
                Ok(Some(Ok(frame))) => text.extend(frame.into_data().unwrap_or_default()),
                Ok(None) => return (String::from_utf8_lossy(&text).into(), true),
                Ok(Some(Err(_))) | Err(_) => return (String::from_utf8_lossy(&text).into(), false),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_shows_where_and_as_often_as_it_should() {
        let (router, timeline) = server(AnswerDefect::Status(503));
        let mut statuses = Vec::new();
        for target in ["/file", "/other", "/file?x", "/file"] {
            statuses.push(get(&router, target).await.status().as_u16());
        }
        assert_eq!(statuses, [200, 200, 503, 200]);
        let events: Vec<_> = timeline.snapshot().into_iter().map(|r| r.event).collect();
        let fired = Event::Fault {
            name: "a fault".into(),
            place: "boot server, GET /file?x".into(),
            nth: 1,
        };
        assert_eq!(events, [fired]);
    }

    #[tokio::test(start_paused = true)]
    async fn each_defect_is_what_it_says() {
        let size = |bytes| ByteSize(bytes);
        for (defect, text, is_whole, length) in [
            (AnswerDefect::Stall(size(4)), "0123", false, 10),
            (AnswerDefect::BreakOff(size(4)), "0123", false, 10),
            (AnswerDefect::Truncate(size(4)), "0123", true, 4),
            (AnswerDefect::Truncate(size(99)), WHOLE, true, 10),
            (AnswerDefect::PromiseMore(size(5)), WHOLE, false, 15),
            (AnswerDefect::Trickle(size(5)), WHOLE, true, 10),
        ] {
            let (router, _) = server(defect);
            get(&router, "/file").await;
            let response = get(&router, "/file").await;
            let said = response.headers().get(CONTENT_LENGTH).unwrap();
            assert_eq!(said.to_str().unwrap(), length.to_string(), "{defect:?}");
            let started = Instant::now();
            let body = read(response.into_body()).await;
            assert_eq!(body, (text.to_owned(), is_whole), "{defect:?}");
            if let AnswerDefect::Trickle(_) = defect {
                assert_eq!(started.elapsed().as_secs(), 2, "five bytes a second");
            }
        }
        let (router, _) = server(AnswerDefect::Corrupt(size(3)));
        get(&router, "/file").await;
        let body = get(&router, "/file").await.into_body();
        let bytes = body.collect().await.unwrap().to_bytes();
        assert_eq!(bytes[..], *b"012\xcc456789");
    }

    #[tokio::test]
    async fn a_head_stops_in_the_middle_and_the_connection_stays() {
        let (router, _) = server(AnswerDefect::StallHead(ByteSize(12)));
        let service = Service::plain(ServiceId::Boot, router).await;
        let mut client = TcpStream::connect(service.address).await.unwrap();
        let request = b"GET /file HTTP/1.1\r\nHost: boot.example\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(WHOLE.as_bytes()) {
            client.read_buf(&mut said).await.unwrap();
        }
        client.write_all(request).await.unwrap();
        let mut head = [0; 12];
        client.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        let more = timeout(Duration::from_millis(200), client.read_u8()).await;
        assert!(more.is_err(), "{more:?}");
        drop(client);
        // Another connection is not concerned.
        let mut client = service.dial().await;
        assert_eq!(client.get("/file").await.body(), WHOLE);
        let mut whole = Vec::new();
        while whole.len() < 3 {
            tokio::task::yield_now().await;
            let records = service.timeline.snapshot().into_iter();
            whole = records
                .filter_map(|record| match record.event {
                    Event::Request(request) => Some(request.complete),
                    _ => None,
                })
                .collect();
        }
        assert_eq!(whole, [true, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_redirect_leads_nowhere_and_silence_has_no_end() {
        let (router, _) = server(AnswerDefect::RedirectLoop);
        get(&router, "/file").await;
        let response = get(&router, "/file?x=y").await;
        assert_eq!(response.status(), StatusCode::FOUND);
        assert_eq!(response.headers()[LOCATION], "/file?x=y");
        let (router, _) = server(AnswerDefect::NoAnswer);
        get(&router, "/file").await;
        let silent = timeout(Duration::from_secs(3600), get(&router, "/file")).await;
        assert!(silent.is_err());
        assert_eq!(get(&router, "/file").await.status(), StatusCode::OK);
    }
}
