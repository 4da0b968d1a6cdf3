//! A server's processes: what they use, and that they end with us.
//!
//! Source: proc(5), `task/TID/children`.

use std::fs;
use std::process::{Child, Command};

use anyhow::{Context, Result};
use shakedown_harness::host::{cpu_seconds, peak_memory};

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
            peak_memory(id).with_context(|| format!("cannot tell the memory of process {id}"))
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
