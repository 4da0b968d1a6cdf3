//! Connections: what arrives, what is refused, how they end.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use axum::routing::get;
use shakedown_base::timeline::{Event, Timeline};
use shakedown_net::lan::{Config, Lan, TcpListener};
use smoltcp::socket::tcp::State;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::guest::{Guest, accept};

/// A server of the world outside.
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 5), 80);
const MEGABYTES: usize = 8 << 20;

fn start() -> (Lan, Guest) {
    let lan = Lan::start(Config::default(), Timeline::start()).unwrap();
    let guest = Guest::at(&lan, 50);
    (lan, guest)
}

fn listen(lan: &Lan) -> TcpListener {
    lan.listen(*SERVER.ip(), SERVER.port()).unwrap()
}

/// Fails if anything since `start` waited for a timer of TCP, such as a retransmission: the clock stands still otherwise.
fn assert_no_wait(start: Instant) {
    assert!(
        start.elapsed() < Duration::from_millis(900),
        "waited {:?}",
        start.elapsed()
    );
}

/// Bytes of which no two stretches are alike.
fn content(length: usize) -> Vec<u8> {
    (0..length as u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_echo_returns_every_byte() {
    let (lan, mut guest) = start();
    let mut listener = listen(&lan);
    let server = tokio::spawn(async move {
        let stream = accept(&mut listener).await;
        let peer = stream.peer_addr();
        let (mut reader, mut writer) = tokio::io::split(stream);
        let copied = tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
        (copied, peer)
    });
    let start = Instant::now();
    let connection = guest.connect(SERVER).await.unwrap();
    let sent = content(MEGABYTES);
    let echoed = guest.converse(connection, &sent, true).await;
    assert_no_wait(start);
    assert!(
        echoed == sent,
        "{} of {} bytes came back, or not the same",
        echoed.len(),
        sent.len()
    );
    let (copied, peer) = server.await.unwrap();
    assert_eq!(
        (copied, *peer.ip()),
        (MEGABYTES as u64, Ipv4Addr::new(10, 0, 2, 50))
    );
    let statistics = lan.statistics();
    assert_eq!(
        (
            statistics.overflowed,
            statistics.malformed,
            statistics.connections
        ),
        (0, 0, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_hundred_connections_share_a_cable_without_loss() {
    const EACH: usize = 100_000;
    let (lan, mut guest) = start();
    let mut listener = listen(&lan);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let number = stream.read_u8().await.unwrap();
                stream.write_all(&vec![number; EACH]).await.unwrap();
            });
        }
    });
    let start = Instant::now();
    let connections: Vec<_> = (0..100u8).map(|_| guest.dial(SERVER)).collect();
    let mut received = vec![0; connections.len()];
    let mut asked = vec![false; connections.len()];
    let done = guest.until(|guest| {
        for (index, &handle) in connections.iter().enumerate() {
            let number = u8::try_from(index).unwrap();
            let socket = guest.tcp(handle);
            if socket.may_send() && !asked[index] {
                asked[index] = socket.send_slice(&[number]).unwrap() == 1;
            }
            while socket.can_recv() {
                let length = socket.recv(|bytes| {
                    assert!(bytes.iter().all(|byte| *byte == number));
                    (bytes.len(), bytes.len())
                });
                received[index] += length.unwrap();
            }
        }
        received.iter().all(|length| *length == EACH).then_some(())
    });
    done.await;
    assert_no_wait(start);
    let statistics = lan.statistics();
    assert_eq!((statistics.connections, statistics.overflowed), (100, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_a_refusal() {
    let timeline = Timeline::start();
    let lan = Lan::start(Config::default(), timeline.clone()).unwrap();
    let mut guest = Guest::at(&lan, 50);
    let listener = listen(&lan);
    assert_eq!(
        guest.connect(SocketAddrV4::new(*SERVER.ip(), 81)).await,
        None
    );
    assert_eq!(
        guest
            .connect(SocketAddrV4::new(Ipv4Addr::new(8, 8, 8, 8), 80))
            .await,
        None
    );
    drop(listener);
    assert_eq!(guest.connect(SERVER).await, None, "a closed port");
    assert_eq!(
        (lan.statistics().refused, lan.statistics().connections),
        (3, 0)
    );
    guest.connect(SERVER).await;
    let notes = timeline
        .snapshot()
        .into_iter()
        .filter(|r| matches!(r.event, Event::Note { .. }));
    assert_eq!(notes.count(), 3, "one for each address");
}

#[tokio::test(start_paused = true)]
async fn each_half_closes_on_its_own() {
    let (lan, mut guest) = start();
    let mut listener = listen(&lan);
    let server = tokio::spawn(async move {
        let mut stream = accept(&mut listener).await;
        let mut question = String::new();
        stream.read_to_string(&mut question).await.unwrap();
        stream.write_all(b"answer").await.unwrap();
        stream.shutdown().await.unwrap();
        let late = stream.write_all(b"more").await.unwrap_err();
        (question, late.kind())
    });
    let connection = guest.connect(SERVER).await.unwrap();
    let answer = guest.converse(connection, b"question", true).await;
    assert_eq!(answer, b"answer");
    assert_eq!(
        server.await.unwrap(),
        ("question".to_owned(), ErrorKind::BrokenPipe)
    );
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_an_error_for_reader_and_writer() {
    let (lan, mut guest) = start();
    let mut listener = listen(&lan);
    let server = tokio::spawn(async move {
        let mut stream = accept(&mut listener).await;
        let read = stream.read_u8().await.unwrap_err();
        let write = stream.write_all(b"x").await.unwrap_err();
        (read.kind(), write.kind())
    });
    let connection = guest.connect(SERVER).await.unwrap();
    guest.tcp(connection).abort();
    guest.run_for(Duration::from_secs(1)).await;
    assert_eq!(
        server.await.unwrap(),
        (ErrorKind::ConnectionReset, ErrorKind::ConnectionReset)
    );
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_lost_its_power_times_out() {
    let (lan, mut guest) = start();
    let mut listener = listen(&lan);
    guest.connect(SERVER).await.unwrap();
    // The cable stays plugged in, but nobody answers.
    let mut stream = accept(&mut listener).await;
    assert_eq!(
        stream.read_u8().await.unwrap_err().kind(),
        ErrorKind::TimedOut
    );
    drop(guest);
}

#[tokio::test(start_paused = true)]
async fn an_unplugged_cable_and_an_ended_lan_break_connections() {
    let (lan, mut guest) = start();
    let mut listener = listen(&lan);
    guest.connect(SERVER).await.unwrap();
    let mut stream = accept(&mut listener).await;
    drop(guest);
    assert_eq!(
        stream.read_u8().await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );

    let mut guest = Guest::at(&lan, 51);
    guest.connect(SERVER).await.unwrap();
    let mut stream = accept(&mut listener).await;
    drop(lan);
    assert_eq!(
        stream.read_u8().await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    assert_eq!(
        listener.accept().await.unwrap_err().kind(),
        ErrorKind::ConnectionAborted
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_a_stream_closes_it_or_resets_what_nobody_read() {
    let (lan, mut guest) = start();
    let mut listener = listen(&lan);
    let polite = guest.connect(SERVER).await.unwrap();
    drop(accept(&mut listener).await);
    guest
        .until(|guest| (guest.tcp(polite).state() == State::CloseWait).then_some(()))
        .await;

    let rude = guest.connect(SERVER).await.unwrap();
    guest.tcp(rude).send_slice(b"unheard").unwrap();
    guest.run_for(Duration::from_millis(10)).await;
    drop(accept(&mut listener).await);
    guest
        .until(|guest| (guest.tcp(rude).state() == State::Closed).then_some(()))
        .await;
}

#[tokio::test(start_paused = true)]
async fn closed_connections_are_forgotten() {
    let (lan, mut guest) = start();
    let mut listener = listen(&lan);
    // One side says goodbye first, then the other, then one of them never does.
    let first = guest.connect(SERVER).await.unwrap();
    drop(accept(&mut listener).await);
    guest.run_for(Duration::from_millis(10)).await;
    guest.tcp(first).close();
    guest.run_for(Duration::from_millis(10)).await;
    assert_eq!(lan.statistics().open, 1, "it waits for a repeated FIN");
    let second = guest.connect(SERVER).await.unwrap();
    guest.tcp(second).close();
    guest.run_for(Duration::from_millis(10)).await;
    drop(accept(&mut listener).await);
    guest.connect(SERVER).await.unwrap();
    drop(accept(&mut listener).await);
    guest.run_for(Duration::from_secs(5)).await;
    assert_eq!(lan.statistics().open, 1, "only the third is left");
    guest.run_for(Duration::from_secs(60)).await;
    assert_eq!(lan.statistics().open, 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_slows_the_guest_down() {
    let (lan, mut guest) = start();
    let mut listener = listen(&lan);
    let connection = guest.connect(SERVER).await.unwrap();
    let sent = content(1 << 20);
    let server = tokio::spawn(async move {
        let mut stream = accept(&mut listener).await;
        let mut read = Vec::new();
        let mut buffer = vec![0; 10_000];
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            match stream.read(&mut buffer).await.unwrap() {
                0 => return read,
                length => read.extend_from_slice(&buffer[..length]),
            }
        }
    });
    guest.converse(connection, &sent, true).await;
    assert!(server.await.unwrap() == sent);
}

#[tokio::test(start_paused = true)]
async fn axum_serves_over_the_lan() {
    let (lan, mut guest) = start();
    let listener = listen(&lan);
    let body = content(300_000);
    let expected = body.clone();
    let app = axum::Router::new().route("/files/initramfs", get(move || async move { body }));
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let connection = guest.connect(SERVER).await.unwrap();
    let request =
        b"GET /files/initramfs HTTP/1.1\r\nhost: boot.example\r\nconnection: close\r\n\r\n";
    let response = guest.converse(connection, request, false).await;
    let head = response.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    assert!(response.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(response[head + 4..] == expected);
    server.abort();
}
