//! Frames that are on their way over a slow cable. Pure: the clock is an argument.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use bytes::Bytes;

/// How long a frame is held back that others must overtake: more than a guest needs for several more.
const HELD: Duration = Duration::from_millis(20);

/// Most frames that wait for the end of a fault. Further ones are lost.
const MOST_HELD: usize = 2048;

/// How a frame travels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Travel {
    /// How much later it comes.
    pub(super) delay: Duration,
    /// Others overtake it.
    pub(super) is_held: bool,
    /// Bytes a second that the cable carries.
    pub(super) rate: Option<u64>,
    /// It does not set out until this fault shows no more.
    pub(super) until: Option<usize>,
}

/// One direction of a cable. Times are since any beginning.
#[derive(Debug, Default)]
pub(super) struct Queue {
    frames: BinaryHeap<Reverse<(Duration, u64)>>,
    contents: std::collections::HashMap<u64, Bytes>,
    next: u64,
    /// Frames that have not set out, in their order.
    held: Vec<(Bytes, Travel)>,
    /// When the last frame comes that has not been held back.
    last: Duration,
    /// When the cable has carried everything that it was given.
    free: Duration,
}

impl Queue {
    /// A frame is sent.
    pub(super) fn push(&mut self, now: Duration, frame: Bytes, travel: Travel) {
        if travel.until.is_some() {
            if self.held.len() < MOST_HELD {
                self.held.push((frame, travel));
            }
            return;
        }
        let mut due = (now + travel.delay).max(self.last);
        if let Some(rate) = travel.rate {
            let takes = frame.len() as f64 / rate.max(1) as f64;
            self.free = self.free.max(due) + Duration::from_secs_f64(takes);
            due = self.free;
        }
        if travel.is_held {
            due += HELD;
        } else {
            self.last = due;
        }
        self.frames.push(Reverse((due, self.next)));
        self.contents.insert(self.next, frame);
        self.next += 1;
    }

    /// Some frame has not set out.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// The frames set out that were held for faults of which `is_over` says so.
    pub(super) fn release(&mut self, now: Duration, is_over: impl Fn(usize) -> bool) {
        for (frame, mut travel) in std::mem::take(&mut self.held) {
            travel.until = travel.until.filter(|fault| !is_over(*fault));
            self.push(now, frame, travel);
        }
    }

    /// The next frame that has come by now.
    pub(super) fn pop(&mut self, now: Duration) -> Option<Bytes> {
        self.due().filter(|due| *due <= now)?;
        let Reverse((_, number)) = self.frames.pop()?;
        self.contents.remove(&number)
    }

    /// When the next frame comes.
    pub(super) fn due(&self) -> Option<Duration> {
        self.frames.peek().map(|Reverse((due, _))| *due)
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn come(queue: &mut Queue, at: Duration) -> Vec<Bytes> {
        std::iter::from_fn(|| queue.pop(at)).collect()
    }

    #[test]
    fn a_delay_keeps_the_order() {
        let mut queue = Queue::default();
        let travel = |ms| Travel {
            delay: ms * MS,
            ..Travel::default()
        };
        queue.push(Duration::ZERO, "first".into(), travel(30));
        queue.push(MS, "second".into(), travel(5));
        assert_eq!(come(&mut queue, 29 * MS), [""; 0]);
        assert_eq!(queue.due(), Some(30 * MS));
        assert_eq!(come(&mut queue, 30 * MS), ["first", "second"]);
    }

    #[test]
    fn a_held_frame_is_overtaken() {
        let mut queue = Queue::default();
        let held = Travel {
            is_held: true,
            ..Travel::default()
        };
        queue.push(MS, "held".into(), held);
        queue.push(2 * MS, "one".into(), Travel::default());
        queue.push(3 * MS, "two".into(), Travel::default());
        assert_eq!(come(&mut queue, 3 * MS), ["one", "two"]);
        assert_eq!(come(&mut queue, 30 * MS), ["held"]);
    }

    #[test]
    fn a_held_frame_is_overtaken_on_a_slow_cable_too() {
        let mut queue = Queue::default();
        let slow = |is_held| Travel {
            is_held,
            rate: Some(1_000),
            ..Travel::default()
        };
        queue.push(Duration::ZERO, "1".into(), slow(true));
        queue.push(MS, "2".into(), slow(false));
        queue.push(2 * MS, "3".into(), slow(false));
        assert_eq!(come(&mut queue, 3 * MS), ["2", "3"]);
        assert_eq!(come(&mut queue, 30 * MS), ["1"]);
    }

    #[test]
    fn frames_set_out_when_the_fault_is_over_that_holds_them() {
        let mut queue = Queue::default();
        let until = |fault| Travel {
            until: Some(fault),
            ..Travel::default()
        };
        queue.push(MS, "one".into(), until(1));
        queue.push(2 * MS, "two".into(), until(2));
        queue.push(3 * MS, "three".into(), until(1));
        assert_eq!((queue.len(), queue.due(), queue.holds()), (0, None, true));
        assert_eq!(come(&mut queue, 100 * MS), [""; 0]);
        queue.release(100 * MS, |fault| fault == 1);
        assert_eq!(come(&mut queue, 100 * MS), ["one", "three"]);
        assert!(queue.holds());
        queue.release(200 * MS, |_| true);
        assert_eq!(come(&mut queue, 200 * MS), ["two"]);
        assert!(!queue.holds());
    }

    #[test]
    fn a_rate_spreads_frames() {
        let mut queue = Queue::default();
        let slow = Travel {
            rate: Some(1_000),
            ..Travel::default()
        };
        for _ in 0..3 {
            queue.push(Duration::ZERO, vec![0; 100].into(), slow);
        }
        for (at, count) in [(99, 0), (100, 1), (250, 1), (300, 1)] {
            assert_eq!(come(&mut queue, at * MS).len(), count, "{at} ms");
        }
        assert_eq!((queue.len(), queue.due()), (0, None));
    }
}
