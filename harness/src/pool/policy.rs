//! How often each item of a list is done, in which order, and when no more is begun. Pure.

use std::num::NonZero;

/// How often each item is done, and when no more is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How often each item is done; `None` is for ever.
    pub repeat: Option<NonZero<u32>>,
    /// How often an item that failed is done again at once before it counts as failed.
    pub retries: u32,
    /// No item is begun after one has failed.
    pub fail_fast: bool,
}

impl Default for Policy {
    /// Each item once.
    fn default() -> Self {
        Self {
            repeat: Some(NonZero::<u32>::MIN),
            retries: 0,
            fail_fast: false,
        }
    }
}

/// An item's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    /// How often the item is done with this turn, from 1.
    pub(super) repetition: u32,
    /// The item's place in the list.
    pub(super) item: usize,
}

/// What comes next: every item once, then every item again.
#[derive(Debug)]
pub(super) struct Queue {
    items: usize,
    policy: Policy,
    next: Turn,
    has_failed: bool,
}

impl Queue {
    /// A queue of this many items.
    pub(super) fn new(items: usize, policy: Policy) -> Self {
        let next = Turn {
            repetition: 1,
            item: 0,
        };
        Self {
            items,
            policy,
            next,
            has_failed: false,
        }
    }

    /// The next turn; `None` when no more is begun.
    pub(super) fn next(&mut self) -> Option<Turn> {
        let last = self.policy.repeat.map_or(u32::MAX, NonZero::get);
        let is_over = self.items == 0 || self.next.repetition > last;
        if is_over || (self.policy.fail_fast && self.has_failed) {
            return None;
        }
        let turn = self.next;
        self.next = match turn.item + 1 < self.items {
            true => Turn {
                item: turn.item + 1,
                ..turn
            },
            false => Turn {
                repetition: turn.repetition.saturating_add(1),
                item: 0,
            },
        };
        Some(turn)
    }

    /// A turn has ended.
    pub(super) fn ended(&mut self, has_failed: bool) {
        self.has_failed |= has_failed;
    }

    /// Whether a turn that failed is tried again after this many attempts.
    pub(super) fn tries_again(&self, attempts: u32) -> bool {
        attempts <= self.policy.retries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(queue: &mut Queue, most: usize) -> Vec<(u32, usize)> {
        std::iter::from_fn(|| queue.next())
            .take(most)
            .map(|turn| (turn.repetition, turn.item))
            .collect()
    }

    #[test]
    fn every_item_is_done_once_before_one_is_done_again() {
        let policy = Policy {
            repeat: NonZero::new(2),
            ..Policy::default()
        };
        let mut queue = Queue::new(2, policy);
        assert_eq!(turns(&mut queue, 9), [(1, 0), (1, 1), (2, 0), (2, 1)]);
        assert_eq!(turns(&mut Queue::new(0, policy), 9), []);
    }

    #[test]
    fn without_an_end_a_failure_is_the_end() {
        let policy = Policy {
            repeat: None,
            retries: 0,
            fail_fast: true,
        };
        let mut queue = Queue::new(1, policy);
        assert_eq!(turns(&mut queue, 3), [(1, 0), (2, 0), (3, 0)]);
        queue.ended(false);
        assert!(queue.next().is_some());
        queue.ended(true);
        queue.ended(false);
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn two_retries_are_three_attempts() {
        let policy = Policy {
            retries: 2,
            ..Policy::default()
        };
        let queue = Queue::new(1, policy);
        assert!(queue.tries_again(1) && queue.tries_again(2) && !queue.tries_again(3));
        assert!(!Queue::new(1, Policy::default()).tries_again(1));
    }
}
