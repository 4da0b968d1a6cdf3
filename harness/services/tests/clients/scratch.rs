//! The scratch space with s3cmd.

use std::fs;

use shakedown_services::{Credentials, ScratchSpace};

use crate::site::{Site, text};
use crate::tool::{Outcome, Tool};
use crate::{Case, case};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(
            "scratch::put_list_get_delete",
            &[Tool::S3cmd],
            put_list_get_delete,
        ),
        case(
            "scratch::nobody_else",
            &[Tool::S3cmd, Tool::Curl],
            nobody_else,
        ),
        case("scratch::no_way_round", &[Tool::Curl], no_way_round),
        case(
            "scratch::as_the_minio_client_asks",
            &[Tool::Curl],
            as_the_minio_client_asks,
        ),
    ]
}

/// A scratch space with two clients. The folder holds the objects.
fn site() -> (Site, [Credentials; 2], tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut space = ScratchSpace::new(folder.path()).unwrap();
    let clients = [space.add_client().unwrap(), space.add_client().unwrap()];
    (Site::plain(space.router().unwrap()), clients, folder)
}

fn s3cmd(site: &Site, client: &Credentials, arguments: &[&str]) -> Outcome {
    let host = site.address.to_string();
    let config = site.path("s3cfg");
    fs::write(&config, "").unwrap();
    let mut s3cmd = Tool::S3cmd.command();
    s3cmd
        .args([
            "--config",
            text(&config),
            "--no-ssl",
            "--region",
            "us-east-1",
            "--no-progress",
            "--host",
            &host,
            "--host-bucket",
            &host,
        ])
        .args([
            "--access_key",
            &client.access_key_id,
            "--secret_key",
            &client.access_key,
        ]);
    Outcome::of(s3cmd.args(arguments))
}

fn put_list_get_delete() {
    let (site, [client, _], _folder) = site();
    let (file, copy) = (site.path("results.txt"), site.path("copy.txt"));
    fs::write(&file, "passed\n").unwrap();
    let object = format!("s3://{}/job/results.txt", client.bucket);
    s3cmd(&site, &client, &["put", text(&file), &object]).success();
    // More than one part of a multipart upload.
    let large = site.path("large");
    fs::write(&large, vec![7; 12 << 20]).unwrap();
    let large_object = format!("s3://{}/job/large", client.bucket);
    s3cmd(
        &site,
        &client,
        &[
            "--multipart-chunk-size-mb=5",
            "put",
            text(&large),
            &large_object,
        ],
    )
    .success();

    let list = format!("s3://{}/job/", client.bucket);
    let listing = s3cmd(&site, &client, &["ls", &list]).success();
    assert!(
        listing.contains(&object) && listing.contains("12582912"),
        "{listing}"
    );
    s3cmd(&site, &client, &["get", &object, text(&copy)]).success();
    assert_eq!(fs::read_to_string(&copy).unwrap(), "passed\n");
    s3cmd(&site, &client, &["del", &object]).success();
    let listing = s3cmd(&site, &client, &["ls", &list]).success();
    assert!(!listing.contains(&object), "{listing}");
}

/// The MinIO client asks for a prefix before it lists what is below it, with an empty delimiter.
fn as_the_minio_client_asks() {
    let (site, [client, _], folder) = site();
    let bucket = folder.path().join(&client.bucket).join(&client.bucket);
    fs::create_dir(bucket.join("job")).unwrap();
    fs::write(bucket.join("job/result"), "passed\n").unwrap();
    let of = |key: &str, more: &[&str]| {
        let (status, _) = signed(&site, &client, &format!("/{}/{key}", client.bucket), more);
        status
    };
    assert_eq!(of("job", &["--head"]), "404");
    assert_eq!(of("job", &[]), "404");
    assert_eq!(of("job/result", &[]), "200");
    // curl signs a query as it is written, and the signature is of a sorted one.
    for list in [
        "?delimiter=&list-type=2&prefix=job",
        "?delimiter=&prefix=job",
    ] {
        let path = format!("/{}{list}", client.bucket);
        let (_, listing) = signed(&site, &client, &path, &[]);
        assert!(listing.contains("<Key>job/result</Key>"), "{listing}");
    }
}

