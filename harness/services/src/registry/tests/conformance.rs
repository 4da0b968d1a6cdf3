//! The requests of OCI's distribution conformance suite, written from the specification (version 1.1): its four categories, each on a registry of
//! its own. The numbers are those of the specification's table of endpoints.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::Digest;

const NAME: &str = "org/conformance";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// A registry to be asked.
struct Suite {
    router: Router,
    _folder: tempfile::TempDir,
}

impl Suite {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            router: Registry::new().accept_pushes(folder.path()).router(),
            _folder: folder,
        }
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Bytes> {
        let target = match path.strip_prefix('/') {
            Some(_) => path.to_owned(),
            None => format!("/v2/{NAME}/{path}"),
        };
        ask(&self.router, method, &target, headers, body.to_owned()).await
    }

    /// Asks, and wants this status.
    async fn want(
        &self,
        status: u16,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Bytes> {
        let answer = self.ask(method, path, headers, body).await;
        assert_eq!(
            answer.status().as_u16(),
            status,
            "{method} {path}: {:?}",
            answer.body()
        );
        answer
    }

    /// Pushes a blob by POST and PUT.
    async fn blob(&self, content: &str) -> Digest {
        let digest = Digest::of(content.as_bytes());
        let begun = self.want(202, "POST", "blobs/uploads/", &[], "").await;
        let target = format!("{}?digest={digest}", header(&begun, "location"));
        let headers = [("content-type", "application/octet-stream")];
        let done = self.want(201, "PUT", &target, &headers, content).await;
        assert_eq!(header(&done, "docker-content-digest"), digest.to_string());
        digest
    }

    /// Pushes a manifest with a config and a layer, and what refers to `subject` if there is one.
    async fn manifest(
        &self,
        reference: &str,
        artifact: Option<&str>,
        subject: Option<Digest>,
    ) -> (Digest, String) {
        let (config, layer) = (self.blob("{}").await, self.blob("layer").await);
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": { "mediaType": EMPTY, "digest": config, "size": 2 },
            "layers": [{ "mediaType": "application/octet-stream", "digest": layer, "size": 5 }],
        });
        if let Some(kind) = artifact {
            manifest["artifactType"] = kind.into();
        }
        if let Some(subject) = subject {
            manifest["subject"] = json!({ "mediaType": MANIFEST, "digest": subject, "size": 7 });
        }
        let text = manifest.to_string();
        let digest = Digest::of(text.as_bytes());
        let reference = reference.replace("DIGEST", &digest.to_string());
        let path = format!("manifests/{reference}");
        let done = self
            .want(201, "PUT", &path, &[("content-type", MANIFEST)], &text)
            .await;
        assert!(
            header(&done, "location").ends_with(&digest.to_string())
                || header(&done, "location").contains("/manifests/")
        );
        (digest, text)
    }
}

fn json(answer: &Response<Bytes>) -> Value {
    serde_json::from_slice(answer.body()).unwrap()
}

#[tokio::test]
async fn pull() {
    let suite = Suite::new();
    suite.want(200, "GET", "/v2/", &[], "").await; // end-1
    let (digest, text) = suite.manifest("tagged", None, None).await;
    let layer = Digest::of(b"layer");
    let unknown = Digest::of(b"unknown");
    for method in ["HEAD", "GET"] {
        suite
            .want(404, method, &format!("blobs/{unknown}"), &[], "")
            .await; // end-2
        let blob = suite
            .want(200, method, &format!("blobs/{layer}"), &[], "")
            .await;
        assert_eq!(header(&blob, "docker-content-digest"), layer.to_string());
        assert_eq!(header(&blob, "content-length"), "5");
        suite
            .want(404, method, "manifests/.INVALID_MANIFEST_NAME", &[], "")
            .await; // end-3
        suite
            .want(404, method, &format!("manifests/{unknown}"), &[], "")
            .await;
        for reference in ["tagged".to_owned(), digest.to_string()] {
            let path = format!("manifests/{reference}");
            let accept = [("accept", MANIFEST)];
            let manifest = suite.want(200, method, &path, &accept, "").await;
            assert_eq!(
                header(&manifest, "docker-content-digest"),
                digest.to_string()
            );
            assert_eq!(header(&manifest, "content-type"), MANIFEST);
            if method == "GET" {
                assert_eq!(manifest.body(), text.as_bytes());
            }
        }
    }
    let part = suite
        .want(
            206,
            "GET",
            &format!("blobs/{layer}"),
            &[("range", "bytes=1-2")],
            "",
        )
        .await;
    assert_eq!(part.body(), "ay");
    let answer = suite
        .want(
            404,
            "GET",
            &format!("/v2/no/such/manifests/{digest}"),
            &[],
            "",
        )
        .await;
    assert_eq!(code(&answer), "NAME_UNKNOWN");
    // A name has one slash before it.
    for path in ["/v2///x/manifests/latest", "/v2/../x/manifests/latest"] {
        suite.want(400, "GET", path, &[], "").await;
    }
}

