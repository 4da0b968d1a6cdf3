//! A service on the loopback interface, and the files that clients reach it with.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::Router;
use shakedown_base::timeline::{Event, RequestEvent, ServiceId, Timeline, TlsEvent};
use shakedown_services::{Identity, Journal, Server, TlsListener, TlsOptions, serve};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::pki::{HOST, PKI};
use crate::tool::{Outcome, Tool};

/// A running service. It ends with this.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
    timeline: Timeline,
    is_tls: bool,
    _server: Server,
    _runtime: Runtime,
}

impl Site {
    pub(crate) fn plain(router: Router) -> Self {
        Self::start(router, None)
    }

    /// Over TLS, for clients of the trial's authority.
    pub(crate) fn tls(router: Router, identity: &Identity) -> Self {
        let authority = PKI.authority.certificate_der();
        Self::start(router, Some(&TlsOptions::for_ipxe(identity, authority)))
    }

    pub(crate) fn start(router: Router, options: Option<&TlsOptions<'_>>) -> Self {
        let runtime = Runtime::new().unwrap();
        let _context = runtime.enter();
        let (timeline, folder) = (Timeline::start(), tempfile::tempdir().unwrap());
        let journal = Journal::new(ServiceId::Bench, timeline.clone());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let server = match options {
            None => serve(listener, router, journal),
            Some(options) => {
                let listener = TlsListener::start(listener, options, journal.clone()).unwrap();
                serve(listener, router, journal)
            }
        };
        fs::write(
            folder.path().join("ca.pem"),
            PKI.authority.certificate_pem(),
        )
        .unwrap();
        drop(_context);
        Self {
            address,
            folder,
            timeline,
            is_tls: options.is_some(),
            _server: server,
            _runtime: runtime,
        }
    }

    /// The path of a file in the site's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn url(&self, target: &str) -> String {
        match self.is_tls {
            true => format!("https://{HOST}:{}{target}", self.address.port()),
            false => format!("http://{}{target}", self.address),
        }
    }

    /// Certificate and key of `identity` as files.
    pub(crate) fn identity(&self, identity: &Identity) -> (PathBuf, PathBuf) {
        let (certificate, key) = (self.path("client.pem"), self.path("client.key"));
        fs::write(&certificate, identity.certificate_pem()).unwrap();
        fs::write(&key, identity.key_pem()).unwrap();
        (certificate, key)
    }

    /// curl for a target of the site, by name, with the trial's authority trusted and `identity` as its own.
    pub(crate) fn curl(&self, identity: Option<&Identity>, target: &str, more: &[&str]) -> Outcome {
        let mut curl = Tool::Curl.command();
        curl.args(["--silent", "--show-error", "--max-time", "60", "--resolve"])
            .arg(format!("{HOST}:{}:127.0.0.1", self.address.port()))
            .arg("--cacert")
            .arg(self.path("ca.pem"));
        if let Some(identity) = identity {
            let (certificate, key) = self.identity(identity);
            curl.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        Outcome::of(curl.args(more).arg(self.url(target)))
    }

    /// The status that curl gets.
    pub(crate) fn status(
        &self,
        identity: Option<&Identity>,
        target: &str,
        more: &[&str],
    ) -> String {
        let write = [
            "--output",
            "/dev/null",
            "--path-as-is",
            "--write-out",
            "%{http_code}",
        ];
        self.curl(identity, target, &[&write, more].concat())
            .success()
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<RequestEvent> {
        self.events(|event| match event {
            Event::Request(request) => Some(request),
            _ => None,
        })
    }

    /// Every handshake so far.
    pub(crate) fn handshakes(&self) -> Vec<TlsEvent> {
        self.events(|event| match event {
            Event::Tls(tls) => Some(tls),
            _ => None,
        })
    }

    fn events<T>(&self, wanted: impl FnMut(Event) -> Option<T>) -> Vec<T> {
        let records = self.timeline.snapshot();
        records
            .into_iter()
            .map(|r| r.event)
            .filter_map(wanted)
            .collect()
    }
}

/// Text of a path for a command line.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
