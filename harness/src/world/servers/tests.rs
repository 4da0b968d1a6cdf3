//! The scenarios of the project at the boot server, as their boards ask it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use tempfile::{NamedTempFile, TempDir};
use tower::ServiceExt;

use super::*;
use crate::board::Board;
use crate::input::Library;
use crate::plan::testing::parts;
use crate::scenario::testing::project;
use crate::scenario::{ClientCertificate, Services};
use crate::services::Blob;

const MAC: &str = "b8:27:eb:00:00:01";

fn boards() -> Vec<Board> {
    Board::read_all(&project().join("boards")).unwrap()
}

fn scenarios(folder: &str, boards: &[Board]) -> Vec<Scenario> {
    Scenario::read_all(&project().join(folder), boards).unwrap()
}

/// The certificates of a run of a scenario. Keys take most of a test's time, so that scenarios with the same certificates share them.
fn trust_of(scenario: &Scenario) -> Arc<Trust> {
    static ISSUED: Mutex<BTreeMap<String, Arc<Trust>>> = Mutex::new(BTreeMap::new());
    let boards = scenario.board_ids();
    let (tls, server, mirror) = (
        &scenario.tls,
        &scenario.boot.server,
        &scenario.registry.mirror,
    );
    let key = format!("{tls:?} {server} {mirror:?} {boards:?}");
    let mut issued = ISSUED.lock().unwrap();
    let trust = issued
        .entry(key)
        .or_insert_with(|| Arc::new(Trust::generate(scenario, &[]).unwrap()));
    Arc::clone(trust)
}

/// A scenario's boot server, and how its board asks it.
struct Asked {
    boot: Router,
    registry: Router,
    deployments: Deployments,
    tftp: crate::world::tftp::BoardFiles,
    host: String,
    script: String,
    peer: Peer,
    _kept: (NamedTempFile, TempDir),
}

impl Asked {
    fn of(scenario: &Scenario, board: &Board) -> Self {
        let kept = (NamedTempFile::new().unwrap(), tempfile::tempdir().unwrap());
        let trust = trust_of(scenario);
        std::fs::write(kept.0.path(), "0123456789").unwrap();
        let mut parts = parts(kept.0.path());
        let archives = scenario.initrds().into_iter();
        parts.files = archives
            .map(|initrd| (initrd.name().into(), Blob::file(kept.0.path()).unwrap()))
            .collect();
        let setting = ServerConfig {
            boards: vec![ServedBoard::new(None, board, MAC.parse().unwrap(), &parts)],
            scratch_endpoint: "http://s3.farm.example:9000".into(),
            token_realm: "https://auth.docker.io/token".into(),
            folder: kept.1.path().join("run"),
            pushed: None,
            secrets: None,
            data: DataRoot::default(),
            renews_keys: true,
        };
        let timeline = Timeline::start();
        let servers = Servers::prepare(scenario, &trust, setting, &timeline).unwrap();
        let fingerprint = trust.client(0).map(|client| client.fingerprint());
        Self {
            boot: servers.boot.clone(),
            registry: servers.registry.clone(),
            deployments: servers.deployments().remove(0),
            tftp: servers.tftp.clone(),
            host: scenario.boot.server.clone(),
            script: match scenario.boot.transport {
                Transport::Https => "/boot/ipxe".into(),
                Transport::Http | Transport::Tftp => format!("/boot/{MAC}/boot.ipxe"),
            },
            peer: Peer {
                fingerprint,
                ..SocketAddrV4::new(Ipv4Addr::new(10, 42, 1, 0), 1024).into()
            },
            _kept: kept,
        }
    }

    async fn get(&self, target: &str) -> (StatusCode, String) {
        self.ask(&self.boot, &self.host, target).await
    }

    /// The manifest that the registry has by a tag.
    async fn manifest(&self, tag: &str) -> (StatusCode, String) {
        let target = format!("/v2/library/alpine/manifests/{tag}");
        self.ask(&self.registry, "registry-1.docker.io", &target)
            .await
    }

