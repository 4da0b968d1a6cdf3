//! The boot server's routes with curl.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shakedown_services::{Blob, BootServer, Client, DataRoot, Folder};

use crate::pki::PKI;
use crate::site::{Site, text};
use crate::tool::Tool;
use crate::{Case, case};

const SIZE: usize = 300_000;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("boot::script_and_files", &[Tool::Curl], script_and_files),
        case(
            "boot::without_a_certificate",
            &[Tool::Curl],
            without_a_certificate,
        ),
        case(
            "boot::resume_head_and_conditions",
            &[Tool::Curl],
            resume_head_and_conditions,
        ),
        case("boot::keep_alive", &[Tool::Curl], keep_alive),
        case("boot::secret_once", &[Tool::Curl], secret_once),
        case(
            "boot::no_way_out_of_the_folder",
            &[Tool::Curl],
            no_way_out_of_the_folder,
        ),
    ]
}

fn client() -> Client {
    Client::Certificate(PKI.client.fingerprint())
}

fn content() -> Vec<u8> {
    (0..SIZE).map(|i| (i % 251) as u8).collect()
}

/// A boot server with a folder on disk for the client: a script, a kernel, secrets, and a link out of it.
fn site(clock: &Arc<Mutex<Instant>>) -> (Site, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(client().to_string());
    fs::create_dir(&folder).unwrap();
    let script = "#!ipxe\nkernel /files/kernel at=${net0/mac} cost=$$5\n# ${client_cert_fingerprint}\n# ${secrets_url}\n";
    fs::write(folder.join("boot.ipxe"), script).unwrap();
    fs::write(folder.join("secrets"), "key of ${s3_bucket_name}\n").unwrap();
    fs::write(folder.join("kernel"), content()).unwrap();
    fs::write(root.path().join("outside"), "outside\n").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.join("link")).unwrap();
    let clock = Arc::clone(clock);
    let server = BootServer::new(DataRoot::on_disk(root.path()).unwrap())
        .client_variable(client(), "s3_bucket_name", "trial-bucket")
        .secrets(
            Duration::from_secs(60),
            Arc::new(move || *clock.lock().unwrap()),
        );
    (Site::tls(server.https(), &PKI.server), root)
}

fn now() -> Arc<Mutex<Instant>> {
    Arc::new(Mutex::new(Instant::now()))
}

fn script_and_files() {
    let (site, _root) = site(&now());
    let target = "/boot/ipxe?mac=b8:27:eb:00:00:01&platform=efi&buildarch=arm64";
    let script = site.curl(Some(&PKI.client), target, &[]).success();
    let fingerprint = PKI.client.fingerprint();
    let wanted = format!(
        "#!ipxe\nkernel /files/kernel at=${{net0/mac}} cost=$5\n# {fingerprint}\n# https://"
    );
    assert!(script.starts_with(&wanted), "{script}");
    let file = site.path("kernel");
    site.curl(
        Some(&PKI.client),
        "/files/kernel",
        &["--output", text(&file)],
    )
    .success();
    assert!(fs::read(&file).unwrap() == content());
    let requests = site.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        assert_eq!(request.fingerprint, Some(fingerprint.to_string()));
        assert_eq!((request.status, request.complete), (200, true));
    }
    assert_eq!(
        (requests[0].target.as_str(), requests[1].bytes),
        (target, SIZE as u64)
    );
}

fn without_a_certificate() {
    let (site, _root) = site(&now());
    for target in ["/boot/ipxe", "/files/kernel"] {
        assert_eq!(site.status(None, target, &[]), "403", "{target}");
    }
    assert_eq!(site.status(None, "/nothing", &[]), "404");
}

fn resume_head_and_conditions() {
    let (site, _root) = site(&now());
    let file = site.path("kernel");
    fs::write(&file, &content()[..100_000]).unwrap();
    let resume = ["--continue-at", "-", "--output", text(&file)];
    site.curl(Some(&PKI.client), "/files/kernel", &resume)
        .success();
    assert!(fs::read(&file).unwrap() == content());
    assert_eq!(
        (site.requests()[0].status, site.requests()[0].bytes),
        (206, 200_000)
    );

    let head = site
        .curl(Some(&PKI.client), "/files/kernel", &["--head"])
        .success();
    assert!(
        head.to_lowercase().contains("content-length: 300000"),
        "{head}"
    );
    assert_eq!(site.requests()[1].bytes, 0);

    // curl keeps the tag, and asks with it the next time.
    let etag = site.path("etag");
    let save = ["--etag-save", text(&etag), "--output", "/dev/null"];
    site.curl(Some(&PKI.client), "/files/kernel", &save)
        .success();
    let again = ["--etag-compare", text(&etag)];
    assert_eq!(
        site.status(Some(&PKI.client), "/files/kernel", &again),
        "304"
    );
    let since = ["--time-cond", "Fri, 31 Dec 2100 00:00:00 GMT"];
    assert_eq!(
        site.status(Some(&PKI.client), "/files/kernel", &since),
        "304"
    );
}

fn keep_alive() {
    let (site, _root) = site(&now());
    let second = site.url("/boot/ipxe");
    let both = [
        "--write-out",
        "%{num_connects}\\n",
        "--output",
        "/dev/null",
        "--output",
        "/dev/null",
        &second,
    ];
    let connects = site
        .curl(Some(&PKI.client), "/files/kernel", &both)
        .success();
    assert_eq!(connects, "1\n0\n");
    assert_eq!((site.handshakes().len(), site.requests().len()), (1, 2));
}

fn secret_once() {
    let clock = now();
    let (site, _root) = site(&clock);
    let target = || {
        let script = site.curl(Some(&PKI.client), "/boot/ipxe", &[]).success();
        let (_, token) = script.trim().rsplit_once("/secrets/").unwrap();
        format!("/secrets/{token}")
    };
    let secret = target();
    assert_eq!(
        site.curl(None, &secret, &[]).success(),
        "key of trial-bucket\n"
    );
    assert_eq!(site.status(None, &secret, &[]), "404");
    let late = target();
    *clock.lock().unwrap() += Duration::from_secs(60);
    assert_eq!(site.status(None, &late, &[]), "404");
}

fn no_way_out_of_the_folder() {
    let (site, _root) = site(&now());
    for (target, status) in [
        ("/files/../outside", "400"),
        ("/files/%2e%2e/outside", "400"),
        ("/files/..%2foutside", "400"),
        ("/files//etc/hostname", "400"),
        ("/files/link", "403"),
        ("/files/none", "404"),
    ] {
        assert_eq!(
            site.status(Some(&PKI.client), target, &[]),
            status,
            "{target}"
        );
    }
    let mut folder = Folder::default();
    assert!(folder.insert("../outside", Blob::from("x")).is_err());
}
