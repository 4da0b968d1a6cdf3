//! However the harness ends, the emulator ends with it. Uses the real parts, which the first use fetches.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, where a panic is a failed test"
)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Longest wait for a process to appear or to end; the parts may have to be fetched first.
const PATIENCE: Duration = Duration::from_secs(900);

/// A run of the command line tool, in a process of its own.
struct Harness(Child);

impl Harness {
    fn start() -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_shakedown"))
            .args(["e2e", "alpine-https"])
            .args(local_alpine())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// The emulator that this run has started, once it has.
    fn emulator(&mut self) -> Pid {
        wait_for("the emulator to start", || {
            assert!(
                self.0.try_wait().unwrap().is_none(),
                "the run has ended before"
            );
            children_of(self.pid())
                .into_iter()
                .find(|pid| is_emulator(*pid))
        })
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        // It has ended already unless the test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn no_emulator_survives_a_killed_harness() {
    let mut harness = Harness::start();
    let emulator = harness.emulator();
    kill_process(harness.pid(), Signal::KILL).unwrap();
    harness.0.wait().unwrap();
    wait_for("the emulator to end", || {
        test_kill_process(emulator).is_err().then_some(())
    });
}

#[test]
fn an_interrupted_run_tidies_up_and_says_so() {
    let mut harness = Harness::start();
    let emulator = harness.emulator();
    kill_process(harness.pid(), Signal::INT).unwrap();
    let mut output = String::new();
    std::io::Read::read_to_string(harness.0.stdout.as_mut().unwrap(), &mut output).unwrap();
    assert_eq!(harness.0.wait().unwrap().code(), Some(2), "{output}");
    assert!(output.contains("stopped by the user"), "{output}");
    assert!(
        test_kill_process(emulator).is_err(),
        "the emulator is still there"
    );
}

fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "gave up waiting for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The children of all threads of a process (proc(5), `children`).
fn children_of(pid: Pid) -> Vec<Pid> {
    let tasks = format!("/proc/{}/task", pid.as_raw_nonzero());
    let Ok(tasks) = fs::read_dir(tasks) else {
        return Vec::new();
    };
    let lists =
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let pids = lists.flat_map(|list| {
        list.split_whitespace()
            .filter_map(|p| p.parse().ok())
            .collect::<Vec<i32>>()
    });
    pids.filter_map(Pid::from_raw).collect()
}

/// The process is QEMU with a board, not one that is asked for its version.
fn is_emulator(pid: Pid) -> bool {
    let path = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
    fs::read(Path::new(&path)).is_ok_and(|line| {
        line.split(|b| *b == 0)
            .any(|word| word.starts_with(b"usb-redir,chardev=nic,port=1"))
    })
}

/// What keeps a command from asking Docker Hub: tests never do.
fn local_alpine() -> &'static [&'static str] {
    match std::env::var_os("SHAKEDOWN_ALPINE_ROOTFS_DIR") {
        Some(_) => &[],
        None => &["--stand-in"],
    }
}
