//! What docs/image-spec.md tells people to type.

use std::fs;

use libtest_mimic::Trial;
use shakedown_image::credentials;
use shakedown_image::prebuilt::{self, PrebuiltSpec};
use shakedown_image::script::BootSource;

use crate::parts;
use crate::tools::{run, trial};

const SPECIFICATION: &str = include_str!("../../../../docs/image-spec.md");

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "documented::certificates",
        &["openssl", "sh"],
        certificates,
    )]
}

/// The certificates of the page make an image that breaks no rule.
fn certificates() {
    let directory = tempfile::tempdir().unwrap();
    let (_, chapter) = SPECIFICATION.split_once("### Certificates\n").unwrap();
    let lines = chapter.lines().take_while(|line| !line.starts_with("##"));
    let typed = lines.filter_map(|line| line.strip_prefix("    "));
    let script = typed.collect::<Vec<_>>().join("\n");
    let folder = directory.path().display();
    run("sh", &["-c", &format!("set -e; cd '{folder}'\n{script}")]);

    let pem = |name: &str| fs::read(directory.path().join(name)).unwrap();
    let boot = BootSource::Https {
        server: "https://boot.example".parse().unwrap(),
        identity: Some(credentials::identity(&pem("client.pem"), &pem("client.key")).unwrap()),
        trusted_ca: credentials::certificate(&pem("ca.pem")).unwrap(),
    };
    let spec = PrebuiltSpec {
        config_txt: prebuilt::default_config_txt(),
        firmware_files: parts::sources(directory.path(), &parts::firmware_files()[1..]),
        esp_files: parts::sources(directory.path(), &parts::esp_files()),
        ..PrebuiltSpec::default()
    };
    let [prebuilt, netboot] =
        ["prebuilt.img", "netboot.img"].map(|name| directory.path().join(name));
    prebuilt::build(&spec, &prebuilt).unwrap();
    parts::provision_with(&prebuilt, &boot, &netboot).unwrap();
    let broken = parts::violations(&netboot).unwrap();
    let rules: Vec<_> = broken.iter().map(|violation| violation.rule).collect();
    // The cache partition is empty.
    assert_eq!(rules, ["R-CACHE-3"], "{broken:#?}");
}
