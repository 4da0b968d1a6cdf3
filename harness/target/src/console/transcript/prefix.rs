//! What most lines of a log begin with, when no tool that is known writes it.

/// Lines that are looked at.
const SAMPLE: usize = 200;
/// The longest prefix, in pieces; of marks, in characters.
const LONGEST: usize = 32;

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'l> {
    Digits,
    Spaces,
    /// The name of a month or of a day.
    DateWord,
    /// How much a program's message matters.
    Level,
    Word(&'l str),
    Sign(char),
}

/// The form that most lines begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prefix<'l> {
    form: Form<'l>,
    /// The prefix of the first line that has it.
    pub(super) example: &'l str,
}

#[derive(Debug, PartialEq, Eq)]
enum Form<'l> {
    Pieces(Vec<Piece<'l>>),
    /// The same characters before each line, for example an indent or the mark of a quotation.
    Marks(&'l str),
}

impl<'l> Prefix<'l> {
    /// The form that three of four lines begin with: constant text, or digits at the same places.
    pub(super) fn of(lines: impl Iterator<Item = &'l str>) -> Option<Self> {
        let lines: Vec<&str> = lines
            .filter(|l| !l.trim().is_empty())
            .take(SAMPLE)
            .collect();
        let pieces = common(&lines).and_then(|form| is_prefix(&form, &lines).then_some(form));
        let form = match pieces {
            Some(form) => Form::Pieces(form),
            None => Form::Marks(marks(&lines)?),
        };
        let mut prefix = Self { form, example: "" };
        prefix.example = lines.iter().find_map(|line| {
            let rest = prefix.strip(line).filter(|rest| !rest.is_empty())?;
            line.get(..line.len() - rest.len())
        })?;
        Some(prefix)
    }

    /// A line without the prefix; `None` if it begins otherwise.
    pub(super) fn strip<'t>(&self, line: &'t str) -> Option<&'t str> {
        let form = match &self.form {
            Form::Pieces(form) => form,
            // The spaces at the end of an empty line may have been cut.
            Form::Marks(marks) if line == marks.trim_end() => return Some(""),
            Form::Marks(marks) => return line.strip_prefix(marks),
        };
        let mut found = pieces(line).into_iter().peekable();
        let mut end = 0;
        for wanted in form {
            match found.peek() {
                Some((piece, after)) if piece == wanted => {
                    end = *after;
                    found.next();
                }
                // A number that is wide enough has no spaces before it.
                Some(_) if *wanted == Piece::Spaces => {}
                // The spaces at the end of an empty line may have been cut.
                None if end > 0 && end == line.len() => break,
                _ => return None,
            }
        }
        line.get(end..)
    }
}

/// Whether so many of the lines are most of them.
fn is_most(count: usize, lines: &[&str]) -> bool {
    lines.len() >= 4 && 4 * count >= 3 * lines.len()
}

/// The pieces that most lines begin with, as far as a prefix may go.
fn common<'l>(lines: &[&'l str]) -> Option<Vec<Piece<'l>>> {
    let mut split: Vec<Vec<(Piece<'l>, usize)>> = lines.iter().map(|l| pieces(l)).collect();
    let mut form: Vec<Piece<'l>> = Vec::new();
    for place in 0..LONGEST {
        let at = |line: &Vec<(Piece<'l>, usize)>| line.get(place).map(|(piece, _)| piece.clone());
        let candidates: Vec<Piece<'l>> = split.iter().filter_map(at).collect();
        let count = |piece: &Piece<'l>| candidates.iter().filter(|c| *c == piece).count();
        let Some(best) = candidates.iter().max_by_key(|piece| count(piece)) else {
            break;
        };
        if !is_most(count(best), lines) {
            break;
        }
        split.retain(|line| at(line).as_ref() == Some(best));
        form.push(best.clone());
    }
    // Stamps of the kernel belong to what it says.
    form.truncate(kernel_stamp(&form).unwrap_or(form.len()));
    let ends =
        |piece: &Piece<'_>| matches!(piece, Piece::Spaces | Piece::Sign(']' | ')' | '>' | '|'));
    if form.last() != Some(&Piece::Sign(':')) {
        form.truncate(form.iter().rposition(ends)? + 1);
    }
    Some(form)
}

