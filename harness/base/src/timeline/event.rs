//! The vocabulary of the timeline: what can happen in a run.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CardEvent, InboundEvent, ServiceId};

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
        /// Index in the board's order.
        uart: u8,
        /// The line's text.
        line: String,
    },
    /// A console said what must never appear.
    Alarm {
        /// For example `kernel panic`.
        name: String,
        /// The line that raised it.
        line: String,
    },
    /// An unfinished line on a UART that stood still: a prompt. The same text comes again in the whole line, if that is ever finished.
    Prompt {
        /// Index in the board's order.
        uart: u8,
        /// The text so far, escape sequences removed.
        text: String,
    },
    /// The harness typed into a UART.
    Typed {
        /// Index in the board's order.
        uart: u8,
        /// What was typed.
        text: String,
    },
    /// What was typed into a UART did not come back from the board.
    NotRepeated {
        /// Index in the board's order.
        uart: u8,
        /// What was typed.
        text: String,
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
    #[serde(alias = "name")]
    Dns {
        /// The name asked for, lower case, no trailing dot.
        query: String,
        /// The address answered; `None` stands for NXDOMAIN or an empty answer.
        answer: Option<Ipv4Addr>,
    },
    /// An NTP client asked for the time.
    #[serde(alias = "clock")]
    Ntp {
        /// The server address it asked.
        server: Ipv4Addr,
    },
    /// A TLS handshake ended.
    Tls(TlsEvent),
    /// A request was answered in full, or its connection broke off.
    Request(RequestEvent),
    /// A connection that was forwarded to a server outside of the run ended.
    Connection(ConnectionEvent),
    /// A server outside of the run answered on a forwarded connection, so far.
    Answer(AnswerEvent),
    /// A service of this run is a server outside of it.
    Forwarding {
        /// The service.
        service: ServiceId,
        /// Address and port of the server outside.
        to: String,
    },
    /// A step of the scenario has switched what the boot server hands out, from the next request on.
    Deployed {
        /// The deployment's name; `default` is what the scenario boots with.
        name: String,
    },
    /// A step of the scenario has changed how the board is connected to its network.
    Link {
        /// How it is connected from now on.
        state: LinkState,
    },
    /// The power distribution unit switched one of its ports.
    Outlet {
        /// The port, counted from 0.
        port: u16,
        /// What it is now.
        state: OutletState,
        /// Who ordered it.
        by: SwitchedBy,
    },
    /// A fault of the scenario took effect: the proof that its consequences are intended.
    Fault {
        /// The fault's name.
        name: String,
        /// Where, for example `cable to the board, DHCP frame 2` or `boot server, GET /files/kernel`.
        place: String,
        /// How often it has shown so far. Of many firings only some are told, see [`Faults::fires`](crate::fault::Faults::fires).
        nth: u64,
    },
    /// The board's core stands in `wfi` with its interrupts masked, in a boot loader: nothing will wake it.
    Asleep {
        /// Where, the address of the next instruction.
        pc: u64,
    },
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
        /// The picture below the run's folder, for example `screens/02-U-Boot.png`.
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
    /// The guest gave no sign of life: nothing on any UART, no frame sent, none fetched.
    Silence {
        /// How long, in seconds.
        seconds: f64,
        /// Since power-on: it has never given one.
        since_power_on: bool,
    },
    /// A bound was used up.
    Budget {
        /// What it bounds.
        of: Bound,
        /// The bound, in seconds.
        seconds: f64,
        /// The clock that these seconds are of.
        #[serde(default)]
        clock: BudgetClock,
    },
    /// The emulator's process ended by itself.
    EmulatorEnded {
        /// The end of what it wrote to its standard error.
        words: String,
    },
    /// The run was stopped from outside.
    Stopped {
        /// By whom.
        by: StoppedBy,
    },
    /// This machine, not the board, is in the way of the run.
    Host {
        /// What is wrong with it.
        trouble: HostTrouble,
        /// The details, and what to do, for people.
        text: String,
    },
    /// The board has sent as many frames of a kind since it was switched on as a trigger awaits.
    Frames {
        /// Which.
        of: FrameKind,
        /// How many.
        count: u64,
    },
    /// The card of a board that is off was read back at the run's end.
    Card(CardEvent),
    /// A connection of a client on this machine to a port of the board ended.
    Inbound(InboundEvent),
    /// The board has written as many bytes to new places of its card since it was switched on as a trigger awaits.
    Written {
        /// How many, at least.
        bytes: u64,
    },
    /// The guest sends more than a run may keep.
    Flood {
        /// Where: `console`, `network` or `servers`.
        of: String,
        /// How much came in this run, in bytes.
        bytes: u64,
    },
    /// A board whose run has failed stays on for its user.
    Held {
        /// Why the run has failed.
        cause: String,
    },
    /// Something a reader of the timeline should know and no other variant says.
    Note {
        /// The room that says it, for example `usb`.
        room: String,
        /// One line of text.
        text: String,
    },
}

