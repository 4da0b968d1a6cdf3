//! The boot server's access log: time, address, fingerprint, URL and status of each request, parted by blanks.

use std::time::SystemTime;

use humantime::format_rfc3339_millis;

use shakedown_base::timeline::RequestEvent;

/// The line for a request that was answered at `at`. A client without a certificate has a dash for a fingerprint.
#[must_use]
pub fn access_line(request: &RequestEvent, at: SystemTime) -> String {
    let RequestEvent {
        client,
        target,
        status,
        ..
    } = request;
    let fingerprint = request.fingerprint.as_deref().unwrap_or("-");
    let time = format_rfc3339_millis(at);
    format!("{time} {client} {fingerprint} {target} {status}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use shakedown_base::timeline::ServiceId;

    #[test]
    fn a_line_has_five_fields() {
        let request = RequestEvent {
            service: ServiceId::Boot,
            client: [10, 42, 1, 0].into(),
            fingerprint: None,
            host: "boot.example".into(),
            method: "GET".into(),
            target: "/secrets/c0ffee?x=y".into(),
            status: 404,
            offset: None,
            bytes: 0,
            complete: true,
            duration: Duration::ZERO,
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
        insta::assert_snapshot!(
            access_line(&request, at),
            @"2023-11-14T22:13:20.250Z 10.42.1.0 - /secrets/c0ffee?x=y 404"
        );
    }
}
