//! Regular expressions for what a board said, that match when it says the same again: without numbers, which may be others then.

/// The longest part of a line that a pattern has, in characters.
const LONGEST: usize = 40;
/// The fewest letters that make a line different from others.
const FEWEST_LETTERS: usize = 4;

/// A pattern for a line; `None` if the line has too little that is its own.
pub(super) fn of_line(line: &str) -> Option<String> {
    let head: String = line
        .chars()
        .take(LONGEST)
        .take_while(|c| !c.is_ascii_digit() && (c.is_ascii_graphic() || *c == ' '))
        .collect();
    let head = head.trim_end();
    let letters = head.chars().filter(char::is_ascii_alphabetic).count();
    (letters >= FEWEST_LETTERS).then(|| format!("^{}", escaped(head)))
}

/// A pattern for a prompt: what is behind its last number. Blanks behind it may have been typed.
pub(super) fn of_prompt(prompt: &str) -> String {
    let is_of_name = |c: char| c.is_ascii_digit() || !(c.is_ascii_graphic() || c == ' ');
    let tail = prompt
        .trim_end()
        .rsplit(is_of_name)
        .next()
        .unwrap_or_default();
    let skipped = tail.chars().count().saturating_sub(LONGEST);
    let tail: String = tail.chars().skip(skipped).collect();
    match tail.trim().is_empty() {
        true => r"\S *$".into(),
        false => format!("{} *$", escaped(&tail)),
    }
}

/// Escapes what has a meaning in a regular expression, and nothing else: people read it.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
