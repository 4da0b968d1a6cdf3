//! Events for tests.

use std::time::Duration;

use crate::timeline::RequestEvent;

/// A request that was answered with this status, to the end.
pub(crate) fn request(service: &str, target: &str, status: u16) -> RequestEvent {
    RequestEvent {
        service: service.into(),
        client: [10, 42, 1, 0].into(),
        fingerprint: None,
        host: "host.example".into(),
        method: "GET".into(),
        target: target.into(),
        status,
        offset: None,
        bytes: 7,
        complete: true,
        duration: Duration::ZERO,
    }
}
