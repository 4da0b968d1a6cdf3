//! All transfers of a server: who gets which file, and what becomes of packets that fit nowhere.
//!
//! A transfer is known by the client's address and port and by the port that the server has chosen for it (RFC 1350, section 4). It goes
//! onto the timeline when its last block has been sent, as a request over HTTP does when its body has been handed over: a client that boots
//! what it has read may never acknowledge that block. A transfer that ends before goes there as broken off.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddrV4;
use std::time::Duration;

use super::content::TftpFiles;
use super::message::{self, Code, Packet, ReadRequest};
use super::transfer::{Progress, Transfer};
use super::{PORT, TRANSFERS};
use crate::lan::frame::Mac;
use crate::lan::sockets::Received;
use shakedown_base::timeline::{Event, RequestEvent, ServiceId};

/// Most transfers at a time: a board has one, and a hundred boards share no segment.
const MAX_TRANSFERS: usize = 64;
/// Longest name that goes onto the timeline, in characters.
const MAX_NAME: usize = 200;

/// A server and its transfers.
pub(super) struct Server<F> {
    files: F,
    /// Whose files these are.
    service: ServiceId,
    /// The name that clients know the server by: its address.
    host: String,
    /// Transfers by the server's port.
    transfers: HashMap<u16, Session>,
    next_port: u16,
}

struct Session {
    client: SocketAddrV4,
    mac: Mac,
    file: String,
    since: Duration,
    transfer: Transfer,
    /// It is on the timeline.
    is_told: bool,
}

/// What a server wants to happen.
#[derive(Debug)]
pub(super) enum Output {
    /// A datagram from one of the server's ports.
    Send {
        from: u16,
        to: SocketAddrV4,
        mac: Mac,
        payload: Vec<u8>,
    },
    /// Something for the timeline.
    Event(Event),
}

impl<F: TftpFiles> Server<F> {
    pub(super) fn new(files: F, service: ServiceId, host: String) -> Self {
        Self {
            files,
            service,
            host,
            transfers: HashMap::new(),
            next_port: *TRANSFERS.start(),
        }
    }

    /// A datagram has come.
    pub(super) fn receive(&mut self, datagram: &Received, now: Duration) -> Vec<Output> {
        let mut out = Vec::new();
        let packet = Packet::parse(&datagram.payload);
        if datagram.port == PORT {
            match packet {
                Some(Packet::Read(request)) => self.begin(datagram, request, now, &mut out),
                Some(Packet::Write) => {
                    refuse(
                        datagram,
                        Code::AccessViolation,
                        "this server is read only",
                        &mut out,
                    );
                }
                _ => {}
            }
            return out;
        }
        let is_theirs = |session: &Session| session.client == datagram.source;
        if !self.transfers.get(&datagram.port).is_some_and(is_theirs) {
            // An error is never answered by an error.
            if !matches!(packet, None | Some(Packet::Error { .. })) {
                refuse(
                    datagram,
                    Code::UnknownTransfer,
                    "no such transfer",
                    &mut out,
                );
            }
            return out;
        }
        match packet {
            Some(Packet::Ack(number)) => {
                self.step(datagram.port, now, &mut out, |t| t.acknowledge(number, now));
            }
            Some(Packet::Error { code, text }) => {
                let text = String::from_utf8_lossy(text);
                self.end(datagram.port, now, &mut out);
                let told = format!("tftp client gave up with error {code}: {}", short(&text));
                out.push(note(told));
            }
            Some(Packet::Read(_) | Packet::Write) => {
                refuse(
                    datagram,
                    Code::IllegalOperation,
                    "requests go to port 69",
                    &mut out,
                );
            }
            None => {}
        }
        out
    }

    /// Sends again what has not been acknowledged in time.
    pub(super) fn wake(&mut self, now: Duration) -> Vec<Output> {
        let mut out = Vec::new();
        let is_due = |(port, session): (&u16, &Session)| {
            (session.transfer.deadline() <= now).then_some(*port)
        };
        let due: Vec<_> = self.transfers.iter().filter_map(is_due).collect();
        for port in due {
            self.step(port, now, &mut out, |transfer| transfer.wake(now));
        }
        out
    }

