//! The syntax of iPXE's scripts, as far as it can be read without running them.
//!
//! A line is split into words at white space. A word that begins with `#` begins a comment; `||`, `&&` and `;` stand between two
//! commands; a word with a colon in front is a label, behind which a command may follow; a backslash at the end goes on in the next line.
//! There are no quotes. What a setting such as `${url}` stands for is known only when the script runs. Source: iPXE,
//! src/image/script.c and src/core/exec.c.

/// Words between two commands of a line.
const SEPARATORS: [&str; 3] = ["||", "&&", ";"];

/// Those behind which the script goes on after a command that has failed: without one, it ends.
const CATCHES: [&str; 2] = ["||", ";"];

/// One command of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    /// The line that it begins in, from 1.
    pub(super) line: usize,
    /// Its words; at least one.
    pub(super) words: Vec<String>,
    /// If it fails, another command of its line follows, or nothing: the script goes on.
    pub(super) is_caught: bool,
}

impl Command {
    /// The command.
    pub(super) fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// With what.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(1).map(String::as_str)
    }
}

/// The commands of a script, in its order.
pub(super) fn commands(text: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut lines = (1..).zip(text.split('\n'));
    while let Some((line, first)) = lines.next() {
        let mut whole = first.to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            match lines.next() {
                Some((_, next)) => whole.push_str(next),
                None => break,
            }
        }
        let words = whole.split_whitespace();
        let words = words.take_while(|word| !word.starts_with('#'));
        let words = words.enumerate();
        let words = words.filter(|(index, word)| *index > 0 || !word.starts_with(':'));
        let words: Vec<&str> = words.map(|(_, word)| word).collect();
        let mut rest = words.as_slice();
        for part in words.split(|word| SEPARATORS.contains(word)) {
            rest = rest.get(part.len()..).unwrap_or_default();
            if !part.is_empty() {
                commands.push(Command {
                    line,
                    words: part.iter().map(|word| (*word).to_owned()).collect(),
                    is_caught: rest.iter().any(|word| CATCHES.contains(word)),
                });
            }
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    commands
}

/// The labels of a script.
pub(super) fn labels(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n')
        .filter_map(|line| line.split_whitespace().next()?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, String)> {
        let commands = commands(text).into_iter();
        commands.map(|c| (c.line, c.words.join(" "))).collect()
    }

    fn expected(commands: &[(usize, &str)]) -> Vec<(usize, String)> {
        let commands = commands.iter();
        commands
            .map(|(line, text)| (*line, (*text).to_owned()))
            .collect()
    }

    #[test]
    fn a_line_has_several_commands() {
        let all = [(1, "ifopen"), (1, "ntp x"), (1, "goto a"), (1, "echo b")];
        assert_eq!(read("ifopen && ntp x || goto a ; echo b"), expected(&all));
        assert_eq!(read("ntp x ||"), expected(&[(1, "ntp x")]));
        assert_eq!(read("echo a||b"), expected(&[(1, "echo a||b")]));
    }

    #[test]
    fn a_failure_is_caught_by_what_follows_in_the_line() {
        let caught = |text: &str| {
            let commands = commands(text).into_iter();
            commands
                .map(|command| command.is_caught)
                .collect::<Vec<_>>()
        };
        assert_eq!(caught("dhcp"), [false]);
        assert_eq!(caught("dhcp ||"), [true]);
        assert_eq!(caught("ifopen && dhcp || goto a"), [true, true, false]);
        assert_eq!(caught("dhcp ; chain x && boot"), [true, false, false]);
        let found: Vec<_> = labels("#!ipxe\n:a\n  :b echo\necho :c\n").collect();
        assert_eq!(found, ["a", "b"]);
    }

    #[test]
    fn labels_comments_and_continued_lines() {
        let text = "#!ipxe\n:start ntp x\n  : \n:end\necho a # ntp y\nset \\\r\n x\nset a \\\n  b \\\n# c\nexit";
        let all = [
            (2, "ntp x"),
            (5, "echo a"),
            (6, "set \\"),
            (7, "x"),
            (8, "set a b"),
            (11, "exit"),
        ];
        assert_eq!(read(text), expected(&all));
        assert_eq!(read("echo x\\"), expected(&[(1, "echo x")]));
        assert_eq!(read(""), expected(&[]));
    }
}
