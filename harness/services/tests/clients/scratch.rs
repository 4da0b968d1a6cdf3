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
