//! Events in the words of the page, and the classes that give them their colours.

use crate::report::Report;
use crate::timeline::{Event, LinkEvent, Power, RequestEvent, ServiceId};

/// Class, seconds and text of an event that belongs to a lane.
pub(super) fn lane_event(event: &Event) -> Option<(&'static str, f64, String)> {
    Some(match event {
        Event::Alarm { name, line } => ("alarm", 0.0, format!("{name}: {line}")),
        Event::Power { action } => ("power", 0.0, power_text(*action).into()),
        Event::Restored { stage, run } => {
            let text = format!("goes on at {stage}, where {run} had brought the board");
            ("power", 0.0, text)
        }
        Event::Usb { link } => ("usb", 0.0, link_text(*link).into()),
        Event::Lease {
            address,
            vendor_class,
            ..
        } => {
            let to = vendor_class.as_deref().unwrap_or("a client without a name");
            ("dhcp", 0.0, format!("{address} leased to {to}"))
        }
        Event::Dns {
            query,
            answer: Some(address),
        } => ("dns", 0.0, format!("{query} is {address}")),
        Event::Dns {
            query,
            answer: None,
        } => ("dns", 0.0, format!("{query} has no answer")),
        Event::Ntp { server } => ("ntp", 0.0, format!("{server} asked for the time")),
        Event::Tls(tls) => {
            let name = tls.server_name.as_deref().unwrap_or(tls.service.name());
            let took = tls.duration.as_secs_f64();
            match &tls.error {
                None => ("tls", took, format!("handshake with {name}")),
                Some(e) => (
                    "tls broken",
                    took,
                    format!("handshake with {name} failed: {e}"),
                ),
            }
        }
        Event::Connection(connection) => {
            let is_broken = connection.error.is_some() || connection.alert.is_some();
            let class = if is_broken { "tls broken" } else { "tls" };
            (
                class,
                connection.duration.as_secs_f64(),
                connection.to_string(),
            )
        }
        Event::Fault { name, place, .. } => ("fault", 0.0, format!("{name}: {place}")),
        Event::Deployed { name } => ("power", 0.0, format!("deployment {name}")),
        Event::Link { state } => ("power", 0.0, format!("network link {state}")),
        Event::Outlet { port, state, .. } => {
            ("power", 0.0, format!("port {port} switched {state}"))
        }
        Event::Screenshot { stage, .. } => {
            let stage = stage.as_deref().unwrap_or("the end");
            ("screen", 0.0, format!("screenshot at {stage}"))
        }
        _ => return None,
    })
}

fn power_text(action: Power) -> &'static str {
    match action {
        Power::On => "power on",
        Power::Off => "plug pulled",
        Power::Reset => "the board starts again",
        Power::GuestReset => "the board reset itself",
        Power::GuestShutdown => "the board powered itself off",
        Power::Exited => "the emulator ended",
    }
}

fn link_text(link: LinkEvent) -> &'static str {
    match link {
        LinkEvent::Plugged => "plugged in",
        LinkEvent::Unplugged => "unplugged",
        LinkEvent::Configured => "configured",
        LinkEvent::Started => "receiver and transmitter on",
        LinkEvent::Reset => "port reset",
    }
}

pub(super) fn request_class(request: &RequestEvent) -> &'static str {
    match (request.complete, request.status) {
        (true, 200..400) if request.service == ServiceId::Registry => "http registry",
        (true, 200..400) => "http",
        _ => "http broken",
    }
}

/// A request in a line, for example `GET boot.farm.example/files/kernel: 200, 38.1 MB in 12.3 s`.
pub(super) fn request_text(request: &RequestEvent) -> String {
    format!(
        "{} {}{}: {}",
        request.method,
        request.host,
        request.target,
        request_note(request)
    )
}

pub(super) fn request_note(request: &RequestEvent) -> String {
    let broken = if request.complete { "" } else { ", broken off" };
    let took = request.duration.as_secs_f64();
    let bytes = size(request.bytes);
    format!("{}, {bytes} in {took:.1} s{broken}", request.status)
}

/// The end of the path, without what only tells one request from the next: the query, and most of a digest.
pub(super) fn short_target(target: &str) -> String {
    let path = target.split('?').next().unwrap_or(target);
    let path = match path.split_once("sha256:") {
        Some((before, digest)) => {
            let start: String = digest.chars().take(8).collect();
            format!("{before}sha256:{start}…")
        }
        None => path.to_owned(),
    };
    let parts: Vec<_> = path.split('/').collect();
    match &parts[..] {
        [_, _, _, _, .., kind, name] => format!("…/{kind}/{name}"),
        _ => path,
    }
}

/// When a run began, for example `2026-11-25 03:13:44 UTC`; empty where that was not written down.
pub(super) fn begun(report: &Report) -> String {
    report.started.replace('T', " ").replace('Z', " UTC")
}

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    let n = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", n / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n / 1e6),
        _ => format!("{:.1} GB", n / 1e9),
    }
}
