//! The `Range` request header: which bytes of a resource a client asks for (RFC 9110, section 14).

use std::ops::Range;

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All of it, with status 200.
    Whole,
    /// These bytes, with status 206. Never empty, never past the end.
    Part(Range<u64>),
    /// Nothing, with status 416.
    Unsatisfiable,
}

/// Reads a `Range` header for a resource of `length` bytes.
///
/// Other units, several ranges and malformed headers select everything: a server may ignore the header (section 14.2).
pub(crate) fn select(header: &str, length: u64) -> Selection {
    let Some((unit, set)) = header.split_once('=') else {
        return Selection::Whole;
    };
    let Some((first, last)) = set.trim().split_once('-') else {
        return Selection::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Selection::Whole;
    }
    let part = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Some(first), None) if last.is_empty() => first..length,
        (None, Some(suffix)) if first.is_empty() => length.saturating_sub(suffix)..length,
        _ => return Selection::Whole,
    };
    if part.is_empty() {
        Selection::Unsatisfiable
    } else {
        Selection::Part(part)
    }
}

/// A decimal number; one too large for 64 bits is past the end of everything.
fn number(digits: &str) -> Option<u64> {
    let decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    decimal.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_range_in_its_three_forms() {
        assert_eq!(select("bytes=0-0", 10), Selection::Part(0..1));
        assert_eq!(select("bytes=2-5", 10), Selection::Part(2..6));
        assert_eq!(select("Bytes=2-", 10), Selection::Part(2..10));
        assert_eq!(select("bytes=-3", 10), Selection::Part(7..10));
        assert_eq!(select("bytes=-30", 10), Selection::Part(0..10));
        assert_eq!(
            select("bytes=5-99999999999999999999999", 10),
            Selection::Part(5..10)
        );
    }

    #[test]
    fn nothing_to_send() {
        for header in [
            "bytes=10-",
            "bytes=10-12",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            assert_eq!(select(header, 10), Selection::Unsatisfiable, "{header}");
        }
        assert_eq!(select("bytes=0-", 0), Selection::Unsatisfiable);
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=+1-2",
            "bytes=a-b",
        ] {
            assert_eq!(select(header, 10), Selection::Whole, "{header}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_never_past_the_end(header in "(bytes=)?[0-9]{0,21}-?[0-9]{0,21}.{0,3}", length: u64) {
            if let Selection::Part(part) = select(&header, length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }
    }
}
