//! The TLS matrix with curl and `openssl s_client`: each defect of one side, and what the other makes of it.

use axum::Router;
use shakedown_services::{Chain, Identity, KeySize, ServerProfile, TlsOptions, Validity};

use crate::pki::{HOST, PKI};
use crate::site::{Site, text};
use crate::tool::{Outcome, Tool};
use crate::{Case, case};

/// A client certificate, the reason that the server writes down, and the alert that openssl is sent.
type ClientDefect = (&'static str, fn() -> Identity, &'static str, &'static str);
/// A server certificate, curl's and openssl's complaint.
type ServerDefect = (&'static str, fn() -> Identity, &'static str, &'static str);

const CLIENT_DEFECTS: &[ClientDefect] = &[
    (
        "unknown",
        || PKI.unknown_ca.issue_client("unknown").unwrap(),
        "UnknownIssuer",
        "unknown ca",
    ),
    (
        "expired",
        || {
            PKI.authority
                .issue_client_as("old", Validity::Expired)
                .unwrap()
        },
        "certificate expired",
        "certificate expired",
    ),
    (
        "not_yet_valid",
        || {
            PKI.authority
                .issue_client_as("young", Validity::NotYet)
                .unwrap()
        },
        "certificate not valid yet",
        "certificate expired",
    ),
    (
        "revoked",
        || PKI.authority.issue_client("revoked").unwrap(),
        "Revoked",
        "certificate revoked",
    ),
];

const SERVER_DEFECTS: &[ServerDefect] = &[
    (
        "wrong_host",
        || PKI.authority.issue_server(&["another.example"]).unwrap(),
        "no alternative certificate subject name matches",
        "hostname mismatch",
    ),
    (
        "unknown",
        || PKI.unknown_ca.issue_server(&[HOST]).unwrap(),
        "unable to get local issuer certificate",
        "unable to get local issuer certificate",
    ),
    (
        "expired",
        || {
            server(ServerProfile {
                validity: Validity::Expired,
                ..ServerProfile::default()
            })
        },
        "certificate has expired",
        "certificate has expired",
    ),
    (
        "not_yet_valid",
        || {
            server(ServerProfile {
                validity: Validity::NotYet,
                ..ServerProfile::default()
            })
        },
        "certificate is not yet valid",
        "certificate is not yet valid",
    ),
];

pub(crate) fn cases() -> Vec<Case> {
    const BOTH: &[Tool] = &[Tool::Curl, Tool::OpenSsl];
    let mut cases = vec![
        case("tls::client::wrong_key", BOTH, client_with_the_wrong_key),
        case("tls::server::long_chain", BOTH, long_chain),
        case("tls::server::rsa_4096", BOTH, rsa_4096),
        case("tls::server::fragments", BOTH, fragments),
    ];
    for defect in CLIENT_DEFECTS {
        let name = format!("tls::client::{}", defect.0);
        cases.push((name, BOTH, Box::new(|| refuse_client(defect))));
    }
    for defect in SERVER_DEFECTS {
        let name = format!("tls::server::{}", defect.0);
        cases.push((name, BOTH, Box::new(|| refuse_server(defect))));
    }
    cases
}

fn server(profile: ServerProfile) -> Identity {
    PKI.authority.issue_server_as(&[HOST], &profile).unwrap()
}

fn router() -> Router {
    Router::new().fallback(|| async { "let in\n" })
}

/// A request through `openssl s_client`, verifying the server as strictly as a browser does.
fn s_client(site: &Site, identity: Option<&Identity>, more: &[&str]) -> Outcome {
    let (ca, address) = (site.path("ca.pem"), site.address.to_string());
    let mut openssl = Tool::OpenSsl.command();
    openssl
        .args([
            "s_client",
            "-connect",
            &address,
            "-servername",
            HOST,
            "-verify_hostname",
            HOST,
        ])
        .args(["-CAfile", text(&ca), "-verify_return_error", "-ign_eof"])
        .args(more)
        .stdin(request(site));
    if let Some(identity) = identity {
        let (certificate, key) = site.identity(identity);
        openssl.arg("-cert").arg(certificate).arg("-key").arg(key);
    }
    Outcome::of(&mut openssl)
}

/// A request as standard input.
fn request(site: &Site) -> std::fs::File {
    let file = site.path("request");
    std::fs::write(
        &file,
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"),
    )
    .unwrap();
    std::fs::File::open(file).unwrap()
}

fn refuse_client((name, make, reason, alert): &ClientDefect) {
    let identity = make();
    let revoked = PKI.authority.revoke(&[&identity]).unwrap();
    let options = TlsOptions {
        revoked: (*name == "revoked").then_some(&revoked),
        ..TlsOptions::for_ipxe(&PKI.server, PKI.authority.certificate_der())
    };
    let site = Site::start(router(), Some(&options));
    for version in [&["--tlsv1.3"][..], &["--tls-max", "1.2"]] {
        let curl = site.curl(Some(&identity), "/", version);
        assert_ne!(curl.code, Some(0), "{curl:?}");
    }
    let openssl = s_client(&site, Some(&identity), &["-tls1_2"]);
    assert!(openssl.stderr.contains(alert), "{openssl:?}");
    assert!(site.requests().is_empty());
    let handshakes = site.handshakes();
    assert_eq!(handshakes.len(), 3);
    for handshake in handshakes {
        let error = handshake.error.unwrap();
        assert!(error.contains(reason), "{error}");
    }
    // Another client of the same server is let in.
    assert_eq!(site.curl(Some(&PKI.client), "/", &[]).success(), "let in\n");
}

fn refuse_server((_, make, curl_says, openssl_says): &ServerDefect) {
    let site = Site::tls(router(), &make());
    let curl = site.curl(Some(&PKI.client), "/", &[]);
    assert_eq!(curl.code, Some(60), "{curl:?}");
    assert!(curl.stderr.contains(curl_says), "{curl:?}");
    let openssl = s_client(&site, Some(&PKI.client), &[]);
    assert_ne!(openssl.code, Some(0), "{openssl:?}");
    let said = openssl.stdout.to_lowercase() + &openssl.stderr.to_lowercase();
    assert!(said.contains(openssl_says), "{openssl:?}");
    assert!(site.requests().is_empty());
    // One who does not look gets through: it is the certificate that is at fault.
    assert_eq!(
        site.curl(Some(&PKI.client), "/", &["--insecure"]).success(),
        "let in\n"
    );
}

/// Neither client offers a key that is not the certificate's: they refuse themselves.
fn client_with_the_wrong_key() {
    let site = Site::tls(router(), &PKI.server);
    let another = PKI.authority.issue_client("another").unwrap();
    let identity = PKI
        .authority
        .issue_client("wrong key")
        .unwrap()
        .with_key_of(&another);
    let curl = site.curl(Some(&identity), "/", &[]);
    assert_eq!(curl.code, Some(58), "{curl:?}");
    let openssl = s_client(&site, Some(&identity), &[]);
    assert!(
        openssl.stderr.contains("key values mismatch"),
        "{openssl:?}"
    );
    assert!(site.requests().is_empty());
}

fn long_chain() {
    let identity = server(ServerProfile {
        chain: Chain::LongerThan(4096),
        ..ServerProfile::default()
    });
    let site = Site::tls(router(), &identity);
    assert_eq!(site.curl(Some(&PKI.client), "/", &[]).success(), "let in\n");
    let shown = s_client(&site, Some(&PKI.client), &["-showcerts"]).success();
    let certificates = shown.matches("BEGIN CERTIFICATE").count();
    assert_eq!(certificates, identity.chain_der().len(), "{shown}");
    assert!(
        certificates > 3 && shown.contains("Verify return code: 0 (ok)"),
        "{shown}"
    );
}

fn rsa_4096() {
    let identity = server(ServerProfile {
        key: KeySize::Rsa4096,
        ..ServerProfile::default()
    });
    let site = Site::tls(router(), &identity);
    assert_eq!(site.curl(Some(&PKI.client), "/", &[]).success(), "let in\n");
    let shown = s_client(&site, Some(&PKI.client), &[]).success();
    assert!(shown.contains("Server public key is 4096 bit"), "{shown}");
}

fn fragments() {
    let options = TlsOptions {
        max_fragment: Some(512),
        ..TlsOptions::for_ipxe(&PKI.server, PKI.authority.certificate_der())
    };
    let site = Site::start(router(), Some(&options));
    assert_eq!(site.curl(Some(&PKI.client), "/", &[]).success(), "let in\n");
    let shown = s_client(&site, Some(&PKI.client), &["-tls1_2", "-msg"]).success();
    // The header of each record that came: type, version, and two bytes of length.
    let mut lengths = shown.split("<<< ").filter_map(|part| {
        let bytes = part.strip_prefix("TLS 1.2, RecordHeader [length 0005]\n")?;
        let bytes: Vec<_> = bytes.lines().next()?.split_whitespace().collect();
        let length = u16::from_str_radix(&bytes.get(3..5)?.concat(), 16).unwrap();
        (bytes[0] == "16").then_some(length)
    });
    let longest = lengths.clone().max();
    assert_eq!(longest, Some(512), "{shown}");
    assert!(lengths.any(|length| length < 512));
}
