//! The boot server as its clients see it, over the loopback interface.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::{Method, Response, StatusCode};
use bytes::Bytes;
use rustls::version::{TLS12, TLS13};
use tempfile::NamedTempFile;

use crate::testing::{Client as HttpClient, PKI, Service, collect};
use crate::{Blob, ScratchKeys, ScratchSpace, TlsOptions};
use shakedown_base::timeline::{Cursor, Event, Record, ServiceId};

use super::*;

const SCRIPT: &str = "#!ipxe\nkernel /files/kernel b2c.hostname=${net0/mac} id=${client_cert_fingerprint} s3=${s3_endpoint}\nboot\n";

/// A folder with a script, a kernel in memory and an initramfs on disk, which lives as long as the returned file.
fn folder() -> (Folder, NamedTempFile) {
    let mut initramfs = NamedTempFile::new().unwrap();
    initramfs.write_all(&[7; 300_000]).unwrap();
    let mut folder = Folder::default();
    folder.insert("boot.ipxe", SCRIPT).unwrap();
    folder
        .insert("kernel", Bytes::from_static(b"0123456789"))
        .unwrap();
    folder
        .insert(
            "secrets",
            "token of ${client_cert_fingerprint} at ${s3_endpoint}, not ${secrets_url}\n",
        )
        .unwrap();
    folder
        .insert("b2c/initramfs", Blob::file(initramfs.path()).unwrap())
        .unwrap();
    (folder, initramfs)
}

fn client() -> Client {
    Client::Certificate(PKI.client.fingerprint())
}

fn machine() -> Client {
    Client::Machine("b8:27:eb:00:00:01".parse().unwrap())
}

/// What a machine without a certificate gets as its script when this is its folder.
async fn script_of(folder: Folder) -> Response<Bytes> {
    let root = DataRoot::default();
    root.set(machine(), folder);
    let service = Service::plain(ServiceId::Boot, BootServer::new(root).http()).await;
    let mut client = service.dial().await;
    client.get("/boot/b8:27:eb:00:00:01/boot.ipxe").await
}

fn server() -> (BootServer, NamedTempFile) {
    let (folder, initramfs) = folder();
    let root = DataRoot::default();
    root.set(client(), folder.clone());
    root.set(machine(), folder);
    (
        BootServer::new(root).variable("s3_endpoint", "http://10.42.0.1:9000"),
        initramfs,
    )
}

async fn https() -> (Service, NamedTempFile) {
    let (server, initramfs) = server();
    let options = TlsOptions::for_ipxe(&PKI.server, PKI.authority.certificate_der());
    (
        Service::tls(ServiceId::Boot, server.https(), &options).await,
        initramfs,
    )
}

async fn http() -> (Service, NamedTempFile) {
    let (server, initramfs) = server();
    (
        Service::plain(ServiceId::Boot, server.http()).await,
        initramfs,
    )
}

async fn status(client: &mut HttpClient, target: &str) -> StatusCode {
    client.get(target).await.status()
}

