//! Work that is done several at a time, in order of its list.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

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
    let queue = Mutex::new(items.iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || {
        let mut done = Vec::new();
        while !stopped()
            && let Some((number, item)) = next()
        {
            done.push((number, work(item)));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let threads = at_a_time.get().min(items.len());
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let done = workers.into_iter().flat_map(|worker| {
            let done = worker.join();
            done.unwrap_or_else(|panic| resume_unwind(panic))
        });
        done.collect::<Vec<_>>()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const TWO: NonZero<usize> = NonZero::new(2).unwrap();

    #[test]
    fn results_are_in_the_order_of_the_list_whoever_is_done_first() {
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
}
