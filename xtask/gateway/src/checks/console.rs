//! G16: consoles by TCP.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::setup::Setup;
use crate::outcome::Check;
use crate::wire;
use crate::world::{GATEWAY_PRIVATE, give_address};

/// A host of the private network.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 204);
/// Where the serial multiplexer takes consoles by TCP.
const CONSOLES: u16 = 8006;
/// Its REST interface.
const REST: u16 = 8005;

/// All of them, in order.
pub(super) fn all(setup: &Setup<'_>) -> Vec<Check> {
    setup.say("G16: consoles");
    let address = give_address(HOST);
    vec![
        Check::of(
            "G16a",
            "SALAD.ping is answered, with bytes before it that are none of its",
            address.and_then(|()| ping()),
        ),
        Check::of(
            "G16b",
            "the bytes of two boards never mix; a console goes to another board by a new machine_id",
            apart(),
        ),
    ]
}

fn console() -> Result<TcpStream> {
    connect(CONSOLES)
}

fn connect(port: u16) -> Result<TcpStream> {
    let to = SocketAddrV4::new(GATEWAY_PRIVATE, port);
    let stream = TcpStream::connect_timeout(&to.into(), Duration::from_secs(10))
        .with_context(|| to.to_string())?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    Ok(stream)
}

/// What comes until `text` is in it.
fn read_until(stream: &mut TcpStream, text: &str, patience: Duration) -> Result<String> {
    let (end, mut all, mut buffer) = (Instant::now() + patience, Vec::new(), [0; 4096]);
    loop {
        if let Ok(length) = stream.read(&mut buffer) {
            all.extend(buffer.get(..length).unwrap_or_default());
        }
        let seen = String::from_utf8_lossy(&all).into_owned();
        if seen.contains(text) {
            return Ok(seen);
        }
        ensure!(Instant::now() < end, "no {text:?} in {seen:?}");
    }
}

fn ping() -> Result<String> {
    let mut console = console()?;
    console.write_all(b"\x00\xfc\xffSALAD.ping\r\n")?;
    read_until(&mut console, "SALAD.pong\n", Duration::from_secs(10))?;
    Ok("answered SALAD.pong".into())
}

/// The port that shows a board's console.
fn shown(id: &str) -> Result<TcpStream> {
    let to = SocketAddrV4::new(GATEWAY_PRIVATE, REST);
    let answer = wire::request(HOST, to, "GET", &format!("/api/v1/machine/{id}"), None)?.json()?;
    let port = answer["tcp_port_logs"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok());
    connect(port.context("no port for the console")?)
}

fn apart() -> Result<String> {
    let (mut one, mut two) = (console()?, console()?);
    let (mut shown_a, mut shown_b) = (shown("board-a")?, shown("board-b")?);
    // Both readers are there before anything is said: the multiplexer keeps nothing.
    std::thread::sleep(Duration::from_millis(500));
    one.write_all(b"before anybody is known\nSALAD.machine_id=board-a\n")?;
    two.write_all(b"SALAD.machine_id=board-b\n")?;
    read_until(&mut shown_a, "machine_id=board-a", Duration::from_secs(10))?;
    read_until(&mut shown_b, "machine_id=board-b", Duration::from_secs(10))?;
    for number in 0..50 {
        one.write_all(format!("a {number}\n").as_bytes())?;
        two.write_all(format!("b {number}\n").as_bytes())?;
    }
    let seen_a = read_until(&mut shown_a, "a 49\n", Duration::from_secs(10))?;
    let seen_b = read_until(&mut shown_b, "b 49\n", Duration::from_secs(10))?;
    ensure!(
        !seen_a.contains("b ") && !seen_b.contains("a "),
        "the boards' lines are mixed"
    );
    ensure!(
        seen_a.lines().count() == 50 && seen_b.lines().count() == 50,
        "lines are missing"
    );
    one.write_all(b"SALAD.machine_id=board-b\nnow b\n")?;
    read_until(&mut shown_b, "now b\n", Duration::from_secs(10))?;
    Ok("50 lines each; the first console then went to the second board".into())
}
