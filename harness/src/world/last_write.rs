//! The last stretch of a card that was written without a gap, and what was there before.

use std::ops::Range;

/// The most bytes that are remembered: an erase block of a large card.
const LONGEST: usize = 4 << 20;

/// What was written last. Writes that follow each other without a gap are one.
#[derive(Debug, Default)]
pub(super) struct LastWrite {
    start: u64,
    before: Vec<u8>,
}

impl LastWrite {
    /// Bytes are written from `at` on, where `before` was.
    pub(super) fn write(&mut self, at: u64, before: &[u8]) {
        if at != self.bytes().end {
            self.before.clear();
            self.start = at;
        }
        self.before.extend_from_slice(before);
        let too_many = self.before.len().saturating_sub(LONGEST);
        self.before.drain(..too_many);
        self.start += too_many as u64;
    }

    /// Where it is; nowhere if nothing was written.
    pub(super) fn bytes(&self) -> Range<u64> {
        self.start..self.start + self.before.len() as u64
    }

    /// Its second half: where it begins, and what was there before.
    pub(super) fn second_half(&self) -> (u64, &[u8]) {
        let (first, second) = self.before.split_at(self.before.len() / 2);
        (self.start + first.len() as u64, second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_without_a_gap_is_one_write() {
        let mut last = LastWrite::default();
        assert!(last.bytes().is_empty());
        last.write(512, &[1; 512]);
        last.write(1024, &[2; 512]);
        assert_eq!(last.bytes(), 512..1536);
        assert_eq!(last.second_half(), (1024, &[2; 512][..]));
        // The same sector again is another write.
        last.write(1024, &[3; 512]);
        assert_eq!(last.second_half(), (1280, &[3; 256][..]));
    }

    #[test]
    fn a_long_one_is_remembered_from_its_end() {
        let mut last = LastWrite::default();
        for n in 0..9 {
            last.write(n << 20, &vec![n as u8; 1 << 20]);
        }
        assert_eq!(last.bytes(), 5 << 20..9 << 20);
        assert_eq!(last.second_half().1[0], 7);
    }
}