    async fn ask(&self, service: &Router, host: &str, target: &str) -> (StatusCode, String) {
        let request = Request::get(target)
            .header("host", host)
            .extension(self.peer.clone());
        let request = request.body(Body::empty()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn script(&self) -> (StatusCode, String) {
        self.get(&self.script).await
    }
}

/// The paths of this server that a script names.
fn files(script: &str) -> Vec<&str> {
    let words = script.split_ascii_whitespace();
    words.filter(|word| word.starts_with("/files/")).collect()
}

/// What follows in a script up to a blank.
fn after<'a>(script: &'a str, what: &str) -> Option<&'a str> {
    let (_, rest) = script.split_once(what)?;
    rest.split_ascii_whitespace().next()
}

#[tokio::test]
async fn every_board_gets_a_script_for_itself_whose_files_are_there() {
    let boards = boards();
    let (mut kernels, mut archives) = (0, 0);
    for folder in ["scenarios", "scenarios/b2c"] {
        for scenario in scenarios(folder, &boards) {
            let name = &scenario.name;
            let board = boards.iter().find(|b| scenario.boards.contains(&b.name));
            let board = board.unwrap();
            let asked = Asked::of(&scenario, board);
            let (status, script) = asked.script().await;
            if scenario.tls.client == ClientCertificate::None {
                assert_eq!(status, StatusCode::FORBIDDEN, "{name}");
                continue;
            }
            assert_eq!(status, StatusCode::OK, "{name}");
            assert!(script.starts_with("#!ipxe\n"), "{name}: {script}");
            for known in ["console", "arch", "mac", "arguments", "secrets_url"] {
                let left = script.contains(&format!("${{{known}}}"));
                assert!(!left, "{name} is told ${{{known}}}: {script}");
            }
            for line in script.lines().filter(|line| line.starts_with("kernel ")) {
                let console = format!(" console={} ", board.console());
                assert!(line.contains(&console), "{name}: {line}");
                kernels += 1;
            }
            for initrd in &scenario.boot.initrds {
                let named = format!(" initrd={} ", initrd.name());
                assert!(script.contains(&named), "{name}: {script}");
                let file = format!("/files/{}", initrd.name());
                assert!(files(&script).contains(&&*file), "{name}: {script}");
                archives += 1;
            }
            for file in files(&script) {
                assert_eq!(asked.get(file).await.0, StatusCode::OK, "{name}: {file}");
            }
            let url = format!("{}/secrets/", asked.host);
            if scenario.boot.secrets.is_some() {
                let token = after(&script, &url).unwrap();
                let target = format!("/secrets/{token}");
                assert_eq!(asked.get(&target).await.0, StatusCode::OK, "{name}");
                assert_eq!(asked.get(&target).await.0, StatusCode::NOT_FOUND, "{name}");
            }
        }
    }
    assert!(kernels > 10 && archives > 0, "{kernels}, {archives}");
}

/// The scripts that files say themselves, with the names of the files.
fn scripts() -> Vec<(String, String)> {
    let folders =
        ["scenarios", "scenarios/b2c", "scenarios/gateway"].map(|folder| project().join(folder));
    let files = folders.iter().flat_map(|f| std::fs::read_dir(f).unwrap());
    let paths = files
        .map(|file| file.unwrap().path())
        .filter(|p| p.is_file());
    let said = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let script = table.get("boot")?.get("script")?.as_str()?;
        Some((path.display().to_string(), script.to_owned()))
    };
    paths.filter_map(said).collect()
}