/// Whether a form is more than chance: it has a word in it, or digits among other pieces, or it numbers the lines.
fn is_prefix(form: &[Piece<'_>], lines: &[&str]) -> bool {
    let is_word = |piece: &Piece<'_>| matches!(piece, Piece::Word(_) | Piece::Level);
    match form {
        [Piece::Digits, _] => are_numbered(lines),
        // Trusted Firmware says so itself.
        [Piece::Level, Piece::Sign(':'), Piece::Spaces, ..] => false,
        _ => form.iter().any(is_word) || form.len() >= 3 && form.contains(&Piece::Digits),
    }
}

/// Whether most lines begin with a number larger than that of the line before.
fn are_numbered(lines: &[&str]) -> bool {
    let number = |line: &&str| {
        let end = line
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(line.len());
        line.get(..end)?.parse::<u64>().ok()
    };
    let numbers: Vec<u64> = lines.iter().filter_map(number).collect();
    is_most(numbers.len(), lines) && numbers.is_sorted_by(|a, b| a < b)
}

/// The longest run of signs and spaces that most lines begin with. Brackets do not count as signs here: they open what a board says.
fn marks<'l>(lines: &[&'l str]) -> Option<&'l str> {
    const MARKS: [char; 16] = [
        ' ', '\t', '>', '+', '|', '#', '*', '-', '=', ':', ';', '!', '/', '%', '$', '~',
    ];
    let run = |line: &&'l str| {
        let end = line.find(|c| !MARKS.contains(&c)).unwrap_or(line.len());
        line.get(..end.min(LONGEST))
    };
    let mut runs: Vec<&str> = lines
        .iter()
        .filter_map(run)
        .filter(|r| !r.is_empty())
        .collect();
    runs.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    runs.dedup();
    let has = |run: &str| lines.iter().filter(|line| line.starts_with(run)).count();
    runs.into_iter().find(|run| is_most(has(run), lines))
}

/// Where the kernel's stamp begins in a form.
fn kernel_stamp(form: &[Piece<'_>]) -> Option<usize> {
    let is_stamp = |window: &[Piece<'_>]| {
        use Piece::{Digits, Sign, Spaces};
        if window.first() == Some(&Spaces) {
            return false;
        }
        let window: Vec<_> = window.iter().filter(|p| **p != Spaces).collect();
        matches!(
            window.as_slice(),
            [Sign('['), Digits, Sign('.'), Digits, Sign(']'), ..]
        )
    };
    (0..form.len()).find(|start| form.get(*start..).is_some_and(is_stamp))
}

/// The pieces of a line's beginning, each with the byte after it.
fn pieces(line: &str) -> Vec<(Piece<'_>, usize)> {
    let mut out = Vec::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if out.len() > LONGEST {
            break;
        }
        let run = |is: fn(char) -> bool| rest.find(|c| !is(c)).unwrap_or(rest.len());
        let (length, piece): (usize, fn(&str) -> Piece<'_>) = if c.is_ascii_digit() {
            (run(|c| c.is_ascii_digit()), |_| Piece::Digits)
        } else if c == ' ' || c == '\t' {
            (run(|c| c == ' ' || c == '\t'), |_| Piece::Spaces)
        } else if c.is_alphabetic() {
            (run(char::is_alphabetic), |word| match word {
                _ if is_date_word(word) => Piece::DateWord,
                _ if is_level(word) => Piece::Level,
                _ => Piece::Word(word),
            })
        } else {
            (c.len_utf8(), |sign| {
                Piece::Sign(sign.chars().next().unwrap_or(' '))
            })
        };
        let (head, tail) = rest.split_at(length);
        rest = tail;
        out.push((piece(head), line.len() - tail.len()));
    }
    out
}

