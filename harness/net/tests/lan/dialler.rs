//! Connections to guests: what arrives, what is refused, who is not there.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use shakedown_base::mac::Mac;
use shakedown_base::timeline::Timeline;
use shakedown_net::lan::{Config, Dialler, Lan, TcpStream};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::guest::{GATEWAY, Guest};

const MEGABYTES: usize = 2 << 20;
const PORT: u16 = 8080;

fn start() -> (Lan, Guest) {
    let lan = Lan::start(Config::default(), Timeline::start()).unwrap();
    let guest = Guest::at(&lan, 50);
    (lan, guest)
}

fn mac(last: u8) -> Mac {
    Mac([0xb8, 0x27, 0xeb, 0, 0, last])
}

/// The guest sends something, so that the switch has seen it.
async fn shown(guest: &mut Guest) {
    assert!(guest.connect(SocketAddrV4::new(GATEWAY, 9)).await.is_none());
}

fn dial(dialler: &Dialler, last: u8) -> JoinHandle<std::io::Result<TcpStream>> {
    let (dialler, to) = (dialler.clone(), Ipv4Addr::new(10, 0, 2, last));
    tokio::spawn(async move {
        dialler
            .connect(mac(last), SocketAddrV4::new(to, PORT))
            .await
    })
}

/// A guest that listens, and whom somebody dials, as soon as both have shaken hands.
async fn connected(
    lan: &Lan,
    guest: &mut Guest,
) -> (SocketHandle, JoinHandle<std::io::Result<TcpStream>>) {
    shown(guest).await;
    let handle = guest.listen(PORT);
    let client = dial(&lan.dialler(), 50);
    guest
        .until(|guest| (guest.tcp(handle).state() == State::Established).then_some(()))
        .await;
    (handle, client)
}

#[tokio::test(start_paused = true)]
async fn every_byte_comes_to_a_guest_and_back() {
    let (lan, mut guest) = start();
    let (handle, client) = connected(&lan, &mut guest).await;
    let from = guest.tcp(handle).remote_endpoint().unwrap();
    assert_eq!(from.addr.to_string(), GATEWAY.to_string());
    assert!(from.port >= 49152);
    let sent: Vec<u8> = (0..MEGABYTES as u32).map(|n| (n % 251) as u8).collect();
    let copy = sent.clone();
    let client = tokio::spawn(async move {
        let stream = client.await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().port(), PORT);
        let (mut reader, mut writer) = tokio::io::split(stream);
        let write = async {
            writer.write_all(&copy).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut back = Vec::new();
        let read = async { reader.read_to_end(&mut back).await.unwrap() };
        tokio::join!(write, read);
        back
    });
    let answer = vec![9; MEGABYTES];
    let got = guest.converse(handle, &answer, true).await;
    guest.run_for(Duration::from_secs(1)).await;
    assert!(got == sent, "{} of {}", got.len(), sent.len());
    assert!(client.await.unwrap() == answer);
    assert_eq!(lan.statistics().malformed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_port_that_nobody_listens_on_refuses() {
    let (lan, mut guest) = start();
    shown(&mut guest).await;
    let began = Instant::now();
    let client = dial(&lan.dialler(), 50);
    guest.run_for(Duration::from_secs(2)).await;
    let error = client.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_is_gone_or_silent_is_said() {
    let (lan, mut guest) = start();
    let dialler = lan.dialler();
    // It has never sent anything.
    let error = dial(&dialler, 50).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
    shown(&mut guest).await;
    // It is on, and does not answer.
    let silent = dial(&dialler, 50).await.unwrap().unwrap_err();
    assert_eq!(silent.kind(), ErrorKind::TimedOut);
    // What was given up holds nothing.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(lan.statistics().open, 0);
    // Its power is away.
    drop(guest);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let error = dial(&dialler, 50).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_loses_its_power_breaks_the_connection() {
    let (lan, mut guest) = start();
    let (_, client) = connected(&lan, &mut guest).await;
    let mut stream = client.await.unwrap().unwrap();
    drop(guest);
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}
