//! Chance from a seed: a pure function of seed, fault, what is counted and what is decided.
//!
//! Source: the output function of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).

/// A number that looks random and is always the same for the same arguments. `salt` parts the questions that are asked about one frame.
#[must_use]
pub fn draw(seed: u64, fault: usize, count: u64, salt: u64) -> u64 {
    let mut mixed = mix(seed);
    for part in [fault as u64, count, salt] {
        mixed = mix(mixed ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93));
    }
    mixed
}

/// The same as a number from 0 up to and without 1.
pub(super) fn share(seed: u64, fault: usize, count: u64, salt: u64) -> f64 {
    /// Bits of a double's fraction.
    const BITS: u32 = 53;
    (draw(seed, fault, count, salt) >> (u64::BITS - BITS)) as f64 / (1u64 << BITS) as f64
}

fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_question_has_the_same_answer_and_others_have_others() {
        assert_eq!(draw(7, 1, 2, 3), draw(7, 1, 2, 3));
        let others = [
            draw(8, 1, 2, 3),
            draw(7, 2, 2, 3),
            draw(7, 1, 3, 3),
            draw(7, 1, 2, 4),
        ];
        assert!(!others.contains(&draw(7, 1, 2, 3)));
    }

    #[test]
    fn a_share_is_met_on_the_whole() {
        let hits = (0..10_000).filter(|n| share(1, 0, *n, 0) < 0.2).count();
        assert!((1_850..2_150).contains(&hits), "{hits}");
        assert!((0..1_000).all(|n| (0.0..1.0).contains(&share(2, 3, n, 1))));
    }
}
