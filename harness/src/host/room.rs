//! Room for a run on this machine: a core and memory that no other run of any process has.
//!
//! Trials of `cargo test` and of nextest, which are processes of their own, and the runs of `e2e` claim from the same pool, so each may begin
//! as many at a time as it likes: what there is no room for waits until another run ends.

use std::fs;
use std::thread::available_parallelism;

use super::capacity::MEMORY;
use super::claim::{Claim, given_up};
use super::claimed_core::Core;
use super::usage::bytes_of;

/// What a run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Other runs have all cores that this process may use.
    Core,
    /// Other runs have the memory.
    Memory,
}

/// A core, to which the thread that claimed it is bound, and a share of the memory.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) core: Core,
    _memory: Claim,
}

/// How much memory there is, in bytes.
#[derive(Debug, Clone, Copy)]
struct Memory {
    total: u64,
    /// What can be had without swapping.
    available: u64,
}

impl Memory {
    /// Source: proc_meminfo(5).
    fn now() -> Self {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let value = |key| bytes_of(&meminfo, key).unwrap_or(u64::MAX);
        Self {
            total: value("MemTotal:"),
            available: value("MemAvailable:"),
        }
    }

    /// How many runs have room in it when nothing else needs any; at least one.
    fn shares(self) -> u64 {
        (self.total / MEMORY).max(1)
    }
}

impl Room {
    /// Waits for room and claims it. `pool` is what the names of all claims begin with; `waiting` is told once what there is too little of.
    pub(super) async fn claim(pool: &str, waiting: impl Fn(Lack)) -> Self {
        let mut told = None;
        loop {
            match Self::try_claim(pool, Memory::now()) {
                Ok(room) => return room,
                Err((lack, names)) => {
                    if told != Some(lack) {
                        waiting(lack);
                        told = Some(lack);
                    }
                    given_up(&names).await;
                }
            }
        }
    }

    /// Claims room if there is any, or says what is lacking and which claims are in the way.
    fn try_claim(pool: &str, memory: Memory) -> Result<Self, (Lack, Vec<String>)> {
        // More shares than cores are of no use to anybody.
        let cores = available_parallelism().map_or(1, usize::from) as u64;
        let shares = memory.shares().min(cores.max(1) * 4);
        let mut held = Vec::new();
        let mut share = None;
        for number in 0..shares {
            let name = format!("{pool}/memory/{number}");
            match Claim::try_on(&name) {
                Some(claim) => share = share.or(Some(claim)),
                None => held.push(name),
            }
        }
        let share = share.filter(|_| held.is_empty() || memory.available >= MEMORY);
        let Some(share) = share else {
            return Err((Lack::Memory, held));
        };
        match Core::claim(pool) {
            Ok(core) => Ok(Self {
                core,
                _memory: share,
            }),
            Err(names) => Err((Lack::Core, names)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(test: &str) -> String {
        format!("shakedown/test/{}/room-{test}", std::process::id())
    }

    #[test]
    fn little_memory_lets_one_run_in_at_a_time() {
        let pool = pool("little");
        let little = Memory {
            total: MEMORY,
            available: 0,
        };
        assert_eq!(little.shares(), 1);
        // Whatever there is, one run has to be possible; QEMU says if it is not. Each claim binds its thread, so each has its own.
        let claim = |memory| {
            let pool = pool.clone();
            std::thread::spawn(move || Room::try_claim(&pool, memory))
                .join()
                .unwrap()
        };
        let first = claim(little).unwrap();
        let (lack, names) = claim(little).unwrap_err();
        assert_eq!((lack, names.len()), (Lack::Memory, 1));
        let crowded = Memory {
            total: 4 * MEMORY,
            available: MEMORY - 1,
        };
        let (lack, names) = claim(crowded).unwrap_err();
        assert_eq!(
            (lack, names),
            (Lack::Memory, vec![format!("{pool}/memory/0")])
        );
        drop(first);
        assert!(claim(crowded).is_ok());
    }
}
