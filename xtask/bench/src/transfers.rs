//! Transfers, made of what the servers' journal says.
//!
//! A server knows when a request came and when the last byte of its answer went into a buffer, and behind that one there are others: QEMU's
//! user network alone takes a megabyte before the guest has seen a byte. Guests therefore say by a request of its own that a download has
//! come in whole. An upload is over when all of it is here.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use shakedown_harness::timeline::RequestEvent;

use super::target::{DONE, SERVICE, SINK};

/// A transfer that a guest made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Transfer {
    pub(super) kind: Kind,
    pub(super) took: Duration,
}

/// What is told apart about transfers of the same guest, as the guest sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Download,
    /// From the boot server, over TLS.
    SecureDownload,
    Upload,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Download => "download, HTTP",
            Self::SecureDownload => "download, HTTPS",
            Self::Upload => "upload, HTTP",
        }
    }
}

/// Follows the requests of a guest that makes one at a time.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// The download that the guest has not yet confirmed, and when it asked for it.
    download: Option<(Kind, Duration)>,
}

impl Course {
    /// Takes the next request, journalled at `at`; a transfer if one is over with it.
    pub(super) fn follow(
        &mut self,
        at: Duration,
        request: &RequestEvent,
    ) -> Result<Option<Transfer>> {
        let RequestEvent { method, target, .. } = request;
        ensure!(
            request.complete && request.has_succeeded(),
            "{method} {target} was answered with {}, {} bytes",
            request.status,
            request.bytes
        );
        let came = at.saturating_sub(request.duration);
        Ok(match target.as_str() {
            SINK => Some(Transfer {
                kind: Kind::Upload,
                took: request.duration,
            }),
            DONE => {
                let (kind, began) = self
                    .download
                    .take()
                    .context("the guest confirms a download that was none")?;
                let took = came.saturating_sub(began);
                Some(Transfer { kind, took })
            }
            _ if request.service == SERVICE => {
                self.download = Some((Kind::Download, came));
                None
            }
            _ => {
                self.download = Some((Kind::SecureDownload, came));
                None
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::target::SOURCE;
    use super::*;
    use shakedown_harness::timeline::ServiceId;

    fn request(service: ServiceId, target: &str, seconds: f64) -> RequestEvent {
        RequestEvent {
            service,
            client: Ipv4Addr::LOCALHOST,
            fingerprint: None,
            host: "host".into(),
            method: "GET".into(),
            target: target.into(),
            status: 200,
            offset: None,
            bytes: 1,
            complete: true,
            duration: Duration::from_secs_f64(seconds),
        }
    }

    #[test]
    fn a_download_lasts_until_the_guest_has_it() {
        let mut course = Course::default();
        let mut at = |at, request| {
            let transfer = course
                .follow(Duration::from_secs_f64(at), &request)
                .unwrap();
            transfer.map(|t| (t.kind, t.took.as_secs_f64()))
        };
        assert_eq!(at(10.0, request(SERVICE, SOURCE, 2.0)), None);
        let over = at(13.5, request(SERVICE, DONE, 0.5));
        assert_eq!(over, Some((Kind::Download, 5.0)));
        assert_eq!(at(20.0, request(ServiceId::Boot, "/files/blob", 1.0)), None);
        let over = at(20.0, request(SERVICE, DONE, 0.0));
        assert_eq!(over, Some((Kind::SecureDownload, 1.0)));
        let over = at(30.0, request(SERVICE, SINK, 4.0));
        assert_eq!(over, Some((Kind::Upload, 4.0)));
    }

    #[test]
    fn what_was_broken_off_is_an_error() {
        let broken = RequestEvent {
            complete: false,
            ..request(SERVICE, SOURCE, 2.0)
        };
        let mut course = Course::default();
        let error = course.follow(Duration::from_secs(9), &broken).unwrap_err();
        insta::assert_snapshot!(error, @"GET /blob was answered with 200, 1 bytes");
        assert!(
            course
                .follow(Duration::from_secs(9), &request(SERVICE, DONE, 0.0))
                .is_err()
        );
    }
}
