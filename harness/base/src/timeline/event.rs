//! The vocabulary of the timeline: what can happen in a run.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Seconds since the timeline started.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub at: Duration,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// When the board of these records was switched on, if it was.
#[must_use]
pub fn power_on(records: &[Record]) -> Option<Duration> {
    let is_on = |r: &&Record| matches!(r.event, Event::Power { action: Power::On });
    records.iter().find(is_on).map(|r| r.at)
}

/// What can happen in a run. Serialised as one JSON object with the tag `event`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The board's power or reset line changed.
    Power {
        /// What was done, or what the machine reported.
        action: Power,
    },
    /// The firmware stage handed over to the boot loader that `config.txt` names.
    Firmware {
        /// File name of the boot loader on the firmware partition.
        kernel: String,
        /// File name of the device tree on the firmware partition.
        device_tree: String,
    },
    /// A whole line on a UART, without its line end, escape sequences removed.
    Serial {
        /// 0 is the PL011, 1 the mini UART.
        uart: u8,
        /// The line's text.
        line: String,
    },
    /// A console said what must never appear.
    Alarm {
        /// As in `kernel panic`.
        name: String,
        /// The line that raised it.
        line: String,
    },
    /// The USB NIC was plugged, unplugged, or changed its state.
    Usb {
        /// What happened to the device.
        link: LinkEvent,
    },
    /// The DHCP server acknowledged a lease.
    Lease {
        /// Client hardware address, `b8:27:eb:…`.
        mac: String,
        /// The address given.
        address: Ipv4Addr,
        /// The client's vendor class (option 60), if it sent one.
        vendor_class: Option<String>,
    },
    /// A DNS question was answered.
    Name {
        /// The name asked for, lower case, no trailing dot.
        query: String,
        /// The address answered; `None` stands for NXDOMAIN or an empty answer.
        answer: Option<Ipv4Addr>,
    },
    /// An NTP client asked for the time.
    Clock {
        /// The server address it asked.
        server: Ipv4Addr,
    },
    /// A TLS handshake ended.
    Tls(TlsEvent),
    /// An HTTP request was answered in full, or its connection broke off.
    Request(RequestEvent),
    /// What went over the NIC's cable since the last such event, a second or so ago; seconds without traffic have none.
    Traffic {
        /// Bytes that the board sent.
        from_board: u64,
        /// Bytes that were sent to the board.
        to_board: u64,
    },
    /// The board's framebuffer was photographed, and looked as in no picture before.
    Screenshot {
        /// The stage that had just been reached; `None` at the end of the run.
        stage: Option<String>,
        /// The picture below the run's folder, as in `screens/02-U-Boot.png`.
        file: String,
    },
    /// The board stands where that of another run had come to. What is before this on the timeline happened in that run, on its clock,
    /// which goes on here.
    Restored {
        /// The stage that it had reached.
        stage: String,
        /// The folder of that run, by its name.
        run: String,
    },
    /// A stage of the scenario was reached.
    Stage {
        /// The stage's name as its definition says.
        name: String,
        /// Time of the evidence that proves the stage, which may be earlier than the record.
        #[serde(with = "seconds")]
        #[schemars(with = "f64")]
        reached: Duration,
    },
    /// Something a reader of the timeline should know and no other variant says.
    Note {
        /// The room that says it, as in `usb`.
        room: String,
        /// One line of text.
        text: String,
    },
}

/// What happened to the board's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// Power was applied.
    On,
    /// Power was taken away by the plug.
    Off,
    /// The guest reset the board.
    GuestReset,
    /// The guest powered the board off.
    GuestShutdown,
    /// The emulator stopped by itself for another reason.
    Exited,
}

/// What happened to the USB NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkEvent {
    /// The device was announced to the host controller.
    Plugged,
    /// The device was withdrawn.
    Unplugged,
    /// The guest selected configuration 1.
    Configured,
    /// The guest enabled receiver and transmitter.
    Started,
    /// The guest reset the port.
    Reset,
}

/// A TLS handshake as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TlsEvent {
    /// The service that was dialled, as in `boot` or `registry`.
    pub service: String,
    /// Server name that the client asked for.
    pub server_name: Option<String>,
    /// SHA-1 fingerprint of the client's certificate, lower-case hex.
    pub fingerprint: Option<String>,
    /// Why the handshake failed; `None` when it succeeded.
    pub error: Option<String>,
    /// Seconds from the connection to the handshake's end.
    #[serde(with = "seconds", default)]
    #[schemars(with = "f64")]
    pub duration: Duration,
}

/// An HTTP request with its outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestEvent {
    /// The service that answered, as in `boot` or `registry`.
    pub service: String,
    /// Client address.
    pub client: Ipv4Addr,
    /// SHA-1 fingerprint of the client's certificate, lower-case hex.
    pub fingerprint: Option<String>,
    /// `Host` header, without the port.
    pub host: String,
    /// Method, as in `GET`.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Status code.
    pub status: u16,
    /// Where the part that was answered begins, in bytes from the start of the whole; `None` for the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Body bytes handed to the connection.
    pub bytes: u64,
    /// The whole body was handed to the connection.
    pub complete: bool,
    /// Seconds from the request's head to the body's last byte.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub duration: Duration,
}

impl fmt::Display for RequestEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            method,
            target,
            status,
            bytes,
            ..
        } = self;
        write!(f, "{method} {host}{target} -> {status}, {bytes} bytes")?;
        if let Some(offset) = self.offset {
            write!(f, " from byte {offset}")?;
        }
        if !self.complete {
            f.write_str(", broken off")?;
        }
        Ok(())
    }
}

/// Durations as seconds with a fraction, rounded to microseconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64((d.as_secs_f64() * 1e6).round() / 1e6)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(d)?).map_err(D::Error::custom)
    }
}
