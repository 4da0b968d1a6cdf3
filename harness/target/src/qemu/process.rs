//! The QEMU process: started so that it cannot outlive the harness, ended in every case.
//!
//! Source: prctl(2), PR_SET_PDEATHSIG. The signal comes when the *thread* that forked ends, so a thread of its own starts QEMU
//! and waits for it; a harness killed by SIGKILL takes that thread, and QEMU, with it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use tokio::sync::watch;

use super::{MachineError, QemuProgram, timer_slack};

/// How QEMU's timers are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timers {
    /// As precisely as QEMU asks for.
    Precise,
    /// Those that are due within a millisecond together.
    Coalesced,
}

/// A running QEMU. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    ended: watch::Receiver<Option<ExitStatus>>,
    stderr: PathBuf,
}

impl Process {
    /// Starts QEMU with its standard error going to the file `stderr`.
    pub(super) fn spawn(
        qemu: &QemuProgram,
        arguments: &[std::ffi::OsString],
        stderr: &Path,
        timers: Timers,
    ) -> Result<Self, MachineError> {
        let log = File::create(stderr).map_err(MachineError::io("create", stderr))?;
        let mut command = Command::new(&qemu.program);
        command
            .args(&qemu.leading_args)
            .args(arguments)
            .envs(qemu.env.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // A Ctrl-C on the terminal is for the harness, which then ends QEMU in order.
            .process_group(0);
        die_with_parent(&mut command);

        let (ended_tx, ended) = watch::channel(None);
        let (started_tx, started) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("qemu-parent".into())
            .spawn(move || parent(command, timers, &started_tx, &ended_tx))
            .and_then(|_| started.recv().unwrap_or_else(|e| Err(io::Error::other(e))))
            .map(|pid| Self {
                pid,
                ended,
                stderr: stderr.into(),
            })
            .map_err(|source| MachineError::Spawn {
                program: qemu.program.clone(),
                source,
            })
    }

    /// Waits until the process has ended.
    pub(super) async fn ended(&self) -> ExitStatus {
        end(self.ended.clone()).await
    }

    /// The same, with the last lines of its standard error, for a caller that does not hold the process.
    pub(super) fn end(&self) -> impl Future<Output = String> + Send + use<> {
        let (ended, stderr) = (self.ended.clone(), self.stderr.clone());
        async move {
            end(ended).await;
            last_output(&stderr)
        }
    }

    /// Kills the process; no effect on one that has ended.
    pub(super) fn kill(&self) {
        if self.is_running() {
            // It may end between the check and the signal; until the parent thread reaps it the pid stays taken.
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }

    /// It has not ended yet.
    pub(super) fn is_running(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// The process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The last lines of its standard error.
    pub(super) fn last_output(&self) -> String {
        last_output(&self.stderr)
    }
}

async fn end(mut ended: watch::Receiver<Option<ExitStatus>>) -> ExitStatus {
    loop {
        if let Some(status) = *ended.borrow_and_update() {
            return status;
        }
        if ended.changed().await.is_err() {
            // The parent thread always reports before it ends, unless it panicked.
            return ExitStatus::from_raw(-1);
        }
    }
}

/// The last lines of a file, which may be of any length, and so may its lines.
fn last_output(stderr: &Path) -> String {
    /// What is looked at of the file's end.
    const END: u64 = 16 << 10;
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(stderr)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
        let mut end = Vec::new();
        file.take(END).read_to_end(&mut end)?;
        Ok(end)
    };
    let text = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks the kernel to kill the child when its parent thread ends.
#[expect(
    unsafe_code,
    reason = "a request made between fork and exec has no safe interface"
)]
fn die_with_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; prctl(2) and getppid(2) are system calls that
    // neither allocate nor lock.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died before the request was made.
            if getppid() == Some(parent) {
                Ok(())
            } else {
                Err(io::Error::other("the harness has ended"))
            }
        });
    }
}

/// Life of the thread that is QEMU's parent: start, report, wait, report.
fn parent(
    mut command: Command,
    timers: Timers,
    started: &mpsc::SyncSender<io::Result<Pid>>,
    ended: &watch::Sender<Option<ExitStatus>>,
) {
    if timers == Timers::Coalesced {
        // Without it QEMU is only slower.
        let _ = timer_slack::relax();
    }
    let mut child: Child = match command.spawn() {
        Ok(child) => child,
        Err(e) => {
            let _ = started.send(Err(e));
            return;
        }
    };
    let _ = started.send(Ok(Pid::from_child(&child)));
    let status = child.wait().unwrap_or_else(|_| ExitStatus::from_raw(-1));
    ended.send_replace(Some(status));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, stderr: &Path) -> Result<Process, MachineError> {
        let shell = QemuProgram {
            program: "/bin/sh".into(),
            ..QemuProgram::default()
        };
        Process::spawn(
            &shell,
            &["-c".into(), script.into()],
            stderr,
            Timers::Coalesced,
        )
    }

    #[tokio::test]
    async fn the_end_and_the_last_output_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let process = sh("echo no such machine >&2; exit 3", &folder.path().join("e")).unwrap();
        assert_eq!(process.ended().await.code(), Some(3));
        assert_eq!(process.last_output(), "no such machine");
    }

    #[tokio::test]
    async fn dropping_kills() {
        let folder = tempfile::tempdir().unwrap();
        let process = sh("exec sleep 1000", &folder.path().join("e")).unwrap();
        let ended = process.ended.clone();
        drop(process);
        let mut ended = ended;
        ended.changed().await.unwrap();
        let status = ended.borrow().unwrap();
        assert_eq!(status.signal(), Some(9));
    }

    #[test]
    fn a_missing_program_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = QemuProgram {
            program: "/nonexistent/qemu".into(),
            ..QemuProgram::default()
        };
        let error =
            Process::spawn(&missing, &[], &folder.path().join("e"), Timers::Precise).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/qemu"), "{error}");
    }
}
