//! What most lines of a log begin with, when no tool that is known writes it.

/// Lines that are looked at.
const SAMPLE: usize = 200;
/// The longest prefix, in pieces.
const LONGEST: usize = 32;

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'l> {
    Digits,
    Spaces,
    /// The name of a month or of a day.
    DateWord,
    Word(&'l str),
    Sign(char),
}

/// The form that most lines begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prefix<'l> {
    pieces: Vec<Piece<'l>>,
    /// The prefix of the first line that has it.
    pub(super) example: &'l str,
}

impl<'l> Prefix<'l> {
    /// The form that three of four lines begin with: constant text, or digits at the same places.
    pub(super) fn of(lines: impl Iterator<Item = &'l str>) -> Option<Self> {
        let lines: Vec<&str> = lines
            .filter(|l| !l.trim().is_empty())
            .take(SAMPLE)
            .collect();
        let mut split: Vec<Vec<(Piece<'l>, usize)>> = lines.iter().map(|l| pieces(l)).collect();
        let enough = |count: usize| lines.len() >= 4 && 4 * count >= 3 * lines.len();
        let mut form: Vec<Piece<'l>> = Vec::new();
        for place in 0..LONGEST {
            let at =
                |line: &Vec<(Piece<'l>, usize)>| line.get(place).map(|(piece, _)| piece.clone());
            let candidates: Vec<Piece<'l>> = split.iter().filter_map(at).collect();
            let count = |piece: &Piece<'l>| candidates.iter().filter(|c| *c == piece).count();
            let Some(best) = candidates.iter().max_by_key(|piece| count(piece)) else {
                break;
            };
            if !enough(count(best)) {
                break;
            }
            split.retain(|line| at(line).as_ref() == Some(best));
            form.push(best.clone());
        }
        let ends =
            |piece: &Piece<'_>| matches!(piece, Piece::Spaces | Piece::Sign(']' | ')' | '>' | '|'));
        let end = form.iter().rposition(ends)? + 1;
        // Stamps of the kernel belong to what it says.
        let end = kernel_stamp(form.get(..end)?).unwrap_or(end);
        form.truncate(end);
        let digits = form.iter().filter(|p| **p == Piece::Digits).count();
        let words = form.iter().filter(|p| matches!(p, Piece::Word(_))).count();
        if words == 0 && (digits == 0 || form.len() < 3) {
            return None;
        }
        let mut prefix = Self {
            pieces: form,
            example: "",
        };
        prefix.example = lines.iter().find_map(|line| {
            let rest = prefix.strip(line).filter(|rest| !rest.is_empty())?;
            line.get(..line.len() - rest.len())
        })?;
        Some(prefix)
    }

    /// A line without the prefix; `None` if it begins otherwise.
    pub(super) fn strip<'t>(&self, line: &'t str) -> Option<&'t str> {
        let mut found = pieces(line).into_iter().peekable();
        let mut end = 0;
        for wanted in &self.pieces {
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

/// Where the kernel's stamp begins in a form.
fn kernel_stamp(form: &[Piece<'_>]) -> Option<usize> {
    let is_stamp = |window: &[Piece<'_>]| {
        use Piece::{Digits, Sign, Spaces};
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
            (run(char::is_alphabetic), |word| match is_date_word(word) {
                true => Piece::DateWord,
                false => Piece::Word(word),
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
        ] {
            let log: Vec<_> = BOOT
                .iter()
                .zip([first, second].iter().cycle())
                .map(|(line, prefix)| format!("{prefix}{line}"))
                .collect();
            let prefix = Prefix::of(log.iter().map(String::as_str)).unwrap();
            assert_eq!(prefix.example, first);
            let stripped: Vec<_> = log.iter().map(|l| prefix.strip(l).unwrap()).collect();
            assert_eq!(stripped, BOOT);
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
    }
}
