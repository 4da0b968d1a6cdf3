//! Events for tests.

use std::time::Duration;

use crate::timeline::{RequestEvent, ServiceId};

/// A request that was answered with this status, to the end.
pub(crate) fn request(service: ServiceId, target: &str, status: u16) -> RequestEvent {
    RequestEvent {
        service,
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
