//! Jobs, submitted by the published client from the network outside.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Log;
use super::network::{GATEWAY_PUBLIC, OUTSIDE};

/// Longest that a job of these checks may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// A job for the board's stand-in.
#[derive(Debug, Clone)]
pub(crate) struct Job<'a> {
    /// What the board does.
    pub(crate) what: &'a str,
    /// Whose job it is: the board's name, or tags.
    pub(crate) target: &'a str,
    /// Time-outs beside the overall one, as lines of YAML.
    pub(crate) timeouts: &'a str,
}

impl Job<'_> {
    /// The job's description.
    pub(crate) fn text(&self) -> String {
        let (what, target) = (self.what, self.target);
        let timeouts: String = self
            .timeouts
            .lines()
            .map(|line| format!("  {}\n", line.trim()))
            .collect();
        format!(
            r#"version: 1
target: {target}
timeouts:
  overall: {{minutes: 3}}
{timeouts}console_patterns:
  session_end: {{regex: "^.*END OF TEST.*$"}}
  session_reboot: {{regex: "^.*PLEASE REBOOT.*$"}}
  job_success: {{regex: "^.*RESULT 0.*$"}}
  job_warn: {{regex: "^.*A WARNING.*$"}}
deployment:
  start:
    kernel:
      url: "http://{OUTSIDE}:8080/kernel"
      cmdline:
        - console=ttyS0,115200 SALAD.machine_id={{{{ machine_id }}}} test.do={what}
    initramfs:
      url: "http://{OUTSIDE}:8080/initrd"
    storage:
      tftp:
        - path: "/long"
          url: "http://{OUTSIDE}:8080/long"
"#
        )
    }
}

/// A client that waits for its job.
pub(crate) struct Submitted {
    client: Child,
    log: Log,
    started: Instant,
}

/// Has the published client, out of the image at `root`, submit a job.
pub(crate) fn submit(root: &Path, job: &Job<'_>) -> Result<Submitted> {
    let name = format!("job-{}.yml", job.what);
    let file = root.join(format!("tmp/{name}"));
    std::fs::write(&file, job.text())
        .with_context(|| format!("cannot write {}", file.display()))?;
    let mut command = Command::new("chroot");
    command.arg(root).args([
        "executorctl",
        "-e",
        &format!("http://{GATEWAY_PUBLIC}"),
        "run",
        &format!("/tmp/{name}"),
    ]);
    command.env_clear();
    command
        .env("PATH", "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin")
        .env("PYTHONUNBUFFERED", "1")
        .env("HOME", "/root");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut client = command.spawn().context("chroot cannot be started")?;
    let log = Log::default();
    if let Some(output) = client.stdout.take() {
        log.follow(output);
    }
    if let Some(errors) = client.stderr.take() {
        log.follow(errors);
    }
    Ok(Submitted {
        client,
        log,
        started: Instant::now(),
    })
}

impl Submitted {
    /// What the client has said.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Waits for the client's end; its exit code.
    pub(crate) fn wait(mut self) -> Result<i32> {
        loop {
            if let Some(status) = self.client.try_wait()? {
                return status.code().context("the client was killed");
            }
            if self.started.elapsed() > PATIENCE {
                let text = self.log.text();
                let last = text.lines().last().unwrap_or_default().to_owned();
                bail!(
                    "the client has not ended after {} s: {last}",
                    PATIENCE.as_secs()
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        // It has ended, or nobody waits for it any more.
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_asks_for_its_behaviour_and_its_timeouts() {
        let job = Job {
            what: "hang",
            target: "{id: \"a\"}",
            timeouts: "boot_cycle: {seconds: 9}\nconsole_activity: {seconds: 3}",
        };
        let text = job.text();
        assert!(text.contains("target: {id: \"a\"}\n"));
        assert!(text.contains("  overall: {minutes: 3}\n  boot_cycle: {seconds: 9}\n  console_activity: {seconds: 3}\nconsole_patterns:"));
        assert!(text.contains("SALAD.machine_id={{ machine_id }} test.do=hang\n"));
    }
}
