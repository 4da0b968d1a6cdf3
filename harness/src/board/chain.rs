//! The chain: the stages that a board goes through, and the evidence that proves each.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::alarm::{AlarmFile, Alarms};
use crate::input::{ByteSize, Document, InputError, Pattern, SourceText, Span, duration};
use crate::timeline::{AnswerEvent, Power, ServiceId};

use super::container::ContainerMarks;

/// One stage of a chain.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// What people call it, for example `U-Boot` or `kernel fetched`.
    pub name: String,
    /// What proves that it was reached.
    pub evidence: Evidence,
    /// What proves it where the service of a `request` is a server outside of the run, whose requests nobody sees.
    pub forwarded: Option<Box<Evidence>>,
    /// The longest that it may take after the stage before it, on the reference host.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub budget: Duration,
}

/// What proves that a stage was reached.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The firmware stage handed over to the boot loader.
    Firmware,
    /// A UART printed text that matches.
    Serial(Pattern),
    /// The container said a line that matches: between the marks of `[container]`. Where a chain has no marks, any UART.
    Container(Pattern),
    /// The DHCP server acknowledged a lease, of whatever client.
    Lease,
    /// The DHCP server acknowledged a lease of such a client.
    Dhcp(LeaseEvidence),
    /// A TLS handshake with the service succeeded.
    Tls {
        /// Which.
        service: ServiceId,
    },
    /// A TLS handshake with the service failed.
    TlsFailure {
        /// Which.
        service: ServiceId,
        /// Matched against the reason that the service gives.
        error: Pattern,
    },
    /// A service answered a request with 2xx and handed the whole body over.
    Request(RequestEvidence),
    /// A server outside of the run, to which a service is forwarded, answered on a connection. Nobody sees what.
    Answer(AnswerEvidence),
    /// The container said the run's nonce, which only the registry's image holds, after a layer of the image had been served to the board, in this boot or
    /// in an earlier one of the run. Of a board behind another both are of that other board, which fetches the image for it.
    Nonce,
    /// The board's power changed.
    Power(Power),
}

impl Evidence {
    /// It comes from the LAN or a server of the run: nobody sees it of a board that is not on the LAN.
    #[must_use]
    pub fn is_of_lan(&self) -> bool {
        match self {
            Self::Firmware
            | Self::Serial(_)
            | Self::Container(_)
            | Self::Nonce
            | Self::Power(_) => false,
            Self::Lease
            | Self::Dhcp(_)
            | Self::Tls { .. }
            | Self::TlsFailure { .. }
            | Self::Request(_)
            | Self::Answer(_) => true,
        }
    }
}

/// Which DHCP client's lease proves a stage.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseEvidence {
    /// Matched against the client's vendor class (option 60), which is empty for a client that sends none.
    pub vendor_class: Option<Pattern>,
    /// Vendor classes that are of other clients.
    pub except: Option<Pattern>,
}

/// Which request proves a stage.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestEvidence {
    /// Which.
    pub service: ServiceId,
    /// Matched against path and query as sent.
    pub target: Pattern,
    /// Only a target that ends with the digest of a layer of the container image counts.
    #[serde(default)]
    pub layer: bool,
    /// The status that it was answered with, in place of a whole body and any 2xx.
    pub status: Option<u16>,
}

/// Which answer of a server outside of the run proves a stage.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerEvidence {
    /// Which.
    pub service: ServiceId,
    /// The bytes that it has at least, as they are sent: with what HTTP and TLS add. By default one.
    #[serde(default = "AnswerEvidence::one")]
    pub at_least: ByteSize,
    /// What must have that many.
    #[serde(default)]
    pub of: AnswerUnit,
}

/// What is measured of a server outside of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerUnit {
    /// One answer: what the server sends until the client sends something again.
    #[default]
    Answer,
    /// All answers of a connection.
    Connection,
}

impl AnswerEvidence {
    fn one() -> ByteSize {
        ByteSize(1)
    }

    /// The answer has just become so long.
    #[must_use]
    pub(crate) fn is_met_by(&self, answer: &AnswerEvent) -> bool {
        let (before, now) = match self.of {
            AnswerUnit::Answer => (answer.bytes_before, answer.bytes),
            AnswerUnit::Connection => (answer.total_before, answer.total),
        };
        self.service == answer.service && before < self.at_least.0 && self.at_least.0 <= now
    }
}

