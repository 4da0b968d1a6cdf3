//! Numbers of `config.txt`.
//!
//! Source: raspberrypi/firmware issue 1669, where `force_turbo=1" other text` counts as 1: the firmware reads the digits that a value
//! begins with, as C's `strtol` with base 0, and passes over the rest. No digits are 0.

/// What `strtol` passes over in front of a number: the bytes of `isspace` in the C locale.
const SPACES: [char; 6] = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];

/// A number and nothing else: decimal, or hexadecimal with `0x`.
pub(super) fn parse_number(text: &str) -> Option<u32> {
    match leading(text)? {
        (number, "") => u32::try_from(number).ok(),
        _ => None,
    }
}

/// The number that `text` begins with, and what follows it; `None` when there is none.
pub(super) fn leading(text: &str) -> Option<(i64, &str)> {
    let text = text.trim_start_matches(SPACES);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let (radix, digits) = match hex.filter(|hex| hex.starts_with(|c: char| c.is_ascii_hexdigit())) {
        Some(hex) => (16, hex),
        None => (10, digits),
    };
    let end = digits.find(|c: char| !c.is_digit(radix));
    let (number, rest) = digits.split_at(end.unwrap_or(digits.len()));
    let number = match number {
        "" => return None,
        number => i64::from_str_radix(number, radix).unwrap_or(i64::MAX),
    };
    Some((sign * number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_in_front_count() {
        for (text, expected) in [
            ("1", Some((1, ""))),
            ("-2", Some((-2, ""))),
            ("0x10", Some((16, ""))),
            ("0x", Some((0, "x"))),
            ("250 MHz", Some((250, " MHz"))),
            ("1\" other text", Some((1, "\" other text"))),
            (" 16", Some((16, ""))),
            ("true", None),
            // A no-break space is a byte like any other.
            ("\u{a0}16", None),
            ("", None),
            ("-", None),
            ("99999999999999999999", Some((i64::MAX, ""))),
        ] {
            assert_eq!(leading(text), expected, "{text:?}");
        }
        assert_eq!(parse_number("13"), Some(13));
        assert_eq!((parse_number("13 "), parse_number("-1")), (None, None));
    }
}
