//! What a connection shows to somebody between its ends. Pure; fed with the bytes of both directions as they come.
//!
//! Of TLS that is: the handshake's end, the first alert that is not encrypted, and how much content each answer of the server has. A handshake
//! up to TLS 1.2 has succeeded when both ends have changed their cipher: the server does so after it has taken the client's certificate. In TLS
//! 1.3 everything after the hellos is encrypted: the handshake has succeeded when the server sends a record that is too long for an alert after
//! the client's last message of it.

use super::sniff::{Sniffer, alert_name};
use shakedown_base::timeline::AlertEvent;

/// What is worth an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// The TLS handshake ended; with why it failed.
    Handshake(Option<String>),
    /// An answer of the server has become longer.
    Answer(Answer),
}

/// An answer of the server so far, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// Which of the connection's, counted from 0.
    pub(super) number: u32,
    pub(super) bytes: u64,
    /// At the event before.
    pub(super) bytes_before: u64,
    /// Of all answers of the connection.
    pub(super) total: u64,
    /// At the event before.
    pub(super) total_before: u64,
}

/// Looks on from between the ends of a connection.
#[derive(Debug, Default)]
pub(super) struct Observer {
    client: Sniffer,
    server: Sniffer,
    /// Bytes that the client has sent, and the server.
    to_server: u64,
    to_client: u64,
    is_established: bool,
    has_failed: bool,
    answer: Answer,
}

impl Observer {
    /// The client has sent this.
    pub(super) fn client_sent(&mut self, bytes: &[u8]) -> Vec<Seen> {
        self.to_server += bytes.len() as u64;
        let content = self.client.content_records();
        self.client.feed(bytes);
        let mut seen = self.handshake(false);
        let asks = self.client.is_plain() || self.client.content_records() > content;
        if asks && self.answer.bytes > 0 {
            seen.extend(self.rest());
            self.answer = Answer {
                number: self.answer.number.saturating_add(1),
                bytes: 0,
                bytes_before: 0,
                ..self.answer
            };
        }
        seen
    }

    /// The server has sent this.
    pub(super) fn server_sent(&mut self, bytes: &[u8]) -> Vec<Seen> {
        self.to_client += bytes.len() as u64;
        let (content, long) = (self.server.content_bytes(), self.server.long_records());
        self.server.feed(bytes);
        let mut seen = self.handshake(self.server.long_records() > long);
        let more = if self.client.is_plain() {
            bytes.len() as u64
        } else if self.is_established {
            self.server.content_bytes() - content
        } else {
            0
        };
        self.answer.bytes += more;
        self.answer.total += more;
        if more > 0 && self.answer.bytes >= self.answer.bytes_before.saturating_mul(2) {
            seen.extend(self.rest());
        }
        seen
    }

    /// The connection has ended.
    pub(super) fn end(&mut self) -> Vec<Seen> {
        let mut seen: Vec<_> = self.rest().into_iter().collect();
        let is_tls = self.to_server > 0 && !self.client.is_plain();
        if is_tls && !self.is_established && !self.has_failed {
            self.has_failed = true;
            let why = "the connection ended before the handshake did";
            seen.push(Seen::Handshake(Some(why.into())));
        }
        seen
    }

    /// Server name of the TLS handshake.
    pub(super) fn server_name(&self) -> Option<&str> {
        self.client.server_name()
    }

    /// The first alert that was not encrypted.
    pub(super) fn alert(&self) -> Option<AlertEvent> {
        let alert = |code: u8, from_client| AlertEvent {
            from_client,
            code,
            name: alert_name(code).into(),
        };
        let server = self.server.alert().map(|code| alert(code, false));
        server.or_else(|| self.client.alert().map(|code| alert(code, true)))
    }

