//! Filters of scenarios, as people type them.
//!
//! A word is a scenario's name or a part of it; `tag:WORD` is a tag, `board:NAME` a board, `tier:smoke` and `tier:full` a tier. `!` before a word is
//! everything else, `&` both, `|` either, and parentheses group; `!` binds closest, then `&`. Of several filters one has to fit, and none that
//! begins with `!`.

use super::error::ProjectError;
use crate::board::Board;
use crate::scenario::{Scenario, Tier};

/// One word of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// The scenario of this name, whatever its tier.
    Exactly(String),
    /// Scenarios whose name contains this.
    Contains(String),
    /// Scenarios with this tag.
    Tag(String),
    /// Runs on this board.
    Board(String),
    /// Scenarios of this tier, whatever tier is meant otherwise.
    Tier(Tier),
}

/// What words say together.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    Word(Word),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

/// What an expression says of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fit {
    fits: bool,
    /// A word that fits asks for this scenario or its tier, so that it is meant whatever its tier.
    whatever_tier: bool,
}

/// What is meant, of all runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    wanted: Vec<Expression>,
    unwanted: Vec<Expression>,
}

impl Filter {
    /// Reads filters; `is_name` says whether there is a scenario of this name.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(super) fn read(
        filters: &[String],
        is_name: impl Fn(&str) -> bool,
    ) -> Result<Self, ProjectError> {
        let mut filter = Self::default();
        for text in filters {
            match expression(text, &is_name)? {
                Expression::Not(unwanted) => filter.unwanted.push(*unwanted),
                wanted => filter.wanted.push(wanted),
            }
        }
        Ok(filter)
    }

    /// Whether a run is meant; `is_usual` says whether it is when no filter asks for anything.
    pub(super) fn means(
        &self,
        scenario: &Scenario,
        board: &Board,
        tier: Tier,
        is_usual: bool,
    ) -> bool {
        if self.unwanted.iter().any(|e| e.of(scenario, board).fits) {
            return false;
        }
        let in_tier = scenario.tier <= tier;
        match &*self.wanted {
            [] => is_usual && in_tier,
            wanted => wanted.iter().any(|e| {
                let fit = e.of(scenario, board);
                fit.fits && (in_tier || fit.whatever_tier)
            }),
        }
    }
}

impl Expression {
    fn of(&self, scenario: &Scenario, board: &Board) -> Fit {
        match self {
            Self::Word(word) => word.of(scenario, board),
            Self::Not(inner) => Fit {
                fits: !inner.of(scenario, board).fits,
                whatever_tier: false,
            },
            Self::All(all) => all.iter().map(|e| e.of(scenario, board)).fold(
                Fit {
                    fits: true,
                    whatever_tier: false,
                },
                |a, b| Fit {
                    fits: a.fits && b.fits,
                    whatever_tier: a.whatever_tier || b.whatever_tier,
                },
            ),
            Self::Any(any) => any.iter().map(|e| e.of(scenario, board)).fold(
                Fit {
                    fits: false,
                    whatever_tier: false,
                },
                |a, b| Fit {
                    fits: a.fits || b.fits,
                    whatever_tier: a.whatever_tier || (b.fits && b.whatever_tier),
                },
            ),
        }
    }
}

impl Word {
    fn of(&self, scenario: &Scenario, board: &Board) -> Fit {
        let fits = match self {
            Self::Exactly(name) => scenario.name == name.as_str(),
            Self::Contains(part) => scenario.name.contains(part.as_str()),
            Self::Tag(tag) => scenario.tags.iter().any(|t| t == tag),
            Self::Board(name) => board.name == name.as_str(),
            Self::Tier(tier) => scenario.tier == *tier,
        };
        Fit {
            fits,
            whatever_tier: fits && matches!(self, Self::Exactly(_) | Self::Tier(_)),
        }
    }
}

