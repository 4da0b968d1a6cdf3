//! `cargo xtask serve` as a person uses it: a real client, then Ctrl-C. Uses the real parts, which the first use fetches.

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
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("serve").args(arguments).stdin(Stdio::null());
    command
}

#[test]
fn what_it_prints_works_and_an_interrupt_ends_it_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let mut serve = serve(&["alpine-https", "--listen", "127.0.0.1:0", "--folder", path]);
    let mut serve = Serve(serve.stdout(Stdio::piped()).spawn().unwrap());
    let mut output = BufReader::new(serve.0.stdout.take().unwrap());
    let mut printed = String::new();
    while !printed.contains("Ctrl-C stops.\n") {
        assert_ne!(output.read_line(&mut printed).unwrap(), 0, "{printed}");
    }
    let is_script = |line: &&str| line.trim().starts_with("curl") && line.ends_with("/boot/ipxe");
    let command = printed.lines().find(is_script).unwrap();
    let fetched = Command::new("sh")
        .args(["-c", &format!("{command} --silent --show-error")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let script = String::from_utf8_lossy(&fetched.stdout);
    assert!(script.starts_with("#!ipxe\n"), "{fetched:?}");

    kill_process(Pid::from_child(&serve.0), Signal::INT).unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(
        rest.contains(" /boot/ipxe 200\n") && rest.ends_with("stopped\n"),
        "{rest}"
    );
    assert!(serve.0.wait().unwrap().success());
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
