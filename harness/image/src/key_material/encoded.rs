//! Bytes that stand in a file as digits: hex with or without separators, base64 with or without line ends.

/// Bytes that were written as digits.
pub(super) struct Run {
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    /// Where the first digit of each of them is.
    pub(super) places: Vec<usize>,
}

/// The meaning of every run of at least `shortest` hex digits in `text`. Digits may be separated by colons, hyphens and white space.
/// Where a run begins is not certain, since letters in front of it may be digits too, so each is read twice.
pub(super) fn decoded_hex(text: &[u8], shortest: usize) -> impl Iterator<Item = Run> {
    let is_separator = |byte: u8| matches!(byte, b':' | b'-') || byte.is_ascii_whitespace();
    let runs = runs(
        text,
        shortest,
        |byte| char::from(byte).to_digit(16),
        is_separator,
    );
    runs.flat_map(|digits| {
        (0..2).map(move |skip| decoded(digits.get(skip..).unwrap_or_default(), 4))
    })
}

/// The same of base64. Each run is read four times.
pub(super) fn decoded_base64(text: &[u8], shortest: usize) -> impl Iterator<Item = Run> {
    let value = |byte: u8| {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        Some(u32::from(value))
    };
    let runs = runs(text, shortest, value, |byte| byte.is_ascii_whitespace());
    runs.flat_map(|digits| {
        (0..4).map(move |skip| decoded(digits.get(skip..).unwrap_or_default(), 6))
    })
}

/// A digit and its place.
type Digit = (usize, u32);

/// Runs of digits, of which at least `shortest` are needed. More than one separator between two digits, other than the line ends that
/// text of two systems has, ends a run.
fn runs<V, S>(
    text: &[u8],
    shortest: usize,
    value: V,
    is_separator: S,
) -> impl Iterator<Item = std::rc::Rc<[Digit]>>
where
    V: Fn(u8) -> Option<u32>,
    S: Fn(u8) -> bool,
{
    /// White space in front of the next line of a PEM file within another one.
    const MOST_SEPARATORS: usize = 16;
    let mut bytes = text.iter().copied().enumerate();
    std::iter::from_fn(move || {
        loop {
            let mut digits = Vec::new();
            let mut separators = 0;
            let mut has_ended = true;
            for (place, byte) in bytes.by_ref() {
                if let Some(value) = value(byte) {
                    digits.push((place, value));
                    separators = 0;
                } else if is_separator(byte) && !digits.is_empty() && separators < MOST_SEPARATORS {
                    separators += 1;
                } else {
                    has_ended = false;
                    break;
                }
            }
            if digits.len() >= shortest {
                return Some(digits.into());
            }
            if has_ended {
                return None;
            }
        }
    })
}

/// The bytes that digits of `bits` bits each make.
fn decoded(digits: &[Digit], bits: u32) -> Run {
    let mut run = Run {
        bytes: Vec::new(),
        places: Vec::new(),
    };
    let (mut value, mut have, mut start) = (0_u32, 0, None);
    for (place, digit) in digits {
        let first = *start.get_or_insert(*place);
        value = value << bits | digit;
        have += bits;
        if have >= 8 {
            have -= 8;
            run.bytes.push((value >> have) as u8);
            run.places.push(first);
            value &= (1 << have) - 1;
            start = (have > 0).then_some(*place);
        }
    }
    run
}
