//! A capture of a guest that speaks TLS with a server of ours, read by tshark.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use shakedown_harness::evidence::Capture;
use shakedown_harness::lan::{Config, Lan};
use shakedown_harness::services::{Authority, Journal, Secrets, TlsListener, TlsOptions, serve};
use shakedown_harness::timeline::{ServiceId, Timeline};

use crate::guest::Guest;

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 5), 443);
const HOST: &str = "boot.farm.example";

/// tshark finds the requests inside TLS 1.2, as iPXE speaks it, and inside TLS 1.3, as podman does, with nothing but the file.
pub(crate) fn decrypts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lan.pcapng");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let timeline = Timeline::start();
        let lan = Lan::start(Config::default(), timeline.clone()).unwrap();
        let authority = Authority::generate("Test authority").unwrap();
        let identity = authority.issue_server(&[HOST]).unwrap();
        let secrets = Secrets::default();
        let capture = Capture::start(&lan, secrets.clone(), &path, &timeline).unwrap();
        let options = TlsOptions {
            secrets: Some(secrets),
            ..TlsOptions::new(&identity)
        };
        let journal = Journal::new(ServiceId::Boot, timeline);
        let listener = lan.listen(*SERVER.ip(), SERVER.port()).unwrap();
        let listener = TlsListener::start(listener, &options, journal.clone()).unwrap();
        let router = Router::new().fallback(|| async { "an answer that nobody may read" });
        let server = serve(listener, router, journal);
        let asks = [(50, &TLS12, "/by-tls-1.2"), (51, &TLS13, "/by-tls-1.3")];
        for (address, version, target) in asks {
            let mut guest = Guest::at(&lan, address);
            let answer = ask(&mut guest, &authority, version, target).await;
            assert!(
                answer.ends_with("an answer that nobody may read"),
                "{answer}"
            );
        }
        drop((server, lan));
        let missing = tokio::time::timeout(Duration::from_secs(20), capture.finish());
        assert_eq!(missing.await.unwrap().unwrap(), 0);
    });
    let fields = ["http.host", "http.request.uri"].map(|field| ["-e", field]);
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(&path).args(["-Y", "http.request"]);
    tshark.args(["-T", "fields"]).args(fields.concat());
    let output = tshark.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let requests: Vec<_> = text.lines().collect();
    let expected = ["/by-tls-1.2", "/by-tls-1.3"].map(|target| format!("{HOST}\t{target}"));
    assert_eq!(
        requests,
        expected,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Asks the server over TLS and returns the whole answer.
async fn ask(
    guest: &mut Guest,
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
    target: &str,
) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate_der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(HOST).unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    std::io::Write::write_all(&mut tls.writer(), request.as_bytes()).unwrap();
    let connection = guest.connect(SERVER).await.unwrap();
    let mut answer = Vec::new();
    let answered = guest.until(|guest| {
        let socket = guest.tcp(connection);
        while socket.can_recv() {
            socket
                .recv(|bytes| {
                    let read = tls.read_tls(&mut &*bytes).unwrap();
                    (read, ())
                })
                .unwrap();
            let state = tls.process_new_packets().unwrap();
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            std::io::Read::read_exact(&mut tls.reader(), &mut plain).unwrap();
            answer.extend(plain);
        }
        // Behind what has come, since that may call for an answer.
        while tls.wants_write() {
            let mut out = Vec::new();
            tls.write_tls(&mut out).unwrap();
            // A few kilobytes find room in the guest's buffer.
            assert_eq!(socket.send_slice(&out).unwrap(), out.len());
        }
        (!socket.may_recv()).then_some(())
    });
    answered.await;
    guest.tcp(connection).close();
    guest.run_for(Duration::from_millis(50)).await;
    String::from_utf8(answer).unwrap()
}