#[tokio::test]
async fn push() {
    let suite = Suite::new();
    // In one piece (end-4b), whose digest must be that of what comes.
    let digest = Digest::of(b"monolith");
    let path = format!("blobs/uploads/?digest={digest}");
    suite.want(400, "POST", &path, &[], "another").await;
    suite
        .want(201, "POST", &path, &[("content-length", "8")], "monolith")
        .await;
    // In pieces, of which one is out of order (end-4a, end-5, end-13, end-6).
    let begun = suite
        .want(
            202,
            "POST",
            "blobs/uploads/",
            &[("content-length", "0")],
            "",
        )
        .await;
    let location = header(&begun, "location").to_owned();
    let late = suite
        .want(
            416,
            "PATCH",
            &location,
            &[("content-range", "3-5"), ("content-length", "3")],
            "def",
        )
        .await;
    assert!(late.headers().contains_key("range") && late.headers().contains_key("location"));
    let first = suite
        .want(
            202,
            "PATCH",
            &location,
            &[("content-range", "0-2"), ("content-length", "3")],
            "abc",
        )
        .await;
    assert_eq!(header(&first, "range"), "0-2");
    // A piece that is not what it says changes nothing.
    suite
        .want(400, "PATCH", &location, &[("content-range", "3-9")], "def")
        .await;
    suite
        .want(400, "PATCH", &location, &[("content-range", "3-4")], "def")
        .await;
    let stands = suite.want(204, "GET", &location, &[], "").await;
    assert_eq!(
        (header(&stands, "range"), header(&stands, "location")),
        ("0-2", &*location)
    );
    let whole = Digest::of(b"abcdef");
    let end = format!("{location}?digest={whole}");
    let done = suite
        .want(
            201,
            "PUT",
            &end,
            &[("content-range", "3-5"), ("content-length", "3")],
            "def",
        )
        .await;
    suite
        .want(200, "GET", header(&done, "location"), &[], "")
        .await;
    // Taken over from another repository (end-11), or not.
    let mount = format!("/v2/org/other/blobs/uploads/?mount={whole}&from={NAME}");
    suite.want(201, "POST", &mount, &[], "").await;
    let mount = format!(
        "/v2/org/other/blobs/uploads/?mount={}&from={NAME}",
        Digest::of(b"-")
    );
    suite.want(202, "POST", &mount, &[], "").await;
    // Manifests (end-7).
    suite.manifest("test0", None, None).await;
    suite.manifest("DIGEST", None, None).await;
    let wrong = |document: &Value, media_type: &str| {
        let (document, media_type) = (document.to_string(), media_type.to_owned());
        let suite = &suite;
        async move {
            let answer = suite
                .want(
                    400,
                    "PUT",
                    "/v2/org/none/manifests/x",
                    &[("content-type", &media_type)],
                    &document,
                )
                .await;
            code(&answer)
        }
    };
    let layer = json!({ "mediaType": "a/b", "digest": Digest::of(b"-"), "size": 1 });
    let missing = json!({ "schemaVersion": 2, "layers": [layer] });
    assert_eq!(wrong(&missing, MANIFEST).await, "MANIFEST_BLOB_UNKNOWN");
    let other = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
    assert_eq!(wrong(&other, MANIFEST).await, "MANIFEST_INVALID");
    assert_eq!(
        wrong(&json!({ "schemaVersion": 1 }), MANIFEST).await,
        "MANIFEST_INVALID"
    );
    // None of these has made the repository.
    suite
        .want(404, "GET", "/v2/org/none/tags/list", &[], "")
        .await;
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }).to_string();
    let headers = [(
        "content-type",
        "application/vnd.oci.image.index.v1+json; charset=utf-8",
    )];
    suite
        .want(201, "PUT", "manifests/index", &headers, &index)
        .await;
    let kept = suite.want(200, "GET", "manifests/index", &[], "").await;
    assert_eq!(header(&kept, "content-type"), INDEX);
}

