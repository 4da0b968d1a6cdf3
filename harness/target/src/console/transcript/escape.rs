//! Escape sequences taken out of a log's text before it is looked at: a recorder may colour its stamps, and put marks around them that no
//! terminal shows.
//!
//! Source: ECMA-48, sections 5.4 (control sequences) and 5.6 (strings). A string ends with its line at the latest, see `clean`.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

static SEQUENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let control = r"\[[0-?]*[ -/]*[@-~]";
    let string = r"[\]_^XP][^\x07\x1b\r\n]*(?:\x07|\x1b\\)?";
    let short = r"[ -/]*[0-OQ-WYZ\\`-~]";
    Regex::new(&format!(r"\x1b(?:{control}|{string}|{short})")).ok()
});

/// The text without its escape sequences.
pub(super) fn without_sequences(text: &str) -> Cow<'_, str> {
    let sequence = SEQUENCE.as_ref();
    sequence.map_or(text.into(), |sequence| sequence.replace_all(text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_does_not_show_goes() {
        for (text, plain) in [
            ("plain\r\n", "plain\r\n"),
            ("\x1b_bk;t=1777881600000\x07U-Boot", "U-Boot"),
            (
                "\x1b[32m[10:00:00]\x1b[0m U-Boot\x1b[K",
                "[10:00:00] U-Boot",
            ),
            ("\x1b]0;title\x1b\\\x1b7\x1b(BU-Boot", "U-Boot"),
            ("a\x1bPnever ended\r\nU-Boot", "a\r\nU-Boot"),
            ("a\x1b]0;never ended\nU-Boot", "a\nU-Boot"),
        ] {
            assert_eq!(without_sequences(text), plain);
        }
    }
}