#[test]
fn no_boot_script_stands_twice() {
    let boards = boards();
    let usual = scenarios("scenarios", &boards)
        .into_iter()
        .find(|s| s.name == "alpine-http")
        .unwrap();
    let kernel = |script: &str| {
        let lines = script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        let lines: Vec<_> = lines.filter(|line| !line.starts_with("kernel ")).collect();
        lines.join("\n")
    };
    let mut seen = vec![("the usual script".to_owned(), kernel(&usual.boot.script))];
    for (file, script) in scripts() {
        let script = kernel(&script);
        let twice = seen.iter().find(|(_, other)| *other == script);
        assert!(
            twice.is_none(),
            "{file} says what {:?} says, but for the kernel's arguments: use boot.arguments or extends",
            twice.map(|(other, _)| other)
        );
        assert!(
            !script.contains("console=tty"),
            "{file} names a board's console: say ${{console}}"
        );
        seen.push((file, script));
    }
}

/// A scenario whose script and secrets show the key of the storage.
fn with_key(scratch: &str) -> (Scenario, Board) {
    let mut boards = boards();
    let mut scenario = scenarios("scenarios", &boards)
        .into_iter()
        .find(|s| s.name == "secrets-once")
        .unwrap();
    scenario.services = toml::from_str::<Services>(&format!("scratch = \"{scratch}\"")).unwrap();
    scenario.boot.script = "#!ipxe\nset key ${s3_access_key_id}\nchain ${secrets_url}\n".into();
    (scenario, boards.remove(0))
}

#[tokio::test]
async fn each_script_brings_a_new_key_that_the_secrets_have_too() {
    let (scenario, board) = with_key("played");
    let asked = Asked::of(&scenario, &board);
    let (_, first) = asked.script().await;
    let (_, second) = asked.script().await;
    let [first_key, second_key] = [&first, &second].map(|s| after(s, "set key ").unwrap());
    assert_ne!(first_key, second_key);
    // The secrets are those of the script that led to them.
    let token = after(&first, "/secrets/").unwrap();
    let (_, secrets) = asked.get(&format!("/secrets/{token}")).await;
    assert!(secrets.contains(first_key), "{secrets}");
}

#[tokio::test]
async fn without_storage_there_is_no_script() {
    let (scenario, board) = with_key("absent");
    let asked = Asked::of(&scenario, &board);
    let (status, body) = asked.script().await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!body.contains("#!ipxe"), "{body}");
}

#[tokio::test]
async fn without_secrets_their_url_is_none() {
    let (mut scenario, board) = with_key("played");
    scenario.boot.secrets = None;
    let (status, script) = Asked::of(&scenario, &board).script().await;
    assert_eq!(status, StatusCode::OK);
    assert!(script.contains("\nchain None\n"), "{script}");
}

/// `alpine-http` by another transport, with a deployment whose script, variable and files are others.
fn with_deployment(transport: &str) -> (Scenario, Board) {
    let board = boards().into_iter().find(|b| b.name == "raspi3b").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let http = std::fs::read_to_string(project().join("scenarios/alpine-http.toml")).unwrap();
    let (head, _) = http.split_once("[[journal]]").unwrap();
    let head = head.replace(
        "transport = \"http\"",
        &format!("transport = \"{transport}\""),
    );
    let more = "[deployment.broken]\narguments = 'init=/nonexistent word=${word}'\nvariables.word = \"other\"\n\
                files.kernel = \"halve\"\nfiles.initramfs = \"remove\"\n\
                [[step]]\npower = \"on\"\ndeploy = \"broken\"\n";
    let path = folder.path().join("s.toml");
    std::fs::write(&path, format!("{head}{more}")).unwrap();
    (Scenario::read_for(&path, &board).unwrap(), board)
}