#[tokio::test]
async fn content_discovery() {
    let suite = Suite::new();
    for tag in ["test2", "test0", "test1", "TEST3"] {
        suite.manifest(tag, None, None).await;
    }
    let tags = json(&suite.want(200, "GET", "tags/list", &[], "").await); // end-8a
    assert_eq!(
        tags,
        json!({ "name": NAME, "tags": ["TEST3", "test0", "test1", "test2"] })
    );
    let page = suite.want(200, "GET", "tags/list?n=2", &[], "").await; // end-8b
    assert_eq!(json(&page)["tags"].as_array().unwrap().len(), 2);
    let rest = suite
        .want(200, "GET", "tags/list?n=10&last=test0", &[], "")
        .await;
    assert_eq!(json(&rest)["tags"], json!(["test1", "test2"]));
    // Referrers (end-12a), of a subject that is not there either, and of a repository that is not.
    let subject = Digest::of(b"subject");
    let (sbom, _) = suite
        .manifest("DIGEST", Some("application/x-sbom"), Some(subject))
        .await;
    let (other, _) = suite
        .manifest("DIGEST", Some("application/x-other"), Some(subject))
        .await;
    let list = suite
        .want(200, "GET", &format!("referrers/{subject}"), &[], "")
        .await;
    assert_eq!(header(&list, "content-type"), INDEX);
    let digests = |answer: &Response<Bytes>| -> Vec<String> {
        let index = json(answer);
        let entries = index["manifests"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["digest"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut all = [sbom.to_string(), other.to_string()];
    all.sort();
    assert_eq!(digests(&list), all);
    let path = format!("referrers/{subject}?artifactType=application/x-sbom"); // end-12b
    let filtered = suite.want(200, "GET", &path, &[], "").await;
    assert_eq!(digests(&filtered), [sbom.to_string()]);
    assert_eq!(header(&filtered, "oci-filters-applied"), "artifactType");
    let sha512 = format!("referrers/sha512:{}", "0".repeat(128));
    for path in [format!("/v2/no/such/referrers/{subject}"), sha512] {
        let none = suite.want(200, "GET", &path, &[], "").await;
        assert_eq!(json(&none)["manifests"], json!([]));
    }
    suite.want(400, "GET", "referrers/sha256:0", &[], "").await;
}

#[tokio::test]
async fn content_management() {
    let suite = Suite::new();
    let (digest, _) = suite.manifest("one", None, None).await;
    suite.manifest("two", None, None).await;
    suite.want(202, "DELETE", "manifests/one", &[], "").await; // end-9
    suite.want(404, "GET", "manifests/one", &[], "").await;
    suite.want(200, "GET", "manifests/two", &[], "").await;
    suite
        .want(202, "DELETE", &format!("manifests/{digest}"), &[], "")
        .await;
    suite.want(404, "GET", "manifests/two", &[], "").await;
    suite
        .want(404, "DELETE", &format!("manifests/{digest}"), &[], "")
        .await;
    let tags = json(&suite.want(200, "GET", "tags/list", &[], "").await);
    assert_eq!(tags["tags"], json!([]));
    let layer = format!("blobs/{}", Digest::of(b"layer"));
    suite.want(202, "DELETE", &layer, &[], "").await; // end-10
    suite.want(404, "GET", &layer, &[], "").await;
    suite.want(404, "DELETE", &layer, &[], "").await;
    // A registry that is only pulled from has none of this.
    let router = Registry::new().router();
    let answer = ask(&router, "DELETE", &format!("/v2/{NAME}/{layer}"), &[], "").await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_client_gets_a_manifest_that_it_understands() {
    let suite = Suite::new();
    let (digest, _) = suite.manifest("DIGEST", None, None).await;
    let entry = |architecture: &str| json!({ "mediaType": MANIFEST, "digest": digest, "size": 1, "platform": { "os": "linux", "architecture": architecture } });
    for (tag, architecture) in [("amd64", "amd64"), ("arm64", "arm64")] {
        let index =
            json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry(architecture)] });
        let path = format!("manifests/{tag}");
        suite
            .want(
                201,
                "PUT",
                &path,
                &[("content-type", INDEX)],
                &index.to_string(),
            )
            .await;
    }
    let kind = |path: &'static str, accept: &'static [(&'static str, &'static str)]| {
        let suite = &suite;
        async move {
            let answer = suite.ask("GET", path, accept, "").await;
            (answer.status() == StatusCode::OK).then(|| header(&answer, "content-type").to_owned())
        }
    };
    let both = &[(
        "accept",
        "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json;q=0.5",
    )];
    for accept in [&[][..], &[("accept", "*/*")], both] {
        assert_eq!(
            kind("manifests/amd64", accept).await.as_deref(),
            Some(INDEX)
        );
    }
    let manifests = &[("accept", MANIFEST)];
    assert_eq!(
        kind("manifests/amd64", manifests).await.as_deref(),
        Some(MANIFEST)
    );
    assert_eq!(kind("manifests/arm64", manifests).await, None);
    assert_eq!(
        kind("manifests/amd64", &[("accept", "text/html")]).await,
        None
    );
}

#[tokio::test]
async fn uploads_that_nobody_goes_on_with_give_way() {
    let suite = Suite::new();
    let mut all = Vec::new();
    for _ in 0..70 {
        let begun = suite.want(202, "POST", "blobs/uploads/", &[], "").await;
        all.push(header(&begun, "location").to_owned());
    }
    suite.want(404, "GET", all.first().unwrap(), &[], "").await;
    suite.want(204, "GET", all.last().unwrap(), &[], "").await;
    assert_eq!(std::fs::read_dir(suite._folder.path()).unwrap().count(), 64);
}
