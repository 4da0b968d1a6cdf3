//! The checksum offload engine's arithmetic: the one's-complement sum of RFC 1071.

/// The folded sum of `bytes` as little-endian words; an odd last byte counts as a word's low half.
///
/// RFC 1071, section 2(B): summing in the other byte order gives the same result with its bytes swapped, so that storing it
/// little endian is right for big-endian protocols as well.
pub(in crate::usb) fn sum(bytes: &[u8]) -> u16 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut sum: u64 = words
        .iter()
        .map(|&word| u64::from(u32::from_le_bytes(word)))
        .sum();
    let mut last = [0; 4];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    sum += u64::from(u32::from_le_bytes(last));
    while let high @ 1.. = sum >> 16 {
        sum = (sum & 0xffff) + high;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the loop ends when nothing is left above 16 bits"
    )]
    let folded = sum as u16;
    folded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Word by word, big endian, with end-around carry: the textbook's way.
    fn textbook(bytes: &[u8]) -> u16 {
        bytes.chunks(2).fold(0u16, |sum, word| {
            let word = u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]);
            let (sum, carry) = sum.overflowing_add(word);
            sum + u16::from(carry)
        })
    }

    proptest! {
        #[test]
        fn both_byte_orders_agree(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(sum(&bytes).swap_bytes(), textbook(&bytes));
        }
    }

    #[test]
    fn rfc_1071_example() {
        assert_eq!(
            sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).swap_bytes(),
            0xddf2
        );
    }
}
