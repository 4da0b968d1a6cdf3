//! The server's own tests, which its wheel brings, inside the image.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Where the server's wheel is, in the image.
const SERVER: &str = "usr/lib/python3/dist-packages/valve_gfx_ci/executor";
/// Two tests ask servers of the Internet, which is not there: one downloads a file, one has GitLab take a runner back.
const NEED_THE_INTERNET: [&str; 2] = [
    "test_HttpArtifact__integration_test",
    "test_gitlab_runner_config_template",
];

/// Runs the tests in the image. Arguments: root folder, folder with modules, the server's folder in the image, tests that are left out. The tests name
/// files from the root of the server's repository.
const ENTER: &str = r#"
set -e
mount --bind "$2" "$1/tmp/tests"
mount -t tmpfs none "$1/dev"
for node in null zero full random urandom; do
    : > "$1/dev/$node"
    mount --bind "/dev/$node" "$1/dev/$node"
done
ln -s /proc/self/fd "$1/dev/fd"
mkdir -p "$1/dev/shm"
mount -t tmpfs none "$1/dev/shm"
mount -t proc none "$1/proc"
mkdir -p "$1/tmp/suite"
ln -sfn /usr/lib/python3/dist-packages "$1/tmp/suite/src"
exec env -i PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin HOME=/root PYTHONPATH="$3:/tmp/tests" PYTHONDONTWRITEBYTECODE=1 \
    "$(command -v chroot)" "$1" sh -c "cd /tmp/suite && exec python3 -m pytest -q -p no:cacheprovider --rootdir $3 -k 'not ($4)' src/valve_gfx_ci/executor/server/tests"
"#;

/// Runs the tests in the image at `root`; `modules` are what they need besides. How many pass.
pub(super) fn all(root: &Path, modules: &Path) -> Result<String> {
    ensure!(root.join(SERVER).is_dir(), "the image has no {SERVER}");
    std::fs::create_dir_all(root.join("tmp/tests"))?;
    // Mounts end with the program: none of them is there when the folder is removed.
    let output = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child", "--"])
        .args(["sh", "-c", ENTER, "sh"])
        .arg(root)
        .arg(modules)
        .args([format!("/{SERVER}"), NEED_THE_INTERNET.join(" or ")])
        .stdin(Stdio::null())
        .output()
        .context("unshare cannot be started")?;
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
        "{count}; left out, because they need the Internet: {}",
        NEED_THE_INTERNET.join(", ")
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