    /// Bytes that the client and that the server has sent.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.to_server, self.to_client)
    }

    /// The handshake's end, when it has just come.
    fn handshake(&mut self, long_record: bool) -> Vec<Seen> {
        if self.is_established || self.has_failed {
            return Vec::new();
        }
        if let Some(alert) = self.alert() {
            self.has_failed = true;
            return vec![Seen::Handshake(Some(alert.to_string()))];
        }
        self.is_established = if self.server.is_13() {
            long_record && self.client.content_records() > 0
        } else {
            self.client.has_changed_cipher() && self.server.has_changed_cipher()
        };
        let ended = self.is_established.then_some(Seen::Handshake(None));
        ended.into_iter().collect()
    }

    /// What of the answer has not been told yet.
    fn rest(&mut self) -> Option<Seen> {
        let answer = self.answer;
        if answer.bytes == answer.bytes_before {
            return None;
        }
        self.answer.bytes_before = answer.bytes;
        self.answer.total_before = answer.total;
        Some(Seen::Answer(answer))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 3, 3], &(body.len() as u16).to_be_bytes()[..], body].concat()
    }

    fn answers(seen: &[Seen]) -> Vec<(u32, u64, u64)> {
        let answer = |seen: &Seen| match seen {
            Seen::Answer(a) => Some((a.number, a.bytes_before, a.bytes)),
            Seen::Handshake(_) => None,
        };
        seen.iter().filter_map(answer).collect()
    }

    /// TLS 1.2, up to where both ends have changed their cipher.
    fn established() -> Observer {
        let mut observer = Observer::default();
        assert!(observer.client_sent(&record(22, &[1, 0, 0, 0])).is_empty());
        assert!(observer.server_sent(&record(22, &[2, 0, 0, 0])).is_empty());
        assert!(observer.client_sent(&record(20, &[1])).is_empty());
        let seen = observer.server_sent(&[record(20, &[1]), record(22, &[9; 40])].concat());
        assert_eq!(seen, [Seen::Handshake(None)]);
        observer
    }

    #[test]
    fn an_answer_is_told_when_it_begins_when_it_has_doubled_and_at_its_end() {
        let mut observer = established();
        assert!(observer.client_sent(&record(23, b"GET /a")).is_empty());
        let piece = record(23, &[0; 1000]);
        let told: Vec<_> = (0..7)
            .map(|_| answers(&observer.server_sent(&piece)))
            .collect();
        let first = vec![
            vec![(0, 0, 1000)],
            vec![(0, 1000, 2000)],
            vec![],
            vec![(0, 2000, 4000)],
            vec![],
            vec![],
            vec![],
        ];
        assert_eq!(told, first);
        // The next request ends it; its own answer is another.
        assert_eq!(
            answers(&observer.client_sent(&record(23, b"GET /b"))),
            [(0, 4000, 7000)]
        );
        let seen = observer.server_sent(&piece);
        assert_eq!(answers(&seen), [(1, 0, 1000)]);
        let Some(Seen::Answer(answer)) = seen.first() else {
            panic!("{seen:?}")
        };
        assert_eq!((answer.total_before, answer.total), (7000, 8000));
        assert!(observer.end().is_empty());
    }

    #[test]
    fn without_tls_every_byte_counts() {
        let mut observer = Observer::default();
        assert!(observer.client_sent(b"GET / HTTP/1.1\r\n\r\n").is_empty());
        assert_eq!(
            answers(&observer.server_sent(b"HTTP/1.1 200")),
            [(0, 0, 12)]
        );
        observer.client_sent(b"GET /b HTTP/1.1\r\n\r\n");
        assert_eq!(answers(&observer.server_sent(b"HTTP")), [(1, 0, 4)]);
        assert!(observer.end().is_empty(), "no handshake is missed");
    }

    #[test]
    fn a_handshake_that_does_not_end_has_failed() {
        let mut observer = Observer::default();
        observer.client_sent(&record(22, &[1, 0, 0, 0]));
        let why = "the connection ended before the handshake did".to_owned();
        assert_eq!(observer.end(), [Seen::Handshake(Some(why))]);
    }

    proptest! {
        /// Every threshold is crossed exactly once, however the bytes come.
        #[test]
        fn every_amount_is_passed_once(
            pieces in prop::collection::vec(1usize..3000, 1..40),
            wanted in 1u64..40_000,
        ) {
            let mut observer = established();
            observer.client_sent(&record(23, b"GET"));
            let mut seen = Vec::new();
            for piece in &pieces {
                seen.extend(observer.server_sent(&record(23, &vec![0; *piece])));
            }
            seen.extend(observer.end());
            let told = answers(&seen);
            let passed = told.iter().filter(|(_, before, now)| *before < wanted && wanted <= *now);
            let sum: usize = pieces.iter().sum();
            prop_assert_eq!(passed.count(), usize::from(wanted <= sum as u64));
        }
    }
}
