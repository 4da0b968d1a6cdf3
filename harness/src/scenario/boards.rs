//! Which boards a scenario is run on: those that it names, or all that can do what it needs.

use std::collections::BTreeSet;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::board::{Board, Capability};
use crate::input::{BoardName, Document, InputError, Span};

/// `boards`: names of boards, or `"all"`.
#[derive(Debug)]
pub(super) enum BoardsKey {
    All,
    Named(Vec<Span<BoardName>>),
}

/// A board that lacks what a scenario needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lacking {
    /// The board.
    pub board: BoardName,
    /// What it lacks.
    pub capability: Capability,
    /// Why.
    pub because: String,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lacks {}: {}",
            self.board, self.capability, self.because
        )
    }
}

impl BoardsKey {
    /// The boards that are meant, and those of all boards that lack something.
    ///
    /// # Errors
    /// There is no board of a name, or one that is named lacks something.
    pub(super) fn choose<'b>(
        &self,
        needs: &BTreeSet<Capability>,
        boards: &'b [Board],
        document: &Document,
    ) -> Result<(Vec<&'b Board>, Vec<Lacking>), InputError> {
        let mut chosen = Vec::new();
        let Self::Named(names) = self else {
            let mut lacking = Vec::new();
            for board in boards {
                match first_lack(board, needs) {
                    Some(lack) => lacking.push(lack),
                    None => chosen.push(board),
                }
            }
            // Where one is wanted, it is one of those that are always tried.
            chosen.sort_by_key(|board| board.tier);
            return Ok((chosen, lacking));
        };
        for name in names {
            let Some(board) = boards.iter().find(|b| &b.name == name.get_ref()) else {
                let known: Vec<_> = boards.iter().map(|b| b.name.as_str()).collect();
                let message = format!(
                    "there is no board \"{}\"; there is: {}",
                    name.get_ref(),
                    known.join(", ")
                );
                return Err(document.error_at(name.span(), &message));
            };
            if let Some(lack) = first_lack(board, needs) {
                let message = format!("{lack}; leave the board out, or the need");
                return Err(document.error_at(name.span(), &message));
            }
            chosen.push(board);
        }
        Ok((chosen, Vec::new()))
    }
}

fn first_lack(board: &Board, needs: &BTreeSet<Capability>) -> Option<Lacking> {
    let lack = |need: &Capability| {
        board.lacks.get(need).map(|because| Lacking {
            board: board.name.clone(),
            capability: *need,
            because: because.clone(),
        })
    };
    needs.iter().find_map(lack)
}

impl<'de> Deserialize<'de> for BoardsKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Boards;
        impl<'de> Visitor<'de> for Boards {
            type Value = BoardsKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names of boards, or \"all\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<BoardsKey, E> {
                match text {
                    "all" => Ok(BoardsKey::All),
                    other => Err(E::custom(format!(
                        "\"{other}\" is neither \"all\" nor a list; write boards = [\"{other}\"]"
                    ))),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<BoardsKey, A::Error> {
                let mut named = Vec::new();
                while let Some(name) = names.next_element()? {
                    named.push(name);
                }
                Ok(BoardsKey::Named(named))
            }
        }
        deserializer.deserialize_any(Boards)
    }
}

impl JsonSchema for BoardsKey {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Boards".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = generator.subschema_for::<Vec<BoardName>>();
        json_schema!({ "anyOf": [{ "const": "all" }, names] })
    }
}