/// `boards/NAME.chain.toml`: the stages that a kind of board goes through, in order.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Chain")]
pub(crate) struct ChainFile {
    /// The stages, in order.
    #[schemars(with = "Vec<Stage>")]
    stage: Vec<Span<Stage>>,
    /// How the console shows where the container speaks.
    container: Option<ContainerMarks>,
    /// What the console must never say, what is harmless, and what a line means. Without any, those of `netboot.chain.toml` apply.
    #[serde(default)]
    #[schemars(with = "Vec<AlarmFile>")]
    alarm: Vec<Span<AlarmFile>>,
}

/// The chain file whose alarms apply to chains without alarms. A link into `boards`, so that the packed crate has it, too.
const USUAL: &str = include_str!("../../netboot.chain.toml");

/// A chain, read and checked.
pub(super) struct Chain {
    pub(super) stages: Vec<Stage>,
    pub(super) container: Option<ContainerMarks>,
    pub(super) alarms: Alarms,
    pub(super) source: SourceText,
}

/// Reads and checks a chain file.
pub(super) fn read(document: &Document) -> Result<Chain, InputError> {
    let file: ChainFile = document.parse()?;
    let mut stages: Vec<Stage> = Vec::with_capacity(file.stage.len());
    for stage in file.stage {
        if stages.iter().any(|s| s.name == stage.get_ref().name) {
            let message = format!(
                "stage \"{}\" is already in this chain; give it another name",
                stage.get_ref().name
            );
            return Err(document.error_at(stage.span(), &message));
        }
        stages.push(stage.into_inner());
    }
    let names = stages.iter().map(|s| s.name.clone()).collect();
    let alarms = if file.alarm.is_empty() {
        let usual: ChainFile =
            toml::from_str(USUAL).map_err(|e| document.error_at(0..0, e.message()))?;
        Alarms::adapted(usual.alarm, names)
    } else {
        Alarms::new(file.alarm, names)
    };
    Ok(Chain {
        stages,
        container: file.container,
        alarms: alarms.map_err(|e| document.error_at(e.span, &e.message))?,
        source: document.source(),
    })
}

impl std::fmt::Display for Evidence {
    /// What is awaited, for people: `the UART says /U-Boot/`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Firmware => write!(f, "the firmware stage starts the boot loader"),
            Self::Serial(pattern) => write!(f, "a UART says /{}/", pattern.as_str()),
            Self::Container(pattern) => write!(f, "the container says /{}/", pattern.as_str()),
            Self::Lease => write!(f, "the DHCP server acknowledges a lease"),
            Self::Dhcp(lease) => {
                write!(f, "the DHCP server acknowledges a lease")?;
                if let Some(class) = &lease.vendor_class {
                    write!(f, " to a client of the class /{}/", class.as_str())?;
                }
                if let Some(except) = &lease.except {
                    write!(
                        f,
                        " to a client of another class than /{}/",
                        except.as_str()
                    )?;
                }
                Ok(())
            }
            Self::Tls { service } => {
                write!(f, "a TLS handshake with the {service} server succeeds")
            }
            Self::TlsFailure { service, error } => write!(
                f,
                "a TLS handshake with the {service} server fails with /{}/",
                error.as_str()
            ),
            Self::Request(r) => {
                write!(
                    f,
                    "the {} server answers a request for /{}/",
                    r.service,
                    r.target.as_str()
                )?;
                match (r.status, r.layer) {
                    (Some(status), _) => write!(f, " with {status}"),
                    (None, true) => write!(f, " with the image's layer"),
                    (None, false) => Ok(()),
                }
            }
            Self::Answer(answer) => {
                let of = match answer.of {
                    AnswerUnit::Answer => "with",
                    AnswerUnit::Connection => "on one connection with",
                };
                write!(
                    f,
                    "the {} server outside answers {of} at least {}",
                    answer.service, answer.at_least
                )
            }
            Self::Nonce => write!(f, "the container says the nonce that only its image holds"),
            Self::Power(power) => write!(f, "power: {power:?}"),
        }
    }
}