/// Reads one filter.
fn expression(text: &str, is_name: &impl Fn(&str) -> bool) -> Result<Expression, ProjectError> {
    let mut reader = Reader {
        text,
        rest: text,
        is_name,
    };
    let expression = reader.any()?;
    match reader.peek() {
        None => Ok(expression),
        Some(c) => Err(reader.error(&format!("`{c}` does not belong here"))),
    }
}

/// What is left to read of a filter.
struct Reader<'a, F> {
    text: &'a str,
    rest: &'a str,
    is_name: &'a F,
}

impl<F: Fn(&str) -> bool> Reader<'_, F> {
    fn any(&mut self) -> Result<Expression, ProjectError> {
        let mut terms = vec![self.all()?];
        while self.take('|') {
            terms.push(self.all()?);
        }
        Ok(one_or(terms, Expression::Any))
    }

    fn all(&mut self) -> Result<Expression, ProjectError> {
        let mut terms = vec![self.not()?];
        while self.take('&') {
            terms.push(self.not()?);
        }
        Ok(one_or(terms, Expression::All))
    }

    fn not(&mut self) -> Result<Expression, ProjectError> {
        if self.take('!') {
            return Ok(Expression::Not(Box::new(self.not()?)));
        }
        if self.take('(') {
            let inner = self.any()?;
            return match self.take(')') {
                true => Ok(inner),
                false => Err(self.error("a parenthesis is not closed")),
            };
        }
        self.word().map(Expression::Word)
    }

    fn word(&mut self) -> Result<Word, ProjectError> {
        let is_word = |c: char| !c.is_whitespace() && !"&|!()".contains(c);
        let rest = self.rest.trim_start();
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let word = match word.split_once(':') {
            _ if word.is_empty() => {
                return Err(self.error("a name, a part of one or `tag:WORD` is missing"));
            }
            Some(("tag", tag)) => Word::Tag(tag.into()),
            Some(("board", board)) => Word::Board(board.into()),
            Some(("tier", "smoke")) => Word::Tier(Tier::Smoke),
            Some(("tier", "full")) => Word::Tier(Tier::Full),
            Some((kind, _)) => {
                return Err(self.error(&format!(
                    "`{kind}:` is not known; there is tag:WORD, board:NAME, tier:smoke and tier:full"
                )));
            }
            None if (self.is_name)(word) => Word::Exactly(word.into()),
            None => Word::Contains(word.into()),
        };
        self.rest = after;
        Ok(word)
    }

    fn peek(&self) -> Option<char> {
        self.rest.trim_start().chars().next()
    }

    fn take(&mut self, sign: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn error(&self, message: &str) -> ProjectError {
        let read = self.text.len() - self.rest.trim_start().len();
        ProjectError::Filter {
            text: self.text.into(),
            column: self.text.get(..read).map_or(0, |t| t.chars().count()) + 1,
            message: message.into(),
        }
    }
}

fn one_or(mut terms: Vec<Expression>, several: fn(Vec<Expression>) -> Expression) -> Expression {
    match (terms.pop(), terms.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            terms.extend(last);
            several(terms)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Expression, ProjectError> {
        expression(text, &|name| name == "mirror")
    }

    #[test]
    fn not_binds_closer_than_both_and_both_closer_than_either() {
        let grouped =
            ["a & !tag:b | c", "(a & (!tag:b)) | c", "a&!tag:b|c"].map(|t| read(t).unwrap());
        assert_eq!(grouped[0], grouped[1]);
        assert_eq!(grouped[0], grouped[2]);
        assert!(matches!(&grouped[0], Expression::Any(terms) if terms.len() == 2));
        assert_ne!(read("a & (b | c)").unwrap(), read("a & b | c").unwrap());
        assert_eq!(
            read("mirror").unwrap(),
            Expression::Word(Word::Exactly("mirror".into()))
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_column() {
        for (text, expected) in [
            ("", "column 1: a name"),
            ("a & ", "column 5: a name"),
            ("(a | b", "column 7: a parenthesis is not closed"),
            ("a b", "column 3: `b` does not belong here"),
            ("tga:x", "column 1: `tga:` is not known"),
            ("tier:some", "column 1: `tier:` is not known"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
