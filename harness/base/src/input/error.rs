//! What can be wrong with a file that somebody wrote.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// An input file that cannot be used, and where it is wrong.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file was read and says something wrong.
    #[error("{0}")]
    Wrong(Box<Place>),
}

/// A place in a file and what is wrong there. Its text form shows the line with a marker below the place.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    line: usize,
    column: usize,
    width: usize,
    text: String,
    message: String,
}

impl InputError {
    pub(super) fn at(path: &Path, text: &str, span: Range<usize>, message: &str) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line_text = text
            .get(line_start..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default();
        let column = before.get(line_start..).unwrap_or_default().chars().count();
        let marked = text
            .get(span)
            .and_then(|s| s.lines().next())
            .map_or(1, |s| s.chars().count());
        Self::Wrong(Box::new(Place {
            path: path.into(),
            line: before.matches('\n').count() + 1,
            column: column + 1,
            width: marked.max(1),
            text: line_text.into(),
            message: message.into(),
        }))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            column,
            width,
            text,
            message,
        } = self;
        writeln!(f, "{}:{line}:{column}: {message}", path.display())?;
        writeln!(f, "  | {text}")?;
        write!(f, "  | {:pad$}{}", "", "^".repeat(*width), pad = column - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_the_line_and_marks_the_place() {
        let text = "title = \"x\"\nbudget = \"soon\"\n";
        let error = InputError::at(Path::new("b.toml"), text, 21..27, "not a duration");
        insta::assert_snapshot!(error, @r#"
        b.toml:2:10: not a duration
          | budget = "soon"
          |          ^^^^^^
        "#);
    }

    #[test]
    fn a_place_outside_the_text_is_still_an_error_message() {
        let error = InputError::at(Path::new("b.toml"), "", 7..9, "empty");
        assert!(error.to_string().starts_with("b.toml:1:1: empty"));
    }
}
