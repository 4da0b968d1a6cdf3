//! The two commands that everybody uses build every crate in the same way, so that neither waits for what the other has built already.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Result, ensure};

/// Crates with their features, as `cargo tree` shows them.
fn crates(selection: &[&str]) -> Result<BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--offline", "--locked", "--prefix", "none"])
        .args(["--format", "{p} {f}"])
        .args(selection)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines();
    Ok(lines
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .collect())
}

#[test]
fn cargo_xtask_builds_what_cargo_test_builds() -> Result<()> {
    let of_commands = crates(&["--package", "shakedown", "--edges", "normal,build"])?;
    let of_tests = crates(&["--workspace", "--edges", "normal,build,dev"])?;
    assert!(of_commands.len() > 100 && of_tests.len() > of_commands.len());
    let others: Vec<_> = of_commands.difference(&of_tests).collect();
    assert!(
        others.is_empty(),
        "tests want other features of these; see the end of the dependencies in xtask/Cargo.toml: {others:#?}"
    );
    Ok(())
}
