//! Pulling over a connection.

use axum::http::{Method, StatusCode};
use rustls::version::TLS13;
use shakedown_base::timeline::ServiceId;

use crate::testing::{Client, PKI, Service, collect, image};
use crate::{Digest, OciImage, TlsOptions};
use shakedown_base::timeline::Cursor;

use super::super::*;

async fn service() -> (Service, Client, OciImage) {
    let image = image().with_index().unwrap();
    let mut registry = Registry::new();
    registry.add("library/alpine", "latest", &image).unwrap();
    registry.add("library/alpine", "3.20", &image).unwrap();
    let service = Service::tls(
        ServiceId::Registry,
        registry.router(),
        &TlsOptions::new(&PKI.server),
    )
    .await;
    let client = service.dial_tls(None, &TLS13).await.unwrap();
    (service, client, image)
}

#[tokio::test]
async fn a_pull_gets_the_exact_bytes() {
    let (service, mut client, image) = service().await;
    let version = client.get("/v2/").await;
    assert_eq!(version.status(), StatusCode::OK);
    assert_eq!(
        version.headers()["docker-distribution-api-version"],
        "registry/2.0"
    );
    let by_digest = image.manifest().digest.to_string();
    for (reference, document) in [
        ("latest", image.top()),
        ("3.20", image.top()),
        (by_digest.as_str(), image.manifest()),
    ] {
        let answer = client
            .get(&format!("/v2/library/alpine/manifests/{reference}"))
            .await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.body(), &document.bytes);
        assert_eq!(
            answer.headers()["content-type"],
            document.media_type.as_str()
        );
        assert_eq!(
            answer.headers()["docker-content-digest"],
            document.digest.to_string().as_str()
        );
    }
    for digest in [image.config().digest, image.layers()[0].digest()] {
        let answer = client
            .get(&format!("/v2/library/alpine/blobs/{digest}"))
            .await;
        assert_eq!(Digest::of(answer.body()), digest);
        assert_eq!(
            answer.headers()["docker-content-digest"],
            digest.to_string().as_str()
        );
    }
    assert_eq!(
        client.get("/v2/library/alpine/tags/list").await.body(),
        r#"{"name":"library/alpine","tags":["3.20","latest"]}"#
    );
    let mut cursor = Cursor::default();
    assert_eq!(service.request(&mut cursor).await.target, "/v2/");
    let request = service.request(&mut cursor).await;
    assert_eq!(
        (request.service, request.complete),
        (ServiceId::Registry, true)
    );
}

#[tokio::test]
async fn heads_and_ranges() {
    let (_service, mut client, image) = service().await;
    let head = collect(
        client
            .send(Method::HEAD, "/v2/library/alpine/manifests/latest", None)
            .await
            .unwrap(),
    )
    .await;
    assert_eq!((head.status(), head.body().len()), (StatusCode::OK, 0));
    assert_eq!(
        head.headers()["content-length"],
        image.top().bytes.len().to_string().as_str()
    );
    assert_eq!(
        head.headers()["docker-content-digest"],
        image.digest().to_string().as_str()
    );
    let config = format!("/v2/library/alpine/blobs/{}", image.config().digest);
    let part = collect(
        client
            .send(Method::GET, &config, Some("bytes=0-4"))
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (part.status(), part.body()),
        (
            StatusCode::PARTIAL_CONTENT,
            &image.config().bytes.slice(..5)
        )
    );
    let head = collect(
        client
            .send(Method::HEAD, "/v2/library/none/manifests/latest", None)
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (head.status(), head.body().len()),
        (StatusCode::NOT_FOUND, 0)
    );
}

#[tokio::test]
async fn refusals_are_json() {
    let (_service, mut client, _image) = service().await;
    let mut report = String::new();
    let unknown = Digest::of(b"unknown");
    for target in [
        "/v2/library/none/manifests/latest",
        "/v2/library/alpine/manifests/edge",
        &format!("/v2/library/alpine/manifests/{unknown}"),
        &format!("/v2/library/alpine/blobs/{unknown}"),
        "/v2/library/alpine/blobs/sha256:0",
        "/v2/Library/manifests/latest",
        "/v2/_catalog",
        "/v1/",
    ] {
        let answer = client.get(target).await;
        assert_eq!(answer.headers()["content-type"], "application/json");
        let body = str::from_utf8(answer.body()).unwrap();
        report += &format!("{} {body}\n", answer.status().as_u16());
    }
    insta::assert_snapshot!(report, @r#"
    404 {"errors":[{"code":"NAME_UNKNOWN","detail":"library/none","message":"repository name not known to registry"}]}
    404 {"errors":[{"code":"MANIFEST_UNKNOWN","detail":"edge","message":"manifest unknown"}]}
    404 {"errors":[{"code":"MANIFEST_UNKNOWN","detail":"sha256:b23a6a8439c0dde5515893e7c90c1e3233b8616e634470f20dc4928bcf3609bc","message":"manifest unknown"}]}
    404 {"errors":[{"code":"BLOB_UNKNOWN","detail":"sha256:b23a6a8439c0dde5515893e7c90c1e3233b8616e634470f20dc4928bcf3609bc","message":"blob unknown to registry"}]}
    400 {"errors":[{"code":"DIGEST_INVALID","detail":"sha256:0","message":"invalid digest"}]}
    400 {"errors":[{"code":"NAME_INVALID","detail":"Library","message":"invalid repository name"}]}
    404 {"errors":[{"code":"UNSUPPORTED","detail":"_catalog","message":"this registry has no such route"}]}
    404 {"errors":[{"code":"UNSUPPORTED","detail":"/v1/","message":"this registry has no such route"}]}
    "#);
    let put = collect(
        client
            .send(Method::PUT, "/v2/library/alpine/manifests/latest", None)
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(put.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(put.headers()["allow"], "GET, HEAD");
    assert!(
        put.body()
            .starts_with(br#"{"errors":[{"code":"UNSUPPORTED""#)
    );
}

#[test]
fn names_are_checked_when_images_are_added() {
    let (mut registry, image) = (Registry::new(), image());
    assert!(registry.add("Alpine", "latest", &image).is_err());
    assert!(registry.add("library/alpine", "la:test", &image).is_err());
    assert!(registry.add("library/alpine", "latest", &image).is_ok());
}
