//! What a run does to its board on purpose, and how that shows when it takes effect.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::timeline::{Event, RequestEvent};

/// Something that the scenario does to the board on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// What, as in `the client's certificate has expired`.
    pub what: String,
    /// How the servers see it take effect.
    pub shows: Effect,
}

/// How a fault shows in the servers' journal when it takes effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The service refuses the client, or the client the service: a TLS handshake fails, or a request is answered with 403.
    Refusal {
        /// As in `boot` or `registry`.
        service: String,
    },
    /// The service answers with this status.
    Answer {
        /// As in `boot` or `registry`.
        service: String,
        /// Only under this name of the service, if it has several.
        host: Option<String>,
        /// The status code.
        status: u16,
    },
    /// The body of an answer breaks off.
    BreakOff {
        /// As in `boot` or `registry`.
        service: String,
    },
}

impl Effect {
    /// The event is the fault at work.
    #[must_use]
    pub fn is_seen_in(&self, event: &Event) -> bool {
        match (self, event) {
            (Self::Refusal { service }, Event::Tls(tls)) => {
                tls.service == *service && tls.error.is_some()
            }
            (Self::Refusal { service }, Event::Request(r)) => {
                r.service == *service && r.status == 403
            }
            (Self::BreakOff { service }, Event::Request(r)) => r.service == *service && !r.complete,
            (
                Self::Answer {
                    service,
                    host,
                    status,
                },
                Event::Request(r),
            ) => r.service == *service && r.status == *status && is_under(r, host.as_deref()),
            _ => false,
        }
    }
}

fn is_under(request: &RequestEvent, host: Option<&str>) -> bool {
    host.is_none_or(|host| request.host == host)
}
