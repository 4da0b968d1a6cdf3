//! Words of a command line that a person can paste into a shell.

use std::fmt;

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

/// One of our own commands, as it is typed here: behind `cargo xtask` in a clone of ours, else behind the installed program's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OurCommand(
    /// The words behind the program's name, for example `fixtures fetch`.
    pub &'static str,
);

/// How the program that runs is called: `cargo xtask` when cargo started it, else `shakedown`.
///
/// Source: the Cargo book, "Environment variables cargo sets for crates": `cargo run` and `cargo test` set `CARGO`.
#[must_use]
pub fn program() -> &'static str {
    match std::env::var_os("CARGO") {
        Some(_) => "cargo xtask",
        None => "shakedown",
    }
}

impl fmt::Display for OurCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", program(), self.0)
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
