//! Programs of the host that know disk images.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use libtest_mimic::Trial;

/// Packages of Debian that have the tools of these tests.
const PACKAGES: &str = "fdisk gdisk dosfstools mtools e2fsprogs openssl";

/// A trial that needs `tools`. Without them it is skipped with a reason, or fails where `CI` is `true`.
pub(crate) fn trial(name: &str, tools: &[&str], test: impl FnOnce() + Send + 'static) -> Trial {
    let missing: Vec<&str> = tools
        .iter()
        .copied()
        .filter(|tool| find(tool).is_none())
        .collect();
    if missing.is_empty() {
        return Trial::test(name, || {
            test();
            Ok(())
        });
    }
    let reason = format!(
        "{} not found: apt-get install {PACKAGES}",
        missing.join(", ")
    );
    if std::env::var("CI").as_deref() == Ok("true") {
        return Trial::test(name, || Err(reason.into()));
    }
    eprintln!("skipped {name}: {reason}");
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}

/// Where a program is; many of these are not in the path of ordinary users.
fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(tool))
        .find(|program| program.is_file())
}

/// Runs a program that must succeed. Returns what it printed.
pub(crate) fn run(tool: &str, arguments: &[&str]) -> String {
    run_with(tool, arguments, "")
}

/// The same with `input` on its standard input.
pub(crate) fn run_with(tool: &str, arguments: &[&str], input: &str) -> String {
    let program = find(tool).unwrap_or_else(|| panic!("{tool} not found"));
    let mut child = Command::new(program)
        .args(arguments)
        // mtools compares geometries that images do not have.
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {tool}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert!(
        status.success(),
        "{tool} {}: {status}\n{text}",
        arguments.join(" ")
    );
    text
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
