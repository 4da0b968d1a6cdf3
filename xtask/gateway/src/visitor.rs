//! A client of a gateway that runs on a board: asks its REST interface until it answers, then registers a machine.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::wire;

/// Between two tries while nobody answers.
const PAUSE: Duration = Duration::from_secs(2);

/// A client that asks until it has an answer or is stopped.
pub struct Visitor {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Option<Answered>>,
}

/// What a gateway has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Since the client began to ask.
    pub after: Duration,
    /// Bytes of the answer.
    pub bytes: usize,
    /// The status of the registration; `None` where the answer did not come, since the run may end as soon as the machine is stored.
    pub registered: Option<u16>,
}

impl Visitor {
    /// Begins to ask at a port of this machine that leads to port 80 of the board.
    #[must_use]
    pub fn start(port: u16) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let stop = ended.clone();
        let thread = std::thread::spawn(move || {
            let begun = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                match visit(port) {
                    Ok((bytes, registered)) => {
                        return Some(Answered {
                            after: begun.elapsed(),
                            bytes,
                            registered,
                        });
                    }
                    Err(_) => std::thread::sleep(PAUSE),
                }
            }
            None
        });
        Self { ended, thread }
    }

    /// Stops asking; what was answered, if anything was.
    #[must_use]
    pub fn end(self) -> Option<Answered> {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().ok().flatten()
    }
}

/// One visit: bytes of the farm's state, and the status of a registration.
fn visit(port: u16) -> Result<(usize, Option<u16>)> {
    let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let ask = |method, path, body| wire::request(Ipv4Addr::LOCALHOST, to, method, path, body);
    let state = ask("GET", "/api/v1/full-state", None)?;
    ensure!(state.status == 200, "status {}", state.status);
    state.json()?["duts"]
        .as_object()
        .context("no machines in the state of a farm")?;
    let machine = json!({
        "base_name": "visitor", "tags": [], "mac_address": "52:54:00:42:00:99", "ip_address": "10.42.0.199", "local_tty_device": "ttyS0",
    });
    let machine = machine.to_string();
    let body = Some(("application/json", machine.as_bytes()));
    let registered = ask("POST", "/api/v1/dut/", body);
    // Executor 0.0.3 cannot say the farm's state while there is a machine without a plug, so it must not stay.
    ask("DELETE", "/api/v1/dut/52:54:00:42:00:99", None).ok();
    Ok((
        state.body.len(),
        registered.ok().map(|answer| answer.status),
    ))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Answers requests, one connection each, with these statuses and bodies; what was asked.
    fn server(answers: Vec<(&'static str, &'static str)>) -> (u16, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let answer = |(status, body): (&str, &str)| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = vec![0; 4096];
                let length = stream.read(&mut asked).unwrap();
                let length_of_body = body.len();
                write!(
                    stream,
                    "HTTP/1.1 {status} x\r\nContent-Length: {length_of_body}\r\n\r\n{body}"
                )
                .unwrap();
                let asked = String::from_utf8_lossy(asked.get(..length).unwrap()).into_owned();
                asked.lines().next().unwrap_or_default().to_owned()
            };
            answers.into_iter().map(answer).collect()
        });
        (port, thread)
    }

    #[test]
    fn a_gateway_that_answers_gets_a_machine() {
        let (port, server) = server(vec![
            ("200", "{\"duts\": {}}"),
            ("500", "no"),
            ("200", "gone"),
        ]);
        assert_eq!(visit(port).unwrap(), (12, Some(500)));
        let asked = server.join().unwrap();
        assert_eq!(
            asked,
            [
                "GET /api/v1/full-state HTTP/1.1",
                "POST /api/v1/dut/ HTTP/1.1",
                "DELETE /api/v1/dut/52:54:00:42:00:99 HTTP/1.1"
            ]
        );
    }

    #[test]
    fn a_board_that_goes_off_after_it_has_answered_has_answered() {
        let (port, server) = server(vec![("200", "{\"duts\": {}}")]);
        assert_eq!(visit(port).unwrap(), (12, None));
        server.join().unwrap();
    }

    #[test]
    fn what_is_no_farm_is_no_answer() {
        for answer in [("503", "{\"duts\": {}}"), ("200", "{}"), ("200", "hello")] {
            let (port, _server) = server(vec![answer]);
            assert!(visit(port).is_err(), "{answer:?}");
        }
    }

    #[test]
    fn a_visitor_that_is_stopped_has_no_answer() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(Visitor::start(port).end(), None);
    }
}
