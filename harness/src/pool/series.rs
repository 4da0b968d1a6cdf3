//! Items that are done several at a time, and what came of them in the order of the list.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::policy::{Policy, Queue, Turn};

/// What came of an item in one repetition: of one attempt, or of several where the earlier ones failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series<R> {
    /// The item's place in the list.
    pub item: usize,
    /// Which repetition, from 1.
    pub repetition: u32,
    /// What came of each attempt; there is at least one.
    pub attempts: Vec<R>,
}

/// Does `work` for each item, `at_a_time` on a thread each, and returns what came of those that were begun, in the order of the items. Once
/// `stopped` says so no other item is begun. One that fails does not keep the others from their end.
pub fn each<T, R>(
    items: &[T],
    at_a_time: NonZero<usize>,
    stopped: impl Fn() -> bool + Sync,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R>
where
    T: Sync,
    R: Send,
{
    let policy = Policy::default();
    let work = |item: &T, _, _| work(item);
    let done = series(items, policy, at_a_time, stopped, work, |_| false);
    done.into_iter().flat_map(|done| done.attempts).collect()
}

/// Does `work` for each item as often as `policy` says, `at_a_time` on a thread each. `work` is given the repetition and the attempt, both from 1;
/// `failed` says whether what came of it counts as a failure.
///
/// Returns what came of those that were begun, in the order of repetitions and within them of the items. Once `stopped` says so nothing else
/// is begun, not even a retry.
pub fn series<T, R>(
    items: &[T],
    policy: Policy,
    at_a_time: NonZero<usize>,
    stopped: impl Fn() -> bool + Sync,
    work: impl Fn(&T, u32, u32) -> R + Sync,
    failed: impl Fn(&R) -> bool + Sync,
) -> Vec<Series<R>>
where
    T: Sync,
    R: Send,
{
    let queue = Mutex::new(Queue::new(items.len(), policy));
    let queue = || queue.lock().unwrap_or_else(PoisonError::into_inner);
    let next = || {
        let turn = queue().next()?;
        items.get(turn.item).map(|item| (turn, item))
    };
    let attempts = |item: &T, turn: Turn| {
        let mut results = Vec::new();
        for attempt in 1.. {
            let result = work(item, turn.repetition, attempt);
            let has_failed = failed(&result);
            results.push(result);
            let again = has_failed && !stopped() && queue().tries_again(attempt);
            if !again {
                queue().ended(has_failed);
                break;
            }
        }
        results
    };
    let worker = || {
        let mut done = Vec::new();
        while !stopped()
            && let Some((turn, item)) = next()
        {
            done.push((turn, attempts(item, turn)));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let turns = items.len().saturating_mul(match policy.repeat {
            Some(repeat) => usize::try_from(repeat.get()).unwrap_or(usize::MAX),
            None => usize::MAX,
        });
        let threads = at_a_time.get().min(turns);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let done = workers.into_iter().flat_map(|worker| {
            let done = worker.join();
            done.unwrap_or_else(|panic| resume_unwind(panic))
        });
        done.collect::<Vec<_>>()
    });
    done.sort_by_key(|(turn, _)| *turn);
    let done = done.into_iter().map(|(turn, attempts)| Series {
        item: turn.item,
        repetition: turn.repetition,
        attempts,
    });
    done.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const TWO: NonZero<usize> = NonZero::new(2).unwrap();

    #[test]
    fn results_are_in_the_order_of_the_list_whichever_is_done_first() {
        // The first can only end when the second has begun.
        let both = Barrier::new(2);
        let results = each(
            &[1, 2, 3, 4],
            TWO,
            || false,
            |n| {
                if *n <= 2 {
                    both.wait();
                }
                n * 10
            },
        );
        assert_eq!(results, [10, 20, 30, 40]);
        assert_eq!(each(&[0_u8; 0], TWO, || false, |_| 1), [0; 0]);
    }

    #[test]
    fn nothing_begins_after_a_stop() {
        let begun = AtomicUsize::new(0);
        let one = NonZero::new(1).unwrap();
        let stopped = || begun.load(Ordering::SeqCst) >= 2;
        let results = each(&[1, 2, 3], one, stopped, |n| {
            begun.fetch_add(1, Ordering::SeqCst);
            *n
        });
        assert_eq!(results, [1, 2]);
    }

    #[test]
    fn one_that_fails_is_tried_again_and_the_others_go_on() {
        let policy = Policy {
            repeat: NonZero::new(2),
            retries: 1,
            fail_fast: false,
        };
        let one = NonZero::new(1).unwrap();
        // `a` fails at its first attempt, `b` always, `c` never.
        let work = |item: &&str, _, attempt| match *item {
            "a" => attempt > 1,
            "b" => false,
            _ => true,
        };
        let done = series(&["a", "b", "c"], policy, one, || false, work, |ok| !ok);
        let seen: Vec<_> = done
            .iter()
            .map(|s| (s.repetition, s.item, &*s.attempts))
            .collect();
        let once: [(usize, &[bool]); 3] = [(0, &[false, true]), (1, &[false, false]), (2, &[true])];
        let expected = [1, 2].map(|repetition| once.map(|(item, a)| (repetition, item, a)));
        assert_eq!(seen, expected.concat());
    }

    #[test]
    fn after_a_failure_nothing_is_begun_when_that_is_wanted() {
        let policy = Policy {
            repeat: None,
            retries: 1,
            fail_fast: true,
        };
        let one = NonZero::new(1).unwrap();
        // A failure that a retry mends is none.
        let work = |_: &(), repetition, attempt| match repetition {
            1 => attempt == 2,
            2 => true,
            _ => false,
        };
        let done = series(&[()], policy, one, || false, work, |ok| !ok);
        let attempts: Vec<_> = done.iter().map(|s| s.attempts.len()).collect();
        assert_eq!(attempts, [2, 1, 2]);
    }

    #[test]
    fn a_stop_ends_retries() {
        let begun = AtomicUsize::new(0);
        let policy = Policy {
            retries: 9,
            ..Policy::default()
        };
        let one = NonZero::new(1).unwrap();
        let stopped = || begun.load(Ordering::SeqCst) >= 3;
        let work = |_: &(), _, _| begun.fetch_add(1, Ordering::SeqCst);
        let done = series(&[()], policy, one, stopped, work, |_| true);
        assert_eq!(done[0].attempts, [0, 1, 2]);
    }
}
