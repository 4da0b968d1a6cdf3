//! A network of its own for this program: it starts itself again under unshare(1) of util-linux.

use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};

/// Programs of the host that this crate runs.
pub const PROGRAMS: [&str; 4] = ["unshare", "ip", "mount", "chroot"];

/// Runs this program again, with `arguments`, in a network without cards; as root there, for any user.
///
/// # Errors
/// unshare(1) cannot be started. Whether the host allows such a network is in the exit status.
pub fn enter(arguments: &[String]) -> Result<ExitStatus> {
    let program = std::env::current_exe().context("this program has no path")?;
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--net", "--mount", "--fork", "--kill-child", "--"]);
    unshare
        .arg(program)
        .args(arguments)
        .status()
        .context("unshare of util-linux cannot be started")
}

/// Runs a program of the host to its end.
///
/// # Errors
/// It cannot be started, or it fails; with what it said.
pub(crate) fn run(program: &str, arguments: &str) -> Result<()> {
    let output = Command::new(program)
        .args(arguments.split_whitespace())
        .output()
        .with_context(|| format!("{program} cannot be started"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    anyhow::ensure!(output.status.success(), "{program} {arguments}: {said}");
    Ok(())
}
