//! The server's own tests, which its wheel brings, inside the image.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::namespace::run;

/// Where the server's wheel is, in the image.
const SERVER: &str = "usr/lib/python3/dist-packages/valve_gfx_ci/executor";
/// One test downloads a file from the Internet, which is not there.
const NEEDS_THE_INTERNET: &str = "test_HttpArtifact__integration_test";

/// Runs the tests in the image at `root`; `modules` are what they need besides. How many pass.
pub(super) fn all(root: &Path, modules: &Path) -> Result<String> {
    ensure!(root.join(SERVER).is_dir(), "the image has no {SERVER}");
    let folder = root.join("tmp/tests");
    std::fs::create_dir_all(&folder)?;
    run(
        "mount",
        &format!("--bind {} {}", modules.display(), folder.display()),
    )?;
    run(
        "mount",
        &format!("--rbind /dev {}", root.join("dev").display()),
    )?;
    // The tests name files from the root of the server's repository.
    let script = format!(
        "mkdir -p /tmp/suite && cd /tmp/suite && ln -sfn /usr/lib/python3/dist-packages src && \
         exec python3 -m pytest -q -p no:cacheprovider --rootdir /{SERVER} -k 'not {NEEDS_THE_INTERNET}' src/valve_gfx_ci/executor/server/tests"
    );
    let output = Command::new("chroot")
        .arg(root)
        .args(["/bin/sh", "-c", &script])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin")
        .env("HOME", "/root")
        .env("PYTHONPATH", format!("/{SERVER}:/tmp/tests"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .context("chroot cannot be started")?;
    run("umount", &format!("{}", folder.display()))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = said
        .lines()
        .rev()
        .find(|line| line.contains("passed") || line.contains("failed"));
    let last = last.with_context(|| {
        format!(
            "no count: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )
    })?;
    let count = count(last);
    let failed = said
        .lines()
        .filter(|line| line.starts_with("FAILED") || line.starts_with("ERROR"));
    let failed: Vec<_> = failed.filter_map(|line| line.rsplit("::").next()).collect();
    ensure!(
        failed.is_empty() && output.status.success(),
        "{count}: {}",
        failed.join(", ")
    );
    Ok(format!(
        "{count}; {NEEDS_THE_INTERNET} needs the Internet and was left out"
    ))
}

/// pytest's last line without its time: `427 passed, 1 deselected`.
fn count(line: &str) -> &str {
    let line = line.trim().trim_matches('=').trim();
    line.split_once(" in ").map_or(line, |(count, _)| count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_without_its_time() {
        assert_eq!(
            count("429 passed, 1 deselected in 8.91s"),
            "429 passed, 1 deselected"
        );
        assert_eq!(
            count("==== 2 failed, 1 passed in 0.10s ===="),
            "2 failed, 1 passed"
        );
    }
}
