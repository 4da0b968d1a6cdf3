//! Trials in network namespaces of their own: a test program starts itself again where it needs no rights.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

use crate::Tool;

/// What starts a program in namespaces.
pub const UNSHARE: Tool = Tool::new("unshare", "util-linux");
/// What sets interfaces up.
pub const IP: Tool = Tool::new("ip", "iproute2");
/// The DHCP client that boot2container uses.
pub const UDHCPC: Tool = Tool::new("udhcpc", "udhcpc");

/// Runs this program in namespaces of its own, with `variable` set to `value` there. They end with it, and whatever is left in them too.
///
/// # Errors
/// It cannot be started, or fails: the error has what it said.
pub fn in_namespaces(variable: &str, value: &str) -> Result<()> {
    let mut command = Command::new(UNSHARE.program);
    command
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
        ])
        .arg(std::env::current_exe()?)
        .env(variable, value);
    checked(&mut command).map(drop)
}

/// Writes a script that a DHCP client calls.
///
/// # Errors
/// The file cannot be written.
pub fn write_script(script: &Path, text: &str) -> Result<()> {
    std::fs::write(script, text)?;
    std::fs::set_permissions(script, PermissionsExt::from_mode(0o755))?;
    Ok(())
}

/// The command's output, if it succeeds.
///
/// # Errors
/// It cannot be started, or fails: the error has what it said.
pub fn checked(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_os_string();
    let output = command.output();
    let output = output.with_context(|| format!("cannot start {}", program.display()))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [&output.stdout[..], &output.stderr].concat();
    bail!(
        "{} has failed: {}",
        program.display(),
        String::from_utf8_lossy(&said)
    )
}
