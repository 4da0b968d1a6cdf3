//! What a run does to its board on purpose, and how that shows when it takes effect.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::timeline::{Event, RequestEvent, ServiceId};

/// Something that the scenario does to the board on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// What, for example `the client's certificate has expired`.
    pub what: String,
    /// How the servers see it take effect.
    pub shows: Effect,
}

/// How a fault shows in the servers' journal when it takes effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The service refuses the client, or the client the service: a TLS handshake fails, or a request is answered with 400 or 403.
    Refusal {
        /// Which.
        service: ServiceId,
    },
    /// The service answers with this status.
    Answer {
        /// Which.
        service: ServiceId,
        /// Only under this name of the service, if it has several.
        host: Option<String>,
        /// The status code.
        status: u16,
    },
    /// The fault's own event says so.
    Fired {
        /// The fault's name.
        name: String,
    },
    /// The body of an answer breaks off.
    BreakOff {
        /// Which.
        service: ServiceId,
    },
}

impl Effect {
    /// The event is the fault at work.
    #[must_use]
    pub fn is_seen_in(&self, event: &Event) -> bool {
        match (self, event) {
            (Self::Fired { name }, Event::Fault { name: fired, .. }) => name == fired,
            (Self::Refusal { service }, Event::Tls(tls)) => {
                tls.service == *service && tls.error.is_some()
            }
            (Self::Refusal { service }, Event::Request(r)) => {
                r.service == *service && matches!(r.status, 400 | 403)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: &str) -> Event {
        serde_json::from_str(json).unwrap()
    }

    fn answer(service: &str, host: &str, status: u16, complete: bool) -> Event {
        event(&format!(
            r#"{{ "event": "request", "service": "{service}", "client": "10.42.1.0", "fingerprint": null, "host": "{host}",
                "method": "GET", "target": "/", "status": {status}, "bytes": 1, "complete": {complete}, "duration": 0.1 }}"#
        ))
    }

    #[test]
    fn only_its_own_traces_are_a_fault_at_work() {
        let registry = || ServiceId::Registry;
        let refusal = Effect::Refusal {
            service: ServiceId::Boot,
        };
        let failed = |error: &str| {
            event(&format!(
                r#"{{ "event": "tls", "service": "boot", "server_name": null, "fingerprint": null, "error": {error} }}"#
            ))
        };
        assert!(refusal.is_seen_in(&failed("\"expired\"")));
        assert!(!refusal.is_seen_in(&failed("null")));
        assert!(refusal.is_seen_in(&answer("boot", "b", 400, true)));
        assert!(refusal.is_seen_in(&answer("boot", "b", 403, true)));
        assert!(!refusal.is_seen_in(&answer("boot", "b", 404, true)));
        assert!(!refusal.is_seen_in(&answer("registry", "r", 403, true)));

        let lacking = Effect::Answer {
            service: registry(),
            host: Some("mirror".into()),
            status: 404,
        };
        assert!(lacking.is_seen_in(&answer("registry", "mirror", 404, true)));
        assert!(!lacking.is_seen_in(&answer("registry", "docker.io", 404, true)));
        assert!(!lacking.is_seen_in(&answer("registry", "mirror", 200, true)));

        let break_off = Effect::BreakOff {
            service: registry(),
        };
        assert!(break_off.is_seen_in(&answer("registry", "r", 200, false)));
        assert!(!break_off.is_seen_in(&answer("registry", "r", 200, true)));
        assert!(!break_off.is_seen_in(&answer("boot", "b", 200, false)));
    }
}
