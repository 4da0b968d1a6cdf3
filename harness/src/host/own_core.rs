//! A core of the host for each run, which emulator and harness share.
//!
//! Emulator and harness talk all the time: a frame for the guest takes two messages, and the emulator's threads pass its lock to each other
//! for each of them. Between cores every message wakes a sleeping one, which takes longer than the work it brings, while the guest polls
//! for the answer. On one core the sleeper goes on at once. So a run has a thread of its own, bound to a core; the tasks, threads and
//! processes that it starts inherit the binding. Runs beside each other, in this process or in others, claim different cores.
//!
//! Source: sched_setaffinity(2); unix(7) for abstract socket names, which the kernel gives up with the process.

use std::cell::Cell;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::panic::resume_unwind;
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Carries out `work` on a thread of its own, in a tokio runtime of its own, bound to a core that no other run has. Where all are taken
/// the scheduler decides. `work` is given the number of its core.
///
/// # Errors
/// The thread or the runtime cannot be started.
pub fn on_own_core<F>(work: impl FnOnce(Option<usize>) -> F + Send) -> io::Result<F::Output>
where
    F: Future<Output: Send>,
{
    on_core_of(CLAIMS, work)
}

/// What the names of all runs' claims on this machine begin with.
const CLAIMS: &str = "shakedown/core";

fn on_core_of<F>(
    claims: &str,
    work: impl FnOnce(Option<usize>) -> F + Send,
) -> io::Result<F::Output>
where
    F: Future<Output: Send>,
{
    let in_thread = || {
        let core = Core::claim(claims);
        OWN.set(core.as_ref().map(|core| core.number));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let done = runtime.block_on(work(core.as_ref().map(|core| core.number)));
        // Threads of the matcher may still wait for the text of a port that has ended.
        runtime.shutdown_background();
        Ok(done)
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("run".into());
        thread
            .spawn_scoped(scope, in_thread)?
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic))
    })
}

thread_local! {
    /// The core that this thread's run owns.
    static OWN: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The core that this thread's run owns, if it owns one.
#[must_use]
pub fn own_core() -> Option<usize> {
    OWN.get()
}

/// A claimed core.
struct Core {
    number: usize,
    /// The claim: no one else can bind a socket to this name meanwhile.
    _claim: UnixListener,
}

impl Core {
    /// Claims a free one of the cores that this thread may use, and binds the thread to it.
    fn claim(claims: &str) -> Option<Self> {
        let allowed = sched_getaffinity(None).ok()?;
        // The first core last: it serves most of the host's interrupts.
        let core = (1..CpuSet::MAX_CPU)
            .chain([0])
            .filter(|number| allowed.is_set(*number))
            .find_map(|number| {
                let name = format!("{claims}/{number}");
                let name = SocketAddr::from_abstract_name(name).ok()?;
                let claim = UnixListener::bind_addr(&name).ok()?;
                Some(Self {
                    number,
                    _claim: claim,
                })
            })?;
        let mut only = CpuSet::new();
        only.set(core.number);
        sched_setaffinity(None, &only).ok()?;
        Some(core)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use super::*;

    /// Claims that no other process makes, nor another test.
    fn claims(test: &str) -> String {
        format!("shakedown/test/{}/{test}", std::process::id())
    }

    #[test]
    fn what_a_run_starts_stays_on_its_core() {
        let list = on_core_of(&claims("stays"), async |core| {
            let from_child = || {
                let child = Command::new("grep")
                    .args(["Cpus_allowed_list", "/proc/self/status"])
                    .output()
                    .unwrap();
                String::from_utf8(child.stdout).unwrap()
            };
            let list = tokio::task::spawn_blocking(from_child).await.unwrap();
            (core, own_core(), list)
        });
        let (core, own, list) = list.unwrap();
        let core = core.expect("nobody else claims these");
        assert_eq!(own, Some(core));
        assert!(list.trim_end().ends_with(&format!("\t{core}")), "{list}");
    }

    #[test]
    fn runs_beside_each_other_have_different_cores() {
        let cores = thread::available_parallelism().unwrap().get();
        let barrier = std::sync::Barrier::new(cores + 1);
        let claims = claims("different");
        let claimed = thread::scope(|scope| {
            let run = || {
                let meet = async |core| {
                    barrier.wait();
                    core
                };
                on_core_of(&claims, meet).unwrap()
            };
            let runs: Vec<_> = (0..=cores).map(|_| scope.spawn(run)).collect();
            let claimed = runs.into_iter().map(|run| run.join().unwrap());
            claimed.collect::<Vec<Option<usize>>>()
        });
        // Every core is taken once, and one run has none.
        let numbers: BTreeSet<_> = claimed.iter().flatten().collect();
        assert_eq!(numbers.len(), cores);
        assert_eq!(claimed.iter().flatten().count(), cores);
    }
}
