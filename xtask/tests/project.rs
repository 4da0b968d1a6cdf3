//! A folder of somebody's, with nothing of ours in it, and the program as it is installed: not started by cargo.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, but not the helpers of a test crate"
)]

use std::path::Path;
use std::process::{Command, Output};

/// The installed program in a folder.
fn shakedown(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shakedown"));
    command.args(arguments).current_dir(folder);
    command.env_remove("CARGO").env("XDG_CONFIG_HOME", folder);
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

#[test]
fn an_empty_folder_becomes_a_project_that_reaches_its_container() {
    let folder = tempfile::tempdir().unwrap();
    let init = shakedown(folder.path(), &["init"]);
    assert!(init.status.success(), "{}", text(&init));
    assert!(
        text(&init).ends_with("next: shakedown e2e\n"),
        "{}",
        text(&init)
    );
    let run = shakedown(folder.path(), &[&["e2e"], local_alpine()].concat());
    assert!(run.status.success(), "{}", text(&run));
    let said = text(&run);
    assert!(
        said.contains("✔ reaches-its-container on raspi3b"),
        "{said}"
    );
    assert!(said.contains("said its nonce"), "{said}");
    assert!(folder.path().join("target/shakedown/junit.xml").is_file());
}

#[test]
fn without_a_project_the_built_in_scenarios_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let list = shakedown(folder.path(), &["scenario", "list"]);
    assert!(text(&list).contains("alpine-https"), "{}", text(&list));
    let check = shakedown(folder.path(), &["--project", ".", "scenario", "check"]);
    assert_eq!(check.status.code(), Some(2));
    assert!(
        text(&check).contains("`shakedown init` makes one"),
        "{}",
        text(&check)
    );
}

#[test]
fn what_is_wrong_in_a_project_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    shakedown(folder.path(), &["init", "--ci", "none"]);
    let scenario = folder.path().join("scenarios/mine.toml");
    std::fs::write(scenario, "extends = \"alpine-http\"\ntier = \"some\"\n").unwrap();
    let check = shakedown(folder.path(), &["scenario", "check"]);
    assert!(
        text(&check).contains("scenarios/mine.toml:2:8: unknown variant `some`"),
        "{}",
        text(&check)
    );
}

/// What keeps a command from asking Docker Hub: tests never do.
fn local_alpine() -> &'static [&'static str] {
    match std::env::var_os("SHAKEDOWN_ALPINE_ROOTFS_DIR") {
        Some(_) => &[],
        None => &["--stand-in"],
    }
}
