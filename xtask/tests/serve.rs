//! `cargo xtask serve` as a person uses it: every command that it prints, then Ctrl-C. Uses the real parts, which the first use fetches.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, but not the helpers of a test crate"
)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The command in a process of its own, ended with this whatever happens.
struct Serve(Child);

impl Drop for Serve {
    fn drop(&mut self) {
        // It has ended already unless the test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shakedown"));
    command.arg("serve").args(arguments).args(local_alpine());
    command.stdin(Stdio::null());
    command
}

/// What the command prints before it serves.
fn page(output: &mut impl BufRead) -> String {
    let mut printed = String::new();
    while !printed.contains("Ctrl-C stops.\n") {
        assert_ne!(output.read_line(&mut printed).unwrap(), 0, "{printed}");
    }
    printed
}

/// The commands on the page whose programs are installed here, which on CI all of them are. podman is left out: it would need a place
/// for images, and rights.
fn commands(page: &str) -> Vec<String> {
    let page = page.replace("\\\n", "");
    let lines = page.lines().filter_map(|line| line.strip_prefix("  "));
    let may_run = |line: &&str| {
        let program = line.split(' ').next().unwrap();
        if !["curl", "openssl", "skopeo", "s3cmd"].contains(&program) {
            return false;
        }
        let runs = Command::new(program).arg("--help").output().is_ok();
        if !runs {
            eprintln!("left out, since {program} is not installed: {line}");
            assert_ne!(
                std::env::var("CI").as_deref(),
                Ok("true"),
                "{program} is missing"
            );
        }
        runs
    };
    lines.filter(may_run).map(str::to_owned).collect()
}

/// Starts the servers of a scenario, types everything that their page says, and presses Ctrl-C. Returns what was typed and what was
/// printed.
fn typed(scenario: &str) -> (Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let mut serve = serve(&[scenario, "--listen", "127.0.0.1:0", "--folder", path]);
    let mut serve = Serve(serve.stdout(Stdio::piped()).spawn().unwrap());
    let mut output = BufReader::new(serve.0.stdout.take().unwrap());
    let mut printed = page(&mut output);
    let commands = commands(&printed);
    assert!(commands.iter().any(|c| c.starts_with("curl")), "{printed}");
    for command in &commands {
        let done = Command::new("sh")
            .args(["-c", command])
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(done.status.success(), "{command}\n{done:?}");
    }
    kill_process(Pid::from_child(&serve.0), Signal::INT).unwrap();
    output.read_to_string(&mut printed).unwrap();
    assert!(printed.ends_with("stopped\n"), "{printed}");
    assert!(serve.0.wait().unwrap().success());
    (commands, printed)
}

#[test]
fn what_it_prints_works_and_an_interrupt_ends_it_well() {
    let (_, printed) = typed("alpine-https");
    assert!(printed.contains(" /boot/ipxe 200\n"), "{printed}");
}

#[test]
fn a_private_registry_and_a_mirror_are_served_too() {
    let (typed_in, printed) = typed("registry-login");
    let logs_in = typed_in.iter().any(|c| c.starts_with("skopeo login"));
    assert_eq!(logs_in, printed.contains("account=farm"), "{printed}");
    let (_, printed) = typed("mirror");
    assert!(printed.contains("Mirror mirror.farm.example"), "{printed}");
}

#[test]
fn others_are_let_in_only_if_that_is_meant() {
    let output = serve(&["--listen", "0.0.0.0:0"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && error.contains("--allow-remote"),
        "{error}"
    );
}

/// What keeps a command from asking Docker Hub: tests never do.
fn local_alpine() -> &'static [&'static str] {
    match std::env::var_os("SHAKEDOWN_ALPINE_ROOTFS_DIR") {
        Some(_) => &[],
        None => &["--stand-in"],
    }
}
