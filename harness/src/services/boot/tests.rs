//! The boot server as its clients see it, over the loopback interface.

use std::io::Write;

use axum::http::{Method, StatusCode};
use bytes::Bytes;
use rustls::version::{TLS12, TLS13};
use tempfile::NamedTempFile;

use crate::services::testing::{Client, PKI, Service, collect};
use crate::services::{Blob, TlsOptions};
use crate::timeline::Cursor;

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
        .insert("b2c/initramfs", Blob::file(initramfs.path()).unwrap())
        .unwrap();
    (folder, initramfs)
}

fn server() -> (BootServer, NamedTempFile) {
    let (folder, initramfs) = folder();
    let mut root = DataRoot::default();
    root.set_client(PKI.client.fingerprint(), folder.clone());
    root.set_machine("b8:27:eb:00:00:01".parse().unwrap(), folder);
    (
        BootServer::new(root).variable("s3_endpoint", "http://10.42.0.1:9000"),
        initramfs,
    )
}

async fn https() -> (Service, NamedTempFile) {
    let (server, initramfs) = server();
    let options = TlsOptions::for_ipxe(&PKI.server, PKI.authority.certificate_der());
    (
        Service::tls("boot", server.https(), &options).await,
        initramfs,
    )
}

async fn http() -> (Service, NamedTempFile) {
    let (server, initramfs) = server();
    (Service::plain("boot", server.http()).await, initramfs)
}

async fn status(client: &mut Client, target: &str) -> StatusCode {
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
    let service = Service::tls("boot", BootServer::default().https(), &options).await;
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
        let mut root = DataRoot::default();
        root.set_machine("b8:27:eb:00:00:01".parse().unwrap(), folder);
        let service = Service::plain("boot", BootServer::new(root).http()).await;
        let script = service
            .dial()
            .await
            .get("/boot/b8:27:eb:00:00:01/boot.ipxe")
            .await;
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
    let post = client
        .send(Method::POST, "/files/kernel", None)
        .await
        .unwrap();
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_file_that_changed_under_the_server_is_a_500_that_says_so() {
    let (service, initramfs) = http().await;
    let mut client = service.dial().await;
    client.get("/boot/b8:27:eb:00:00:01/boot.ipxe").await;
    initramfs.as_file().set_len(5).unwrap();
    let answer = client.get("/files/b2c/initramfs").await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(str::from_utf8(answer.body()).unwrap().contains("300000"));
}