    /// When to call [`Server::wake`], as time since the LAN was started; `None` when nothing is under way.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.transfers.values().map(|s| s.transfer.deadline()).min()
    }

    fn begin(
        &mut self,
        datagram: &Received,
        request: ReadRequest,
        now: Duration,
        out: &mut Vec<Output>,
    ) {
        let client = datagram.source;
        let known = self.transfers.iter().find(|(_, s)| s.client == client);
        if let Some((&port, session)) = known {
            let is_same = session.file == request.file;
            if is_same && self.repeat(port, out) {
                return;
            }
            self.end(port, now, out);
        }
        let mut fail = |code, text, status| {
            refuse(datagram, code, text, out);
            out.push(self.event(client, &request.file, status, 0, false, Duration::ZERO));
        };
        if !request.is_octet {
            let text = "this server knows mode octet only";
            return fail(Code::IllegalOperation, text, 400);
        }
        if self.transfers.len() >= MAX_TRANSFERS {
            return fail(Code::Undefined, "too many transfers, try again", 503);
        }
        let name = request.file.trim_start_matches('/');
        let content = match self.files.open(*client.ip(), name) {
            Ok(content) => content,
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::NotFound => fail(Code::NotFound, "no such file", 404),
                    io::ErrorKind::PermissionDenied => {
                        fail(Code::AccessViolation, "not for this client", 403)
                    }
                    _ => fail(Code::Undefined, "the file cannot be read", 500),
                };
            }
        };
        let Ok((transfer, packets)) = Transfer::start(content, request.options, now) else {
            return fail(Code::Undefined, "the file cannot be read", 500);
        };
        let port = self.free_port();
        let session = Session {
            client,
            mac: datagram.mac,
            file: request.file,
            since: now,
            transfer,
            is_told: false,
        };
        send(port, &session, packets, out);
        self.transfers.insert(port, session);
        self.tell_if_sent(port, now, out);
    }

    /// Answers a repeated request as the first one was; `false` when the client has begun anew.
    fn repeat(&mut self, port: u16, out: &mut Vec<Output>) -> bool {
        let Some(session) = self.transfers.get_mut(&port) else {
            return false;
        };
        let Ok(Some(packets)) = session.transfer.repeat_start() else {
            return false;
        };
        send(port, session, packets, out);
        true
    }

    /// Takes a transfer one step on, and takes it away at its end.
    fn step(
        &mut self,
        port: u16,
        now: Duration,
        out: &mut Vec<Output>,
        step: impl FnOnce(&mut Transfer) -> io::Result<Progress>,
    ) {
        let Some(session) = self.transfers.get_mut(&port) else {
            return;
        };
        match step(&mut session.transfer) {
            Ok(Progress::Send(packets)) => send(port, session, packets, out),
            Ok(Progress::Finished | Progress::GivenUp) => self.end(port, now, out),
            Err(_) => {
                let text = message::error(Code::Undefined, "the file cannot be read");
                send(port, session, vec![text], out);
                let session = self.transfers.remove(&port);
                let session = session.filter(|session| !session.is_told);
                out.extend(session.map(|session| self.ended(&session, 500, false, now)));
            }
        }
        self.tell_if_sent(port, now, out);
    }

    /// Puts a transfer onto the timeline whose last block has been sent.
    fn tell_if_sent(&mut self, port: u16, now: Duration, out: &mut Vec<Output>) {
        let Some(session) = self.transfers.get_mut(&port) else {
            return;
        };
        if session.is_told || !session.transfer.is_sent() {
            return;
        }
        session.is_told = true;
        if let Some(session) = self.transfers.get(&port) {
            out.push(self.ended(session, 200, true, now));
        }
    }

    /// Takes a transfer away.
    fn end(&mut self, port: u16, now: Duration, out: &mut Vec<Output>) {
        let session = self.transfers.remove(&port);
        let session = session.filter(|session| !session.is_told);
        out.extend(session.map(|session| self.ended(&session, 200, false, now)));
    }

    fn ended(&self, session: &Session, status: u16, complete: bool, now: Duration) -> Output {
        let bytes = match complete {
            true => session.transfer.length(),
            false => session.transfer.delivered(),
        };
        let duration = now - session.since;
        self.event(
            session.client,
            &session.file,
            status,
            bytes,
            complete,
            duration,
        )
    }

    /// A transfer as timelines have it: a request whose status is that of the same answer over HTTP.
    fn event(
        &self,
        client: SocketAddrV4,
        file: &str,
        status: u16,
        bytes: u64,
        complete: bool,
        duration: Duration,
    ) -> Output {
        Output::Event(Event::Request(RequestEvent {
            service: self.service,
            client: *client.ip(),
            fingerprint: None,
            host: self.host.clone(),
            method: "RRQ".into(),
            target: format!("/{}", short(file.trim_start_matches('/'))),
            status,
            offset: None,
            bytes,
            complete,
            duration,
        }))
    }

    /// A port that no transfer has. There is one, since there are far more ports than transfers.
    fn free_port(&mut self) -> u16 {
        loop {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(*TRANSFERS.start());
            if !self.transfers.contains_key(&port) {
                return port;
            }
        }
    }
}

fn send(from: u16, session: &Session, packets: Vec<Vec<u8>>, out: &mut Vec<Output>) {
    out.extend(packets.into_iter().map(|payload| Output::Send {
        from,
        to: session.client,
        mac: session.mac,
        payload,
    }));
}

/// Answers a datagram by an error, from the port that it came to.
fn refuse(datagram: &Received, code: Code, text: &str, out: &mut Vec<Output>) {
    out.push(Output::Send {
        from: datagram.port,
        to: datagram.source,
        mac: datagram.mac,
        payload: message::error(code, text),
    });
}

fn short(text: &str) -> String {
    text.chars().take(MAX_NAME).collect()
}

fn note(text: String) -> Output {
    let room = "lan".into();
    Output::Event(Event::Note { room, text })
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
