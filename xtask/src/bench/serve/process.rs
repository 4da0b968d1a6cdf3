//! A server's processes: what they use, and that they end with us.
//!
//! Source: proc(5), `status` and `task/TID/children`.

use std::fs;
use std::process::{Child, Command};

use anyhow::{Context, Result};
use shakedown_harness::run::cpu_seconds;

/// A process and its children. Dropping it ends all of them.
pub(super) struct Tree(Child);

impl Tree {
    /// Starts a command.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_os_string();
        let child = command.spawn();
        let child = child.with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self(child))
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Seconds of CPU time that the processes that are alive have used.
    pub(super) fn cpu_seconds(&self) -> f64 {
        self.ids().into_iter().map(cpu_seconds).sum()
    }

    /// Most resident memory in bytes, summed over all processes that are alive.
    pub(super) fn peak_memory(&self) -> Result<u64> {
        let peaks = self.ids().into_iter().map(|id| {
            let status = fs::read_to_string(format!("/proc/{id}/status"))
                .with_context(|| format!("cannot read the status of process {id}"))?;
            peak(&status).with_context(|| format!("process {id} has no VmHWM"))
        });
        peaks.sum()
    }

    fn ids(&self) -> Vec<u32> {
        let parent = self.0.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        let children = children.unwrap_or_default();
        let children = children
            .split_ascii_whitespace()
            .filter_map(|id| id.parse().ok());
        std::iter::once(parent).chain(children).collect()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Asks first: nginx ends its workers only then. Ours needs no time to end.
        if let Some(id) = rustix::process::Pid::from_raw(self.0.id().cast_signed()) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

/// The line `VmHWM` of a process' status, in bytes.
fn peak(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_found_among_the_other_lines() {
        let status = "Name:\tnginx\nVmPeak:\t  10000 kB\nVmHWM:\t    5120 kB\nVmRSS:\t  300 kB\n";
        assert_eq!(peak(status), Some(5120 * 1024));
        assert_eq!(peak("Name:\tkthreadd\n"), None);
    }
}
