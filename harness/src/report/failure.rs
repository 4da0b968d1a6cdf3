//! Why a run did not pass, with what a person needs to see first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use shakedown_base::Class;

use crate::judge::Finding;
use crate::timeline::{Event, Record};

/// How many of the last serial lines a failure shows.
const LAST_LINES: usize = 15;

/// Why a run did not pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Whose fault it most likely is.
    pub class: Class,
    /// What happened, in a sentence.
    pub cause: String,
    /// The last stage that was reached.
    pub stage_reached: Option<String>,
    /// The stage that was awaited, and its evidence.
    pub awaited: Option<String>,
    /// Seconds that it was awaited.
    pub waited: f64,
    /// What the alarm that explains it means, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The last lines on the serial ports, with seconds and port.
    pub last_serial: Vec<String>,
    /// The last HTTP request, with seconds and answer.
    pub last_request: Option<String>,
    /// The last other thing that the LAN or a server saw.
    pub last_network: Option<String>,
}

impl Failure {
    /// The failure that a judge's finding makes of a run with these records.
    #[must_use]
    pub fn of(finding: &Finding, records: &[Record]) -> Self {
        Self {
            stage_reached: finding.stage_reached.clone(),
            awaited: finding.awaited.clone(),
            waited: finding.waited.as_secs_f64(),
            advice: finding.advice.clone(),
            ..Self::new(finding.class, finding.cause.clone(), records)
        }
    }

    /// A failure with the evidence that the timeline holds at this moment.
    #[must_use]
    pub fn new(class: Class, cause: String, records: &[Record]) -> Self {
        let mut last_serial: Vec<_> = records
            .iter()
            .rev()
            .filter_map(serial_line)
            .take(LAST_LINES)
            .collect();
        last_serial.reverse();
        let stage_reached = records.iter().rev().find_map(|r| match &r.event {
            Event::Stage { name, .. } => Some(name.clone()),
            _ => None,
        });
        Self {
            class,
            cause,
            stage_reached,
            awaited: None,
            waited: 0.0,
            advice: None,
            last_serial,
            last_request: records.iter().rev().find_map(request_line),
            last_network: records.iter().rev().find_map(network_line),
        }
    }
}

/// What a record says, with seconds, as people read it; `None` for what says nothing of board, network or servers.
pub(crate) fn line(record: &Record) -> Option<String> {
    serial_line(record)
        .or_else(|| request_line(record))
        .or_else(|| network_line(record))
}

fn serial_line(record: &Record) -> Option<String> {
    match &record.event {
        Event::Serial { uart, line } if !line.trim().is_empty() => Some(format!(
            "[{:8.2}] uart{uart}: {line}",
            record.at.as_secs_f64()
        )),
        _ => None,
    }
}

fn request_line(record: &Record) -> Option<String> {
    let Event::Request(r) = &record.event else {
        return None;
    };
    Some(format!("[{:8.2}] {r}", record.at.as_secs_f64()))
}

fn network_line(record: &Record) -> Option<String> {
    let text = match &record.event {
        Event::Lease { mac, address, .. } => format!("DHCP lease of {address} to {mac}"),
        Event::Dns {
            query,
            answer: Some(address),
        } => format!("DNS {query} is {address}"),
        Event::Dns {
            query,
            answer: None,
        } => format!("DNS {query} has no answer"),
        Event::Ntp { server } => format!("NTP request to {server}"),
        Event::Tls(tls) => match &tls.error {
            None => format!("TLS handshake with the {} server", tls.service),
            Some(e) => format!("TLS handshake with the {} server failed: {e}", tls.service),
        },
        Event::Connection(connection) => connection.to_string(),
        Event::Inbound(inbound) => inbound.to_string(),
        Event::Answer(answer) => answer.to_string(),
        Event::Deployed { name } => format!("the boot server hands out deployment {name}"),
        Event::Link { state } => format!("the board's network link is {state}"),
        Event::Outlet { port, state, .. } => {
            format!("power distribution unit: port {port} is {state}")
        }
        Event::Usb { link } => format!("USB NIC {link:?}").to_lowercase(),
        _ => return None,
    };
    Some(format!("[{:8.2}] {text}", record.at.as_secs_f64()))
}
