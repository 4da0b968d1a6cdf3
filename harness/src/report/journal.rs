//! The servers' journal of a run without what differs from run to run, to be compared with that of another run.
//!
//! Times, sizes and the numbers that each run makes up (hardware address, digests, fingerprints, secrets) are left out. So is how often
//! something was asked: a line that says the same as an earlier one does not count, since clients repeat themselves and open connections
//! side by side as they like.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use crate::timeline::{Event, Record, RequestEvent, TlsEvent};

/// What is made up anew in each run, and what is written instead.
static MADE_UP: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        (r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", "<mac>"),
        (r"/secrets/[^/?\s]+", "/secrets/<secret>"),
        (r"\b[0-9a-f]{32,}\b", "<hex>"),
    ];
    let compile = |(pattern, text)| Regex::new(pattern).ok().map(|regex| (regex, text));
    rules.into_iter().filter_map(compile).collect()
});

/// A line for each thing that the servers saw, in the order in which they first saw it.
#[must_use]
pub fn journal_text(records: &[Record]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for record in records {
        let line = match &record.event {
            Event::Request(request) => request_line(request),
            Event::Tls(handshake) => handshake_line(handshake),
            _ => continue,
        };
        let line = normalised(&line);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

fn request_line(request: &RequestEvent) -> String {
    let RequestEvent {
        service,
        method,
        host,
        target,
        status,
        ..
    } = request;
    let part = request.offset.map_or("", |_| ", from an offset");
    let end = if request.complete { "" } else { ", broken off" };
    format!("{service}: {method} {host}{target} -> {status}{part}{end}")
}

fn handshake_line(handshake: &TlsEvent) -> String {
    let service = &handshake.service;
    let name = handshake.server_name.as_deref().unwrap_or("no name");
    let certificate = handshake
        .fingerprint
        .as_ref()
        .map_or("", |_| ", client certificate");
    match &handshake.error {
        None => format!("{service}: TLS for {name}{certificate}"),
        Some(error) => format!("{service}: TLS for {name} failed: {error}"),
    }
}

fn normalised(line: &str) -> String {
    let replace = |text: Cow<'_, str>, (regex, with): &(Regex, &str)| {
        regex.replace_all(&text, *with).into_owned().into()
    };
    MADE_UP.iter().fold(Cow::from(line), replace).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing;
    use crate::timeline::ServiceId;

    fn request(service: ServiceId, target: &str, status: u16, offset: Option<u64>) -> Event {
        Event::Request(RequestEvent {
            offset,
            complete: status != 0,
            ..testing::request(service, target, status)
        })
    }

    fn handshake(fingerprint: Option<&str>, error: Option<&str>) -> Event {
        Event::Tls(TlsEvent {
            service: ServiceId::Boot,
            server_name: Some("host.example".into()),
            fingerprint: fingerprint.map(String::from),
            error: error.map(String::from),
            duration: Duration::ZERO,
        })
    }

    #[test]
    fn what_a_run_makes_up_is_left_out_and_so_are_repetitions() {
        let blob = |digit: &str| format!("/v2/a/blobs/sha256:{}", digit.repeat(64));
        let events = [
            handshake(Some(&"0f".repeat(20)), None),
            handshake(None, Some("no certificate")),
            request(
                ServiceId::Boot,
                "/boot/b8:27:eb:01:02:03/boot.ipxe?platform=efi",
                200,
                None,
            ),
            request(ServiceId::Boot, "/secrets/aZ0-_", 200, None),
            request(ServiceId::Boot, "/secrets/aZ0-_", 404, None),
            request(ServiceId::Registry, &blob("1"), 200, None),
            request(ServiceId::Registry, &blob("2"), 200, None),
            request(ServiceId::Registry, &blob("2"), 206, Some(17)),
            request(ServiceId::Registry, "/v2/", 0, None),
        ];
        let at = |event| Record::new(Duration::ZERO, event);
        insta::assert_snapshot!(journal_text(&events.map(at)), @r"
        boot: TLS for host.example, client certificate
        boot: TLS for host.example failed: no certificate
        boot: GET host.example/boot/<mac>/boot.ipxe?platform=efi -> 200
        boot: GET host.example/secrets/<secret> -> 200
        boot: GET host.example/secrets/<secret> -> 404
        registry: GET host.example/v2/a/blobs/sha256:<hex> -> 200
        registry: GET host.example/v2/a/blobs/sha256:<hex> -> 206, from an offset
        registry: GET host.example/v2/ -> 0, broken off
        ");
    }
}
