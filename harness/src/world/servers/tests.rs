//! The boot script and the secrets of every scenario of the project, as its board receives them.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::board::Board;
use crate::plan::testing::parts;

const MAC: &str = "b8:27:eb:00:00:01";

async fn get(servers: &Servers<'_>, host: &str, target: &str, peer: &Peer) -> (StatusCode, String) {
    let request = Request::get(target)
        .header("host", host)
        .extension(peer.clone());
    let request = request.body(Body::empty()).unwrap();
    let response = servers.boot.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn every_script_is_rendered() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let boards = Board::read_all(&project.join("boards")).unwrap();
    let (file, folder) = (
        tempfile::NamedTempFile::new().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let parts = parts(file.path());
    for scenario in Scenario::read_all(&project.join("scenarios"), &boards).unwrap() {
        // Variants of a file say the same.
        if scenario
            .files
            .first()
            .is_none_or(|file| *file != *scenario.name)
        {
            continue;
        }
        let trust = Trust::generate(&scenario, &[]).unwrap();
        let setting = ServerConfig {
            mac: MAC.parse().unwrap(),
            console: boards[0].console(),
            arch: boards[0].arch(),
            scratch_endpoint: "http://s3.farm.example:9000".into(),
            token_realm: "https://auth.docker.io/token".into(),
            folder: folder.path().join(&scenario.name),
            pushed: None,
            secrets: None,
            data: DataRoot::default(),
        };
        let timeline = Timeline::start();
        let servers = Servers::prepare(&scenario, &parts, &trust, setting, &timeline).unwrap();
        let fingerprint = trust.client.as_ref().map(|client| client.fingerprint());
        let peer = Peer {
            fingerprint,
            ..SocketAddrV4::new(Ipv4Addr::new(10, 42, 1, 0), 1024).into()
        };
        let target = match scenario.boot.transport {
            Transport::Https => "/boot/ipxe".to_owned(),
            Transport::Http | Transport::Tftp => format!("/boot/{MAC}/boot.ipxe"),
        };
        let (status, script) = get(&servers, &scenario.boot.server, &target, &peer).await;
        let credentials = servers.credentials();
        let mut told = format!("{status}\n{script}");
        if scenario.boot.secrets.is_some() {
            let (_, token) = script.split_once("/secrets/").unwrap();
            let target = format!("/secrets/{}", &token[..32]);
            let (status, secrets) = get(&servers, &scenario.boot.server, &target, &peer).await;
            told += &format!("\nsecrets: {status}\n{secrets}");
        }
        for (random, name) in [
            (&credentials.access_key_id, "[access key id]"),
            (&credentials.access_key, "[access key]"),
            (&credentials.bucket, "[bucket]"),
            (
                &fingerprint.map_or("none".into(), |f| f.to_string()),
                "[fingerprint]",
            ),
        ] {
            told = told.replace(random, name);
        }
        insta::with_settings!({
            filters => [(r"/secrets/[0-9a-f]{32}", "/secrets/[token]")],
            description => scenario.title.clone(),
            omit_expression => true,
            prepend_module_to_snapshot => false,
        }, {
            insta::assert_snapshot!(scenario.name.to_string(), told);
        });
    }
}