#[tokio::test]
async fn what_is_deployed_is_handed_out_over_http_and_https() {
    for transport in ["http", "https"] {
        let (scenario, board) = with_deployment(transport);
        let asked = Asked::of(&scenario, &board);
        let (_, good) = asked.script().await;
        assert!(good.contains("b2c.cache_device=none"), "{good}");
        assert_eq!(asked.get("/files/kernel").await.1, "0123456789");
        asked
            .deployments
            .deploy(&"broken".parse().unwrap(), &Timeline::start());
        let (_, broken) = asked.script().await;
        let line = format!("console={} init=/nonexistent word=other\n", board.console());
        assert!(broken.contains(&line), "{transport}: {broken}");
        assert_eq!(asked.get("/files/kernel").await.1, "01234");
        assert_eq!(asked.get("/files/initramfs").await.0, StatusCode::NOT_FOUND);
        assert_eq!(asked.get("/files/trust").await.0, StatusCode::OK);
        asked
            .deployments
            .deploy(&"default".parse().unwrap(), &Timeline::start());
        assert_eq!(asked.script().await.1, good);
        assert_eq!(asked.get("/files/initramfs").await.1, "0123456789");
    }
}

#[tokio::test]
async fn a_deployment_may_have_files_and_an_image_of_its_own() {
    let board = boards().into_iter().find(|b| b.name == "raspi3b").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vmlinuz"), "another kernel").unwrap();
    let image = parts(Path::new("none")).container.image;
    let image = image.with_env(&[("WORD".into(), "other".into())]).unwrap();
    image
        .write_layout(&folder.path().join("oci"), "other")
        .unwrap();
    let text = r#"
        extends = "alpine-http"
        [deployment.other-image]
        image = "oci"
        [deployment.next]
        container = "docker.io/library/alpine:next"
        kernel = "vmlinuz"
        initrds = ["s3-client"]
    "#;
    std::fs::write(folder.path().join("s.toml"), text).unwrap();
    let library = Library::folder(project().join("scenarios")).with_folder(folder.path());
    let scenario = Scenario::read_from(&library, "s.toml", &board).unwrap();
    let asked = Asked::of(&scenario, &board);
    let deploy = |name: &str| {
        let name = name.parse().unwrap();
        asked.deployments.deploy(&name, &Timeline::start());
    };
    // Files belong to who has fetched the script.
    asked.script().await;
    let (_, whole) = asked.manifest("latest").await;
    assert_eq!(asked.manifest("next").await.0, StatusCode::NOT_FOUND);
    assert_eq!(asked.get("/files/kernel").await.1, "0123456789");
    deploy("next");
    assert_eq!(
        asked.manifest("next").await,
        (StatusCode::OK, whole.clone())
    );
    assert_eq!(asked.manifest("latest").await.0, StatusCode::NOT_FOUND);
    assert_eq!(asked.get("/files/kernel").await.1, "another kernel");
    assert_eq!(asked.get("/files/s3-client").await.0, StatusCode::OK);
    assert!(
        asked
            .script()
            .await
            .1
            .contains("initrd --name s3-client /files/s3-client\n")
    );
    deploy("other-image");
    let (status, other) = asked.manifest("latest").await;
    assert!(status == StatusCode::OK && other != whole);
    assert_eq!(asked.get("/files/kernel").await.1, "0123456789");
    deploy("default");
    assert_eq!(asked.manifest("latest").await.1, whole);
}

#[tokio::test]
async fn what_is_deployed_is_handed_out_by_tftp() {
    let (scenario, board) = with_deployment("tftp");
    let asked = Asked::of(&scenario, &board);
    let read = |name: &str| {
        let content = asked.tftp.open(Ipv4Addr::LOCALHOST, name);
        content.ok().map(|content| format!("{content:?}"))
    };
    let good = read("boot.ipxe").unwrap();
    asked
        .deployments
        .deploy(&"broken".parse().unwrap(), &Timeline::start());
    assert!(
        read("boot.ipxe")
            .unwrap()
            .contains(" init=/nonexistent word=other\\n")
    );
    assert!(read("files/kernel").unwrap().contains("\"01234\""));
    assert_eq!(read("files/initramfs"), None);
    asked
        .deployments
        .deploy(&"default".parse().unwrap(), &Timeline::start());
    assert_eq!(read("boot.ipxe").unwrap(), good);
    assert!(read("files/initramfs").unwrap().contains("\"0123456789\""));
}
