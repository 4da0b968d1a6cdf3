//! Load beside runs, to show that a busy host does not make a good image fail.

use std::io;
use std::process::{Child, Command, Stdio};

/// A loop that only computes. It asks at each turn whether its parent is still there, so that it does not outlive a parent that was killed.
const LOOP: &str = "while kill -0 \"$1\" 2>/dev/null; do :; done";

/// Busy loops, processes of their own so that their CPU time is not taken for the harness's. They end when this is dropped.
#[derive(Debug)]
pub struct Load(Vec<Child>);

impl Load {
    /// Starts this many loops. They are bound to no core.
    ///
    /// # Errors
    /// A shell cannot be started.
    pub fn start(loops: usize) -> io::Result<Self> {
        let parent = std::process::id().to_string();
        let mut load = Self(Vec::new());
        for _ in 0..loops {
            let child = Command::new("/bin/sh")
                .args(["-c", LOOP, "load", &parent])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            load.0.push(child);
        }
        Ok(load)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended; then there is nothing to end.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_loops_compute_and_end_with_their_owner() {
        let load = Load::start(2).unwrap();
        let pids: Vec<_> = load.0.iter().map(Child::id).collect();
        assert_eq!(pids.len(), 2);
        // The loop is on a core or waits for one: it never sleeps. Until the shell has begun it may.
        let is_running = |pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('R')
        };
        while !pids.iter().all(is_running) {
            std::thread::yield_now();
        }
        drop(load);
        for pid in pids {
            assert!(!Path::new(&format!("/proc/{pid}")).exists());
        }
    }
}