/// What a [`Event::Budget`] bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The wait for a stage, by its name.
    Stage(String),
    /// The run as a whole.
    Run,
    /// What a step of the scenario waits for, by the step's number, counted from 1.
    Step(usize),
    /// The wait for the proofs that a scenario expects.
    Proofs,
    /// The time for which an expected refusal must hold.
    Refusal,
    /// The time without progress after the console has said what is wrong.
    Reason,
    /// The time for which a UART may still speak after the board has stopped.
    #[serde(alias = "last-words")]
    LastOutput,
}

/// The clock of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BudgetClock {
    /// Time that passed.
    #[default]
    Wall,
    /// CPU time that the emulator used.
    Cpu,
}

/// Who stopped a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StoppedBy {
    /// The user, by Ctrl-C.
    User,
    /// SIGTERM or SIGHUP: a pipeline's time limit, a closed terminal.
    Signal,
}

/// What is wrong with this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostTrouble {
    /// Others use its cores, so that the board's clock stood still.
    Starved,
    /// Its disk is full.
    DiskFull,
    /// Something else.
    Other,
}

/// What happened to the board's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// Power was applied.
    On,
    /// Power was taken away by the plug.
    Off,
    /// The board starts again without its power having been away: the reset button was pressed, or the guest has reset it as a step
    /// expects. A new boot begins.
    Reset,
    /// The guest reset the board.
    GuestReset,
    /// The guest powered the board off.
    GuestShutdown,
    /// The emulator stopped by itself for another reason.
    Exited,
}

/// Frames of a kind.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum FrameKind {
    /// Every frame.
    Any,
    /// Address resolution (RFC 826).
    Arp,
    /// ICMP and ICMPv6.
    Icmp,
    /// UDP to or from port 67 (RFC 2131).
    Dhcp,
    /// UDP or TCP to or from port 53.
    Dns,
    /// UDP to or from port 123.
    Ntp,
    /// UDP to port 69, and the transfers, which go between other ports (RFC 1350): those of the LAN's server are 49152 and above.
    Tftp,
    /// Every UDP datagram.
    Udp,
    /// Every TCP segment.
    Tcp,
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any kind",
            Self::Arp => "ARP",
            Self::Icmp => "ICMP",
            Self::Dhcp => "DHCP",
            Self::Dns => "DNS",
            Self::Ntp => "NTP",
            Self::Tftp => "TFTP",
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
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

/// How a board is connected to its network: by a cable, which is in or out, and where that is a USB device by its adapter, which is too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// The network cable is out.
    Down,
    /// The network cable is in.
    Up,
    /// The USB adapter is out of the board's port.
    Unplugged,
    /// The USB adapter is in the board's port.
    Plugged,
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "down",
            Self::Up => "up",
            Self::Unplugged => "unplugged",
            Self::Plugged => "plugged",
        })
    }
}

/// A TLS handshake as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TlsEvent {
    /// The service that was dialled.
    pub service: ServiceId,
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