fn is_date_word(word: &str) -> bool {
    const NAMES: [&str; 19] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "mon",
        "tue", "wed", "thu", "fri", "sat", "sun",
    ];
    let short = word.get(..3).unwrap_or_default().to_ascii_lowercase();
    word.len() <= 9 && NAMES.contains(&short.as_str())
}

/// Whether a word is a level as loggers write it.
fn is_level(word: &str) -> bool {
    const NAMES: [&str; 10] = [
        "TRACE", "DEBUG", "VERBOSE", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "CRITICAL",
        "FATAL",
    ];
    NAMES.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: [&str; 6] = [
        "U-Boot 2025.01-3 (Jan 01 2025 - 00:00:00 +0000)",
        "DRAM:  948 MiB",
        "Hit any key to stop autoboot:  0 ",
        "iPXE initialising devices...",
        "[    0.000000] Booting Linux on physical CPU 0x0",
        "NAME=\"Alpine Linux\"",
    ];

    #[test]
    fn whatever_stands_before_every_line_is_found() {
        for (first, second) in [
            ("4/5/26 10.00.01 | ", "4/5/26 10.00.12 | "),
            ("rpi3b: ", "rpi3b: "),
            ("#0001 <ttyUSB0> ", "#0002 <ttyUSB0> "),
            ("04-May-2026 10h00m01 ", "05-Jun-2026 10h00m12 "),
            ("[    INFO] ", "[   DEBUG] "),
            ("    ", "    "),
            ("\t", "\t"),
            ("> ", "> "),
            ("+", "+"),
            ("board.log:", "board.log:"),
        ] {
            assert_strips(|n| [first, second][n % 2].to_owned());
        }
    }

    #[test]
    fn numbers_of_lines_are_found() {
        assert_strips(|n| format!("{}:", 7 + n));
        assert_strips(|n| format!("{}\t", 7 + n));
        assert_strips(|n| format!("{})", 7 + n));
        assert_strips(|n| format!("{:6}\t", 7 + n));
        assert_strips(|n| format!("board.log:{}:", 7 + n));
    }

    /// With a prefix of its number before each line, each line is found again.
    fn assert_strips(prefix: impl Fn(usize) -> String) {
        let log = BOOT.iter().enumerate();
        let log: Vec<_> = log.map(|(n, line)| prefix(n) + line).collect();
        let found = Prefix::of(log.iter().map(String::as_str)).expect(&log[0]);
        assert_eq!(found.example, prefix(0));
        let stripped: Vec<_> = log.iter().map(|l| found.strip(l).unwrap()).collect();
        assert_eq!(stripped, BOOT);
    }

    #[test]
    fn an_indent_is_that_of_most_lines() {
        let log = ["    a", "      b", "    c", "", "    d", "e"];
        let prefix = Prefix::of(log.into_iter()).unwrap();
        let stripped = log.map(|line| prefix.strip(line));
        assert_eq!(
            stripped,
            [Some("a"), Some("  b"), Some("c"), Some(""), Some("d"), None]
        );
    }

    #[test]
    fn a_kernel_keeps_its_stamps_behind_marks() {
        for mark in ["> ", "+", "    ", "12 ", "rpi: "] {
            let log = [0, 1, 2, 3, 4].map(|n| format!("{mark}[    {n}.000000] x"));
            let prefix = Prefix::of(log.iter().map(String::as_str));
            let stripped = prefix.and_then(|p| p.strip(&log[1]));
            let wanted = (mark != "12 ").then_some("[    1.000000] x");
            assert_eq!(stripped, wanted, "{mark:?}");
        }
    }

    #[test]
    fn a_log_without_prefix_has_none() {
        assert_eq!(Prefix::of(BOOT.into_iter()), None);
        let kernel = [
            "[    0.000000] a",
            "[    0.100000] b",
            "[   10.000000] c",
            "[   11.000000] d",
        ];
        assert_eq!(Prefix::of(kernel.into_iter()), None);
        let firmware = [
            "NOTICE:  BL1: v2.12",
            "NOTICE:  BL1: built",
            "INFO:    BL1: RAM",
            "ERROR:   BL2: no image",
        ];
        assert_eq!(Prefix::of(firmware.into_iter()), None);
    }
}
