//! Words of a command line that a person can paste into a shell.

/// The word as a POSIX shell reads it back: in quotes where it has to be.
#[must_use]
pub fn word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_read_otherwise_is_quoted() {
        assert_eq!(word("out/rpi-3.img"), "out/rpi-3.img");
        assert_eq!(word("my image's.img"), r"'my image'\''s.img'");
        assert_eq!(word(""), "''");
    }
}