/// A state of a port of the power distribution unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutletState {
    /// The board has power.
    On,
    /// The board has none.
    Off,
    /// The unit could not switch it, and does not know.
    Unknown,
}

impl fmt::Display for OutletState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Unknown => "unknown",
        })
    }
}

/// Who ordered the power distribution unit to switch a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SwitchedBy {
    /// A step of the scenario.
    Step,
    /// A client of the binary TCP protocol.
    Tcp,
    /// A client of the HTTP interface.
    Http,
}

/// A connection that was copied, byte for byte, between a board and a server outside of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionEvent {
    /// The service that the board meant.
    pub service: ServiceId,
    /// Client address.
    pub client: Ipv4Addr,
    /// Server name of the TLS handshake, if there was one.
    pub server_name: Option<String>,
    /// The first TLS alert that could be read, which is one that was sent before the connection was encrypted.
    pub alert: Option<AlertEvent>,
    /// Why there was no connection to the server outside, or why it ended early.
    pub error: Option<String>,
    /// Bytes that the client sent.
    pub to_server: u64,
    /// Bytes that the server sent.
    pub to_client: u64,
    /// Seconds from the connection to its end.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub duration: Duration,
}

impl fmt::Display for ConnectionEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service,
            to_server,
            to_client,
            ..
        } = self;
        write!(f, "forwarded connection to the {service} server")?;
        if let Some(name) = &self.server_name {
            write!(f, " as {name}")?;
        }
        write!(f, ": {to_server} bytes sent, {to_client} received")?;
        if let Some(alert) = &self.alert {
            write!(f, ", {alert}")?;
        }
        if let Some(error) = &self.error {
            write!(f, ", {error}")?;
        }
        Ok(())
    }
}

/// What has come of a server's answer on a forwarded connection. Nobody can see what it says: it is the content of TLS records, or the bytes of a
/// connection without TLS. There is such an event at an answer's first bytes, whenever it has doubled, and at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerEvent {
    /// The service that the board meant.
    pub service: ServiceId,
    /// Client address.
    pub client: Ipv4Addr,
    /// Server name of the TLS handshake, if there was one.
    pub server_name: Option<String>,
    /// Which answer of its connection, counted from 0. A new one begins when the client has sent something after the server.
    pub number: u32,
    /// Bytes of the answer so far.
    pub bytes: u64,
    /// Bytes of it at the event before; 0 in its first.
    pub bytes_before: u64,
    /// Bytes of all answers of the connection so far.
    pub total: u64,
    /// Bytes of all of them at the event before; 0 in the connection's first.
    pub total_before: u64,
}

impl fmt::Display for AnswerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} server outside has answered with {} bytes (answer {} of its connection)",
            self.service,
            self.bytes,
            self.number + 1
        )
    }
}

/// A TLS alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertEvent {
    /// Whether the client sent it; otherwise the server did.
    pub from_client: bool,
    /// The alert's number (RFC 8446, section 6).
    pub code: u8,
    /// The alert's name, for example `bad_certificate`.
    pub name: String,
}

impl fmt::Display for AlertEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = if self.from_client { "client" } else { "server" };
        write!(f, "TLS alert of the {from}: {} ({})", self.name, self.code)
    }
}

/// A request with its outcome: over HTTP, or over TFTP with the method `RRQ` and the status that HTTP would have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestEvent {
    /// The service that answered.
    pub service: ServiceId,
    /// Client address.
    pub client: Ipv4Addr,
    /// SHA-1 fingerprint of the client's certificate, lower-case hex.
    pub fingerprint: Option<String>,
    /// `Host` header, without the port.
    pub host: String,
    /// Method, for example `GET`; `RRQ` is the reading of a file by TFTP.
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

impl RequestEvent {
    /// The server has given what was asked for (RFC 9110, section 15.3).
    #[must_use]
    pub fn has_succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }
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
pub(super) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64((d.as_secs_f64() * 1e6).round() / 1e6)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(d)?).map_err(D::Error::custom)
    }
}
