//! A core of the host for each run, which emulator and harness share.
//!
//! Emulator and harness talk all the time: a frame for the guest takes two messages, and the emulator's threads pass its lock to each other
//! for each of them. Between cores every message wakes a sleeping one, which takes longer than the work it brings, while the guest polls
//! for the answer. On one core the sleeper goes on at once. So a run has a thread of its own, bound to a core; the tasks, threads and
//! processes that it starts inherit the binding. Runs beside each other, in this process or in others, claim different cores.
//!
//! Source: sched_setaffinity(2).

use std::cell::Cell;
use std::io;
use std::panic::resume_unwind;
use std::thread;

use super::claimed_core::Core;
use super::room::{Lack, Room};

/// What the names of all claims of runs on this machine begin with.
const POOL: &str = "shakedown";

/// Carries out `work` on a thread of its own, in a tokio runtime of its own, bound to a core that no other run has. Where all are taken
/// the scheduler decides: for who cannot wait, such as a user at a console. `work` is given the number of its core.
///
/// # Errors
/// The thread or the runtime cannot be started.
pub fn on_own_core<F>(work: impl FnOnce(Option<usize>) -> F + Send) -> io::Result<F::Output>
where
    F: Future<Output: Send>,
{
    let claim = async || Some(Core::claim(POOL).ok());
    let done = on_thread(
        claim,
        |core: &Option<Core>| core.as_ref().map(|c| c.number),
        work,
    )?;
    done.ok_or_else(|| io::Error::other("nothing was claimed"))
}

/// Carries out `work` as [`on_own_core`] does, as soon as there is room for it on this machine: a core and memory that no other run of any
/// process has. `waiting` is told what it waits for. `None` when `stop` completed before there was room.
///
/// # Errors
/// The thread or the runtime cannot be started.
pub fn when_there_is_room<F>(
    stop: impl Future + Send,
    waiting: impl Fn(Lack) + Send,
    work: impl FnOnce(Option<usize>) -> F + Send,
) -> io::Result<Option<F::Output>>
where
    F: Future<Output: Send>,
{
    in_room_of(POOL, stop, waiting, work)
}

fn in_room_of<F>(
    pool: &str,
    stop: impl Future + Send,
    waiting: impl Fn(Lack) + Send,
    work: impl FnOnce(Option<usize>) -> F + Send,
) -> io::Result<Option<F::Output>>
where
    F: Future<Output: Send>,
{
    let claim = async || {
        tokio::select! {
            biased;
            _ = stop => None,
            room = Room::claim(pool, waiting) => Some(room),
        }
    };
    on_thread(claim, |room: &Room| Some(room.core.number), work)
}

/// Carries out `work` on a thread of its own once `claim` has claimed a core for that thread, which is kept until the end.
fn on_thread<C, G, F>(
    claim: impl FnOnce() -> G + Send,
    number: impl FnOnce(&C) -> Option<usize> + Send,
    work: impl FnOnce(Option<usize>) -> F + Send,
) -> io::Result<Option<F::Output>>
where
    G: Future<Output = Option<C>>,
    F: Future<Output: Send>,
{
    let in_thread = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // The runtime starts its other threads later, so that they inherit the binding.
        let done = runtime.block_on(async {
            let claimed = claim().await?;
            let core = number(&claimed);
            OWN.set(core);
            let done = work(core).await;
            drop(claimed);
            Some(done)
        });
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::future::pending;
    use std::process::Command;
    use std::sync::Mutex;

    use rustix::thread::CpuSet;

    use super::super::claim::Claim;
    use super::*;

    /// Claims that no other process makes, nor another test.
    fn pool(test: &str) -> String {
        format!("shakedown/test/{}/{test}", std::process::id())
    }

    #[test]
    fn what_a_run_starts_stays_on_its_core() {
        let work = async |core| {
            let from_child = || {
                let child = Command::new("grep")
                    .args(["Cpus_allowed_list", "/proc/self/status"])
                    .output()
                    .unwrap();
                String::from_utf8(child.stdout).unwrap()
            };
            let list = tokio::task::spawn_blocking(from_child).await.unwrap();
            (core, own_core(), list)
        };
        let done = in_room_of(&pool("stays"), pending::<()>(), |_| (), work);
        let (core, own, list) = done.unwrap().unwrap();
        let core = core.expect("there is room");
        assert_eq!(own, Some(core));
        assert!(list.trim_end().ends_with(&format!("\t{core}")), "{list}");
    }

    #[test]
    fn more_runs_than_cores_take_turns() {
        let cores = thread::available_parallelism().unwrap().get();
        let (pool, running) = (pool("turns"), Mutex::new(BTreeMap::new()));
        let most = Mutex::new(0);
        let run = || {
            let work = async |core: Option<usize>| {
                {
                    let mut running = running.lock().unwrap();
                    // Nobody else has this core now.
                    assert_eq!(running.insert(core.unwrap(), ()), None);
                    let mut most = most.lock().unwrap();
                    *most = running.len().max(*most);
                }
                tokio::task::yield_now().await;
                running.lock().unwrap().remove(&core.unwrap());
            };
            in_room_of(&pool, pending::<()>(), |_| (), work)
                .unwrap()
                .unwrap();
        };
        thread::scope(|scope| {
            for _ in 0..4 * cores {
                scope.spawn(run);
            }
        });
        assert!((1..=cores).contains(&*most.lock().unwrap()));
    }

    #[test]
    fn who_waits_is_told_and_can_be_stopped() {
        let pool = pool("stopped");
        let first = async |_| {
            // Every other core is taken by a claim without a run.
            let held: Vec<_> = (0..CpuSet::MAX_CPU)
                .filter_map(|n| Claim::try_on(&format!("{pool}/core/{n}")))
                .collect();
            let (tell, told) = std::sync::mpsc::channel();
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let waiting = |lack| {
                tell.send(lack).unwrap();
            };
            let second = thread::scope(|scope| {
                let second = scope.spawn(|| in_room_of(&pool, stopped, waiting, async |_| ()));
                let lack = told.recv().unwrap();
                drop(stop);
                (lack, second.join().unwrap().unwrap())
            });
            drop(held);
            second
        };
        let done = in_room_of(&pool, pending::<()>(), |_| (), first).unwrap();
        assert_eq!(done.unwrap(), (Lack::Core, None));
    }
}