fn nobody_else() {
    let (site, [owner, other], _folder) = site();
    let (file, copy) = (site.path("secret.txt"), site.path("copy.txt"));
    fs::write(&file, "secret\n").unwrap();
    let object = format!("s3://{}/secret.txt", owner.bucket);
    s3cmd(&site, &owner, &["put", text(&file), &object]).success();

    let refused = |client: &Credentials, arguments: &[&str]| {
        let outcome = s3cmd(&site, client, arguments);
        assert_ne!(outcome.code, Some(0), "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains("403"), "{arguments:?}: {outcome:?}");
    };
    let bucket = format!("s3://{}/", owner.bucket);
    let own = format!("s3://{}/stolen.txt", other.bucket);
    refused(&other, &["get", &object, text(&copy)]);
    refused(&other, &["put", text(&file), &object]);
    refused(&other, &["del", &object]);
    refused(&other, &["ls", &bucket]);
    refused(&other, &["cp", &object, &own]);
    refused(&other, &["ls"]);
    let forged = Credentials {
        access_key: other.access_key.clone(),
        ..owner.clone()
    };
    refused(&forged, &["get", &object, text(&copy)]);
    assert!(!copy.exists() || fs::read(&copy).unwrap().is_empty());
    let target = format!("/{}/secret.txt", owner.bucket);
    assert_eq!(site.status(None, &target, &[]), "403");
    assert_eq!(
        s3cmd(&site, &owner, &["get", &object, "-"]).success(),
        "secret\n"
    );
}

/// A signed request by curl, with the path as it is written; status and body.
fn signed(site: &Site, client: &Credentials, path: &str, more: &[&str]) -> (String, String) {
    let user = format!("{}:{}", client.access_key_id, client.access_key);
    let mut arguments = vec![
        "--path-as-is",
        "--aws-sigv4",
        "aws:amz:us-east-1:s3",
        "--header",
        "x-amz-content-sha256: UNSIGNED-PAYLOAD",
        "--user",
        &user,
        "--write-out",
        "%{http_code}",
    ];
    arguments.extend(more);
    let answer = site.curl(None, path, &arguments).stdout;
    let (body, status) = answer.split_at(answer.len() - 3);
    (status.into(), body.into())
}

/// No spelling of a key, a copy source or a list of keys reaches another client's bucket.
fn no_way_round() {
    let (site, [owner, other], folder) = site();
    let secret = format!("/{}/secret.txt", owner.bucket);
    let put = ["--request", "PUT", "--data-binary", "secret"];
    let (status, body) = signed(&site, &owner, &secret, &put);
    assert_eq!(status, "200", "{body}");
    let is_there = || {
        let bucket = folder.path().join(&owner.bucket).join(&owner.bucket);
        fs::read_to_string(bucket.join("secret.txt")).is_ok_and(|text| text == "secret")
    };
    assert!(is_there());

    let (mine, theirs) = (&other.bucket, &owner.bucket);
    for path in [
        format!("/{mine}/../{theirs}/secret.txt"),
        format!("/{mine}/%2e%2e/{theirs}/secret.txt"),
        format!("/{mine}/..%2f{theirs}/secret.txt"),
        format!("/{mine}/x/../../{theirs}/secret.txt"),
        format!("/{mine}/../../{theirs}/{theirs}/secret.txt"),
        format!("/%2e%2e/{theirs}/secret.txt"),
        format!("//{theirs}/secret.txt"),
        secret.clone(),
    ] {
        for more in [
            &[][..],
            &["--request", "PUT", "--data-binary", "stolen"],
            &["--request", "DELETE"],
        ] {
            let (status, body) = signed(&site, &other, &path, more);
            assert!(
                !body.contains("secret\n") && body != "secret",
                "{path}: {body}"
            );
            assert!(is_there(), "{path} {more:?}: {status} {body}");
        }
    }
    for source in [
        format!("/{theirs}/secret.txt"),
        format!("/{mine}/../{theirs}/secret.txt"),
        format!("/{mine}/%2e%2e/{theirs}/secret.txt"),
    ] {
        let header = format!("x-amz-copy-source: {source}");
        let stolen = format!("/{mine}/stolen.txt");
        let copy = ["--request", "PUT", "--header", &header];
        assert_ne!(signed(&site, &other, &stolen, &copy).0, "200", "{source}");
        assert_ne!(signed(&site, &other, &stolen, &[]).1, "secret", "{source}");
    }
    let keys = format!(
        "<Delete><Object><Key>../{theirs}/secret.txt</Key></Object><Object><Key>../../{theirs}/{theirs}/secret.txt</Key></Object></Delete>"
    );
    let delete = ["--request", "POST", "--data-binary", &keys];
    let (status, body) = signed(&site, &other, &format!("/{mine}?delete="), &delete);
    assert_eq!(status, "200", "{body}");
    assert!(is_there());
}
