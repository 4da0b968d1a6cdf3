//! Counts instructions with valgrind's callgrind.

use std::env;
use std::process::Command;

use libtest_mimic::Failed;

use crate::{WORK, work};

/// Why valgrind cannot be used, if it cannot.
pub(crate) fn missing() -> Option<String> {
    let output = Command::new("valgrind").arg("--version").output();
    let runs = output.is_ok_and(|output| output.status.success());
    (!runs).then(|| "there is no valgrind here: apt-get install valgrind".into())
}

/// Instructions that this program executes for a kind of work.
pub(crate) fn instructions(kind: &str) -> Result<u64, Failed> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={}", work::COUNTED))
        .arg(env::current_exe()?)
        .env(WORK, kind)
        .output()?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("the {kind} under valgrind: {}\n{log}", output.status).into());
    }
    let count = collected(&log).filter(|count| *count > 0);
    count.ok_or_else(|| format!("valgrind has counted nothing for the {kind}:\n{log}").into())
}

/// The count in a line as `==42== Collected : 123456`.
fn collected(log: &str) -> Option<u64> {
    let (_, count) = log.split_once("Collected :")?;
    count.split_whitespace().next()?.parse().ok()
}
