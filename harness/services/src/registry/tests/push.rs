//! Pushing, and what the registry says of what it has.

use axum::http::StatusCode;
use futures_util::{StreamExt, stream};
use serde_json::json;

use super::*;
use crate::Digest;
use crate::testing::image;

const UPLOADS: &str = "/v2/farm/tool/blobs/uploads/";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// An empty registry that can be pushed to, and its folder.
fn empty() -> (Router, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let router = Registry::new().accept_pushes(folder.path()).router();
    (router, folder)
}

/// Pushes a blob in one piece.
async fn push(router: &Router, name: &str, bytes: &'static [u8]) -> Digest {
    let digest = Digest::of(bytes);
    let target = format!("/v2/{name}/blobs/uploads/?digest={digest}");
    let answer = ask(router, "POST", &target, &[], bytes).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    digest
}

async fn put(router: &Router, reference: &str, manifest: &str) -> Response<Bytes> {
    let target = format!("/v2/farm/tool/manifests/{reference}");
    let headers = [("content-type", OCI_MANIFEST)];
    ask(router, "PUT", &target, &headers, manifest.to_owned()).await
}

#[tokio::test]
async fn a_blob_comes_in_pieces() {
    let (router, folder) = empty();
    let begun = ask(&router, "POST", UPLOADS, &[], "").await;
    assert_eq!(begun.status(), StatusCode::ACCEPTED);
    let location = header(&begun, "location").to_owned();
    let piece = ask(
        &router,
        "PATCH",
        &location,
        &[("content-range", "0-2")],
        "abc",
    )
    .await;
    assert_eq!(
        (piece.status(), header(&piece, "range")),
        (StatusCode::ACCEPTED, "0-2")
    );
    let gap = ask(
        &router,
        "PATCH",
        &location,
        &[("content-range", "4-6")],
        "efg",
    )
    .await;
    assert_eq!(gap.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(code(&gap), "BLOB_UPLOAD_INVALID");
    let broken = stream::iter([Ok("d")]).chain(stream::iter([Err(std::io::Error::other("gone"))]));
    let broken = ask(&router, "PATCH", &location, &[], Body::from_stream(broken)).await;
    assert_eq!(broken.status(), StatusCode::BAD_REQUEST);
    let state = ask(&router, "GET", &location, &[], "").await;
    assert_eq!(
        (state.status(), header(&state, "range")),
        (StatusCode::NO_CONTENT, "0-3")
    );
    let digest = Digest::of(b"abcdefg");
    let target = format!("{location}?digest={digest}");
    let done = ask(&router, "PUT", &target, &[("content-range", "4-6")], "efg").await;
    assert_eq!(done.status(), StatusCode::CREATED);
    let blob = header(&done, "location");
    assert_eq!(ask(&router, "GET", blob, &[], "").await.body(), "abcdefg");
    // One file, of the blob.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn an_upload_that_is_not_what_it_should_be_leaves_nothing() {
    let (router, folder) = empty();
    let wanted = Digest::of(b"wanted");
    let target = format!("{UPLOADS}?digest={wanted}");
    let answer = ask(&router, "POST", &target, &[], "other").await;
    assert_eq!(
        (answer.status(), code(&answer).as_str()),
        (StatusCode::BAD_REQUEST, "DIGEST_INVALID")
    );
    let begun = ask(&router, "POST", UPLOADS, &[], "").await;
    let location = header(&begun, "location").to_owned();
    let answer = ask(&router, "PUT", &location, &[], "").await;
    assert_eq!(code(&answer), "DIGEST_INVALID");
    let answer = ask(&router, "DELETE", &location, &[], "").await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    for (method, target) in [("GET", location), ("DELETE", format!("{UPLOADS}0"))] {
        let answer = ask(&router, method, &target, &[], "").await;
        assert_eq!(
            (answer.status(), code(&answer).as_str()),
            (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN")
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // A registry that is only for pulling.
    let answer = ask(&Registry::new().router(), "POST", UPLOADS, &[], "").await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_blob_is_taken_over_from_another_repository() {
    let (router, _folder) = empty();
    let digest = push(&router, "farm/base", b"layer").await;
    let target = format!("{UPLOADS}?mount={digest}&from=farm/base");
    assert_eq!(
        ask(&router, "POST", &target, &[], "").await.status(),
        StatusCode::CREATED
    );
    let blob = format!("/v2/farm/tool/blobs/{digest}");
    assert_eq!(ask(&router, "GET", &blob, &[], "").await.body(), "layer");
    // One that is not there begins an upload instead.
    let unknown = Digest::of(b"unknown");
    let target = format!("{UPLOADS}?mount={unknown}&from=farm/base");
    assert_eq!(
        ask(&router, "POST", &target, &[], "").await.status(),
        StatusCode::ACCEPTED
    );
}

#[tokio::test]
async fn a_manifest_is_kept_to_the_byte_once_its_content_is_there() {
    let (router, _folder) = empty();
    let digest = Digest::of(b"config");
    let descriptor = json!({ "mediaType": "application/json", "digest": digest, "size": 6 });
    // Spaces that no serialiser would write.
    let manifest = format!(r#"{{  "schemaVersion": 2, "config": {descriptor}, "layers": [] }}"#);
    let answer = put(&router, "1.0", &manifest).await;
    assert_eq!(
        (answer.status(), code(&answer).as_str()),
        (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN")
    );
    push(&router, "farm/tool", b"config").await;
    let answer = put(&router, "1.0", &manifest).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let kept = ask(&router, "GET", "/v2/farm/tool/manifests/1.0", &[], "").await;
    assert_eq!(kept.body(), manifest.as_bytes());
    assert_eq!(header(&kept, "content-type"), OCI_MANIFEST);
    let by_digest = Digest::of(manifest.as_bytes());
    assert_eq!(
        header(&kept, "docker-content-digest"),
        by_digest.to_string()
    );
    assert_eq!(
        put(&router, &by_digest.to_string(), &manifest)
            .await
            .status(),
        StatusCode::CREATED
    );
    let answer = put(&router, &digest.to_string(), &manifest).await;
    assert_eq!(code(&answer), "DIGEST_INVALID");
    assert_eq!(
        code(&put(&router, "1.1", "no JSON").await),
        "MANIFEST_INVALID"
    );
    let large = format!("{manifest}{}", " ".repeat(4 << 20));
    assert_eq!(
        put(&router, "1.1", &large).await.status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn what_refers_to_a_manifest_is_found() {
    let (router, _folder) = empty();
    let config = push(&router, "farm/tool", b"{}").await;
    let subject = Digest::of(b"subject");
    let manifest = json!({
        "schemaVersion": 2,
        "config": { "mediaType": "application/vnd.example.sbom", "digest": config, "size": 2 },
        "layers": [],
        "subject": { "mediaType": OCI_MANIFEST, "digest": subject, "size": 7 },
        "annotations": { "a": "b" },
    })
    .to_string();
    let digest = Digest::of(manifest.as_bytes());
    let answer = put(&router, &digest.to_string(), &manifest).await;
    assert_eq!(header(&answer, "oci-subject"), subject.to_string());
    let list = format!("/v2/farm/tool/referrers/{subject}");
    let answer = ask(&router, "GET", &list, &[], "").await;
    let index: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], digest.to_string());
    assert_eq!(
        index["manifests"][0]["artifactType"],
        "application/vnd.example.sbom"
    );
    assert_eq!(index["manifests"][0]["annotations"]["a"], "b");
    let filtered = ask(
        &router,
        "GET",
        &format!("{list}?artifactType=other"),
        &[],
        "",
    )
    .await;
    assert_eq!(header(&filtered, "oci-filters-applied"), "artifactType");
    assert!(!str::from_utf8(filtered.body()).unwrap().contains("sha256"));
    let none = format!("/v2/farm/tool/referrers/{config}");
    assert_eq!(
        ask(&router, "GET", &none, &[], "").await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn tags_come_in_pages() {
    let mut registry = Registry::new();
    for tag in ["3.20", "latest", "edge"] {
        registry.add("library/alpine", tag, &image()).unwrap();
    }
    let router = registry.router();
    let first = ask(&router, "GET", "/v2/library/alpine/tags/list?n=2", &[], "").await;
    assert_eq!(
        first.body(),
        r#"{"name":"library/alpine","tags":["3.20","edge"]}"#
    );
    let link = header(&first, "link").to_owned();
    let next = link.strip_suffix(r#">; rel="next""#).unwrap();
    let last = ask(&router, "GET", next.strip_prefix('<').unwrap(), &[], "").await;
    assert_eq!(
        last.body(),
        r#"{"name":"library/alpine","tags":["latest"]}"#
    );
    assert!(last.headers().get("link").is_none());
    let none = ask(&router, "GET", "/v2/library/alpine/tags/list?n=0", &[], "").await;
    assert_eq!(none.body(), r#"{"name":"library/alpine","tags":[]}"#);
}