#[tokio::test]
async fn a_client_gets_its_script_and_its_files() {
    let (service, _initramfs) = https().await;
    let mut client = service.dial_tls(Some(&PKI.client), &TLS12).await.unwrap();
    let script = client
        .get("/boot/ipxe?mac=b8:27:eb:00:00:01&platform=efi&buildarch=arm64")
        .await;
    assert_eq!(script.status(), StatusCode::OK);
    let text = str::from_utf8(script.body())
        .unwrap()
        .replace(&PKI.client.fingerprint().to_string(), "[fingerprint]");
    insta::assert_snapshot!(text, @r"
    #!ipxe
    kernel /files/kernel b2c.hostname=${net0/mac} id=[fingerprint] s3=http://10.42.0.1:9000
    boot
    ");
    assert_eq!(client.get("/files/kernel").await.body(), "0123456789");
    assert_eq!(
        client.get("/files/b2c/initramfs").await.body(),
        &vec![7; 300_000]
    );
    let mut cursor = Cursor::default();
    for (target, bytes) in [
        (
            "/boot/ipxe?mac=b8:27:eb:00:00:01&platform=efi&buildarch=arm64",
            script.body().len(),
        ),
        ("/files/kernel", 10),
        ("/files/b2c/initramfs", 300_000),
    ] {
        let request = service.request(&mut cursor).await;
        assert_eq!(
            (request.target.as_str(), request.bytes, request.complete),
            (target, bytes as u64, true)
        );
        assert_eq!(
            request.fingerprint.unwrap(),
            PKI.client.fingerprint().to_string()
        );
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_gets_403() {
    let (service, _initramfs) = https().await;
    let mut client = service.dial_tls(None, &TLS13).await.unwrap();
    assert_eq!(
        status(&mut client, "/boot/ipxe").await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        status(&mut client, "/files/kernel").await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(service.request(&mut Cursor::default()).await.status, 403);
}

#[tokio::test]
async fn a_client_without_a_folder_gets_a_script_that_says_so() {
    let options = TlsOptions::for_ipxe(&PKI.server, PKI.authority.certificate_der());
    let service = Service::tls(
        ServiceId::Boot,
        BootServer::new(DataRoot::default()).https(),
        &options,
    )
    .await;
    let mut client = service.dial_tls(Some(&PKI.client), &TLS12).await.unwrap();
    let script = client.get("/boot/ipxe").await;
    assert_eq!(script.status(), StatusCode::OK);
    let text = str::from_utf8(script.body()).unwrap();
    assert!(
        text.starts_with("#!ipxe\n\necho ") && text.contains("there is no boot.ipxe for"),
        "{text}"
    );
    assert_eq!(
        status(&mut client, "/files/kernel").await,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_script_that_is_no_text_or_no_script_is_reported_in_a_script() {
    for (content, reason) in [
        (vec![0xff], "is not UTF-8 text"),
        (vec![b' '; 300_000], "has 300000 bytes"),
    ] {
        let mut folder = Folder::default();
        folder.insert("boot.ipxe", Bytes::from(content)).unwrap();
        let script = script_of(folder).await;
        assert_eq!(script.status(), StatusCode::OK);
        let text = str::from_utf8(script.body()).unwrap();
        assert!(
            text.starts_with("#!ipxe\n\necho ") && text.contains(reason),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_machine_is_known_by_the_address_that_fetched_its_script() {
    let (service, _initramfs) = http().await;
    let mut client = service.dial().await;
    assert_eq!(
        status(&mut client, "/files/kernel").await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        status(&mut client, "/boot/b8-27-eb-00-00-02/boot.ipxe").await,
        StatusCode::OK
    );
    assert_eq!(
        status(&mut client, "/files/kernel").await,
        StatusCode::FORBIDDEN
    );
    let script = client
        .get("/boot/b8:27:eb:00:00:01/boot.ipxe?platform=efi&buildarch=arm64")
        .await;
    assert!(script.body().starts_with(
        b"#!ipxe\nkernel /files/kernel b2c.hostname=${net0/mac} id=${client_cert_fingerprint}"
    ));
    assert_eq!(client.get("/files/kernel").await.body(), "0123456789");
    assert_eq!(
        status(&mut client, "/boot/nonsense/boot.ipxe").await,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn nothing_outside_the_folder_is_reached() {
    let (service, _initramfs) = http().await;
    let mut client = service.dial().await;
    client.get("/boot/b8:27:eb:00:00:01/boot.ipxe").await;
    for path in [
        "../etc/passwd",
        "%2e%2e/etc/passwd",
        "b2c/..%2f..%2fx",
        "/etc/passwd",
        "kernel%00",
        "a%5c..%5cb",
        "b2c/",
        "%ff",
    ] {
        assert_eq!(
            status(&mut client, &format!("/files/{path}")).await,
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
    for target in [
        "/files/none",
        "/files/b2c",
        "/files/%252e%252e",
        "/files",
        "/",
        "/boot/ipxe",
    ] {
        assert_eq!(
            status(&mut client, target).await,
            StatusCode::NOT_FOUND,
            "{target}"
        );
    }
}

#[tokio::test]
async fn ranges_and_heads() {
    let (service, _initramfs) = http().await;
    let mut client = service.dial().await;
    client.get("/boot/b8:27:eb:00:00:01/boot.ipxe").await;
    let part = collect(
        client
            .send(Method::GET, "/files/kernel", Some("bytes=2-4"))
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (part.status(), part.body().as_ref()),
        (StatusCode::PARTIAL_CONTENT, &b"234"[..])
    );
    assert_eq!(part.headers()["content-range"], "bytes 2-4/10");
    let tail = collect(
        client
            .send(Method::GET, "/files/b2c/initramfs", Some("bytes=-200000"))
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(tail.body().len(), 200_000);
    let beyond = collect(
        client
            .send(Method::GET, "/files/kernel", Some("bytes=10-"))
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.headers()["content-range"], "bytes */10");
    let head = collect(
        client
            .send(Method::HEAD, "/files/b2c/initramfs", None)
            .await
            .unwrap(),
    )
    .await;
    assert_eq!((head.status(), head.body().len()), (StatusCode::OK, 0));
    assert_eq!(head.headers()["content-length"], "300000");
    assert_eq!(head.headers()["accept-ranges"], "bytes");
}

#[tokio::test]
async fn other_methods_are_refused() {
    let (service, _initramfs) = http().await;
    let mut client = service.dial().await;
    client.get("/boot/b8:27:eb:00:00:01/boot.ipxe").await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        for target in ["/files/kernel", "/boot/b8:27:eb:00:00:01/boot.ipxe"] {
            let answer = client.send(method.clone(), target, None).await.unwrap();
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        }
    }
}

#[tokio::test]
async fn a_file_that_changed_under_the_server_is_a_500_that_says_so() {
    let (service, initramfs) = http().await;
    let mut client = service.dial().await;
    client.get("/boot/b8:27:eb:00:00:01/boot.ipxe").await;
    initramfs.as_file().set_len(5).unwrap();
    let answer = client.get("/files/b2c/initramfs").await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        answer.body(),
        "a file of the server had 300000 bytes when the service was set up and has 5 now\n"
    );
    // Where the file is, the journal says and nobody else.
    let path = initramfs.path().display().to_string();
    let is_told =
        |record: &Record| matches!(&record.event, Event::Note { text, .. } if text.contains(&path));
    assert!(service.timeline.snapshot().iter().any(is_told));
}

/// The URL that a script announces, without scheme and host.
fn secrets_path(script: &[u8]) -> String {
    let script = str::from_utf8(script).unwrap();
    let (_, url) = script.trim().split_once("secrets at ").unwrap();
    url.strip_prefix("https://boot.example").unwrap().to_owned()
}

#[tokio::test]
async fn secrets_are_told_once_to_any_client_with_their_url() {
    let (mut folder, _initramfs) = folder();
    folder
        .insert("boot.ipxe", "#!ipxe\n# secrets at ${secrets_url}\n")
        .unwrap();
    let root = DataRoot::default();
    root.set(client(), folder);
    let now = Arc::new(Mutex::new(Instant::now()));
    let clock = Arc::clone(&now);
    let server = BootServer::new(root)
        .variable("s3_endpoint", "http://a")
        .client_variable(client(), "s3_endpoint", "http://b")
        .secrets(
            Duration::from_secs(60),
            Arc::new(move || *clock.lock().unwrap()),
        );
    let options = TlsOptions::for_ipxe(&PKI.server, PKI.authority.certificate_der());
    let service = Service::tls(ServiceId::Boot, server.https(), &options).await;
    let mut known = service.dial_tls(Some(&PKI.client), &TLS12).await.unwrap();
    let mut nobody = service.dial_tls(None, &TLS12).await.unwrap();

    let path = secrets_path(known.get("/boot/ipxe").await.body());
    let head = nobody.send(Method::HEAD, &path, None).await.unwrap();
    assert_eq!(head.status(), StatusCode::METHOD_NOT_ALLOWED);
    let secrets = nobody.get(&path).await;
    let text = str::from_utf8(secrets.body()).unwrap();
    let fingerprint = PKI.client.fingerprint();
    assert_eq!(
        text,
        format!("token of {fingerprint} at http://b, not ${{secrets_url}}\n")
    );
    assert_eq!(status(&mut nobody, &path).await, StatusCode::NOT_FOUND);

    let path = secrets_path(known.get("/boot/ipxe").await.body());
    *now.lock().unwrap() += Duration::from_secs(60);
    assert_eq!(status(&mut nobody, &path).await, StatusCode::NOT_FOUND);
    assert_eq!(
        status(&mut nobody, "/secrets/unknown").await,
        StatusCode::NOT_FOUND
    );
}

/// The value that a script sets.
fn value<'a>(script: &'a [u8], name: &str) -> &'a str {
    let script = str::from_utf8(script).unwrap();
    let (_, rest) = script.split_once(&format!("set {name} ")).unwrap();
    rest.split_ascii_whitespace().next().unwrap()
}

/// A server whose script shows the storage's key and the secrets' URL, over plain HTTP; with the keys of that storage, if there is one.
async fn with_storage(is_up: bool) -> (Service, ScratchKeys) {
    let files = tempfile::tempdir().unwrap();
    let mut space = ScratchSpace::new(files.path()).unwrap();
    let bucket = space.add_client().unwrap().bucket;
    let keys = space.keys();
    let mut folder = Folder::default();
    let script = "#!ipxe\nset key ${s3_access_key_id}\nset url ${secrets_url}\n";
    folder.insert("boot.ipxe", script).unwrap();
    folder
        .insert("secrets", "set key ${s3_access_key_id}\n")
        .unwrap();
    let root = DataRoot::default();
    root.set(machine(), folder);
    let storage = match is_up {
        true => Storage::Renewed {
            keys: keys.clone(),
            bucket,
        },
        false => Storage::Down,
    };
    let server = BootServer::new(root).storage(machine(), storage);
    (Service::plain(ServiceId::Boot, server.http()).await, keys)
}

#[tokio::test]
async fn each_script_revokes_the_key_of_the_one_before() {
    let (service, keys) = with_storage(true).await;
    let mut client = service.dial().await;
    let first = client.get("/boot/b8:27:eb:00:00:01/boot.ipxe").await;
    let key = value(first.body(), "key").to_owned();
    assert!(keys.knows(&key));
    // Any client: a retry, or the owner with curl.
    let mut other = service.dial().await;
    let second = other.get("/boot/b8:27:eb:00:00:01/boot.ipxe").await;
    assert!(!keys.knows(&key), "revoked");
    assert!(keys.knows(value(second.body(), "key")));
    // The secrets are those of their script, and hence out of date.
    let url = value(first.body(), "url")
        .strip_prefix("http://boot.example")
        .unwrap();
    let secrets = client.get(url).await;
    assert_eq!(value(secrets.body(), "key"), key);
}

#[tokio::test]
async fn without_storage_there_is_no_script_but_500() {
    let (service, _) = with_storage(false).await;
    let mut client = service.dial().await;
    let answer = client.get("/boot/b8:27:eb:00:00:01/boot.ipxe").await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!answer.body().starts_with(b"#!ipxe"));
}

#[tokio::test]
async fn without_secrets_their_url_is_the_word_none() {
    for secrets in [None, Some(&b"\xff\xfe"[..])] {
        let mut folder = Folder::default();
        folder
            .insert("boot.ipxe", "#!ipxe\nset url ${secrets_url}\n")
            .unwrap();
        if let Some(secrets) = secrets {
            folder
                .insert("secrets", Bytes::from_static(secrets))
                .unwrap();
        }
        let script = script_of(folder).await;
        assert_eq!(value(script.body(), "url"), "None", "{secrets:?}");
    }
}

/// docs/book/src/boot-server.md: each point names the test that holds it.
#[test]
fn every_point_of_the_table_of_differences_is_held_by_a_test() {
    const TABLE: &str = include_str!("../../../../docs/book/src/boot-server.md");
    const TESTS: &[&str] = &[
        include_str!("tests.rs"),
        include_str!("template.rs"),
        include_str!("secrets.rs"),
        include_str!("script.rs"),
        include_str!("data.rs"),
        include_str!("update.rs"),
        include_str!("../tls.rs"),
        include_str!("../access_log.rs"),
    ];
    let rows = TABLE
        .lines()
        .filter(|line| line.starts_with("| ") && line.ends_with("` |"));
    let mut points = 0;
    for row in rows {
        let test = row.trim_end_matches("` |").rsplit('`').next().unwrap();
        let held = TESTS
            .iter()
            .any(|file| file.contains(&format!("fn {test}(")));
        assert!(held, "no test {test}: {row}");
        points += 1;
    }
    assert!(points >= 14, "{points}");
}

#[tokio::test]
async fn conditions_spare_the_body() {
    let (service, _initramfs) = http().await;
    let mut client = service.dial().await;
    client.get("/boot/b8:27:eb:00:00:01/boot.ipxe").await;
    for target in ["/files/kernel", "/files/b2c/initramfs"] {
        let whole = client.get(target).await;
        let etag = whole.headers()["etag"].to_str().unwrap().to_owned();
        let mut ask = async |headers: &[(&str, &str)]| {
            let answer = client
                .send_with(Method::GET, target, headers)
                .await
                .unwrap();
            collect(answer).await
        };
        let again = ask(&[("if-none-match", &etag)]).await;
        assert_eq!(
            (again.status(), again.body().len()),
            (StatusCode::NOT_MODIFIED, 0)
        );
        assert_eq!(again.headers()["etag"], etag.as_str());
        let resumed = ask(&[("range", "bytes=1-2"), ("if-range", &etag)]).await;
        assert_eq!(
            (resumed.status(), resumed.body().len()),
            (StatusCode::PARTIAL_CONTENT, 2)
        );
        let changed = ask(&[("range", "bytes=1-2"), ("if-range", "\"other\"")]).await;
        assert_eq!(
            (changed.status(), changed.body()),
            (StatusCode::OK, whole.body())
        );
        assert_eq!(
            ask(&[("if-match", "\"other\"")]).await.status(),
            StatusCode::PRECONDITION_FAILED
        );
    }
    let initramfs = client.get("/files/b2c/initramfs").await;
    let modified = initramfs.headers()["last-modified"]
        .to_str()
        .unwrap()
        .to_owned();
    let headers = [("if-modified-since", modified.as_str())];
    let again = client
        .send_with(Method::GET, "/files/b2c/initramfs", &headers)
        .await
        .unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn a_root_on_disk_is_looked_up_at_each_request() {
    let directory = tempfile::tempdir().unwrap();
    let server = BootServer::new(DataRoot::on_disk(directory.path()).unwrap());
    let options = TlsOptions::for_ipxe(&PKI.server, PKI.authority.certificate_der());
    let service = Service::tls(ServiceId::Boot, server.https(), &options).await;
    let mut client = service.dial_tls(Some(&PKI.client), &TLS12).await.unwrap();
    let script = client.get("/boot/ipxe").await;
    assert!(
        script
            .body()
            .starts_with(b"#!ipxe\n\necho The boot server cannot render")
    );

    let folder = directory.path().join(PKI.client.fingerprint().to_string());
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(
        folder.join("boot.ipxe"),
        "#!ipxe\necho ${client_cert_fingerprint}\n",
    )
    .unwrap();
    std::fs::write(folder.join("kernel"), "kernel").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.join("leak")).unwrap();
    let script = client.get("/boot/ipxe").await;
    let fingerprint = PKI.client.fingerprint();
    assert_eq!(
        script.body(),
        format!("#!ipxe\necho {fingerprint}\n").as_bytes()
    );
    assert_eq!(client.get("/files/kernel").await.body(), "kernel");
    assert_eq!(
        status(&mut client, "/files/leak").await,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn only_a_checkout_on_disk_is_updated() {
    let (service, _initramfs) = http().await;
    assert_eq!(
        status(&mut service.dial().await, "/update-cfg").await,
        StatusCode::NOT_FOUND
    );

    // Below a checkout, and none itself.
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join(".git")).unwrap();
    let root = directory.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let data = DataRoot::on_disk(&root).unwrap();
    let service = Service::plain(ServiceId::Boot, BootServer::new(data.clone()).http()).await;
    let answer = service.dial().await.get("/update-cfg").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let server = BootServer::new(data.follow_upstream());
    let service = Service::plain(ServiceId::Boot, server.http()).await;
    let answer = service.dial().await.get("/update-cfg").await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.body(), "the data root is not a git checkout\n");
}

#[tokio::test]
async fn a_folder_that_is_set_anew_is_handed_out_from_the_next_request_on() {
    let script = |text: &str| {
        let mut folder = Folder::default().variable("which", text);
        folder
            .insert("boot.ipxe", "#!ipxe\necho ${which} ${s3_endpoint}\n")
            .unwrap();
        folder
            .insert("kernel", Bytes::from(text.to_owned()))
            .unwrap();
        folder
    };
    let root = DataRoot::default();
    root.set(machine(), script("first"));
    let server = BootServer::new(root.clone()).variable("which", "everybody");
    let server = server.variable("s3_endpoint", "http://s3");
    let rendered = server.rendered(machine(), &script("other"), "${which}");
    assert_eq!(rendered, "other");
    let service = Service::plain(ServiceId::Boot, server.http()).await;
    let mut board = service.dial().await;
    let path = "/boot/b8:27:eb:00:00:01/boot.ipxe";
    assert_eq!(
        board.get(path).await.body(),
        "#!ipxe\necho first http://s3\n"
    );
    root.set(machine(), script("second"));
    // The address that fetched the script before is still that machine's.
    assert_eq!(board.get("/files/kernel").await.body(), "second");
    assert_eq!(
        board.get(path).await.body(),
        "#!ipxe\necho second http://s3\n"
    );
    let mut without = script("third");
    without.remove("kernel").unwrap();
    root.set(machine(), without);
    assert_eq!(
        status(&mut board, "/files/kernel").await,
        StatusCode::NOT_FOUND
    );
}
