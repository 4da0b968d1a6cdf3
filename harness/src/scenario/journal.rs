//! The tables `[[journal]]`: what the servers must have seen when the run has ended.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Deserialize;

use super::NamedBoard;
use crate::input::{ByteSize, Document, InputError, Pattern, Span};
use crate::timeline::{BoardId, Event, Record, RequestEvent, ServiceId};

/// How many requests a violated assertion shows.
const SHOWN: usize = 20;

/// A statement about the requests of a run.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// What it states, in words.
    pub name: String,
    /// File and line.
    place: String,
    selection: Selection,
    at_least: usize,
    at_most: usize,
    /// The assertion whose first request must be before the first of this one's.
    after: Option<Selection>,
}

/// Which requests are meant; what is not given does not matter.
#[derive(Debug, Clone)]
struct Selection {
    service: ServiceId,
    board: Option<BoardId>,
    /// Counted from 0.
    boot: Option<u32>,
    host: Option<String>,
    method: Option<Method>,
    target: Option<Pattern>,
    status: Option<u16>,
    complete: Option<bool>,
    offset_at_least: Option<ByteSize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    /// A file read by TFTP.
    Rrq,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AssertionTable {
    /// What it states, in words that follow "the journal does not show that". Scenarios of the first version write `says`.
    #[serde(alias = "says")]
    #[schemars(with = "String")]
    name: Span<String>,
    service: ServiceId,
    /// Only requests of this board count, by its name in `[board.NAME]`; only where there are several.
    #[schemars(with = "Option<BoardId>")]
    board: Option<Span<BoardId>>,
    /// Only requests of this boot count, counted from 1; of several boards `board` says whose.
    #[schemars(with = "Option<u32>", range(min = 1))]
    boot: Option<Span<u32>>,
    host: Option<String>,
    method: Option<Method>,
    target: Option<Pattern>,
    status: Option<u16>,
    complete: Option<bool>,
    offset_at_least: Option<ByteSize>,
    exactly: Option<usize>,
    #[schemars(with = "Option<usize>")]
    at_least: Option<Span<usize>>,
    at_most: Option<usize>,
    #[schemars(with = "Option<String>")]
    after: Option<Span<String>>,
}

/// A board of a run, of which a statement may be: its name, `None` where a run has one, and how many boots it has.
pub(super) type BootsOfBoard = (Option<BoardId>, u32);

/// Why a board with so many boots does not have another one, and what to do.
pub(super) fn no_such_boot(boots: u32) -> String {
    match boots {
        0 | 1 => {
            "the board has one boot: leave `boot` out, or switch it on again in a [[step]]".into()
        }
        boots => format!("the board has {boots} boots: say 1 to {boots}"),
    }
}

impl Assertion {
    /// Checks what the types cannot, against the boards of a run.
    pub(super) fn read_all(
        tables: Vec<AssertionTable>,
        boards: &[BootsOfBoard],
        document: &Document,
    ) -> Result<Vec<Self>, InputError> {
        let mut all: Vec<Self> = Vec::new();
        for table in tables {
            let assertion = table.check(&all, boards, document)?;
            all.push(assertion);
        }
        Ok(all)
    }

    /// The service whose requests it is about.
    #[must_use]
    pub fn service(&self) -> ServiceId {
        self.selection.service
    }

    /// Says why the assertion does not hold for what happened, with the requests that were seen.
    #[must_use]
    pub fn violation(&self, records: &[Record]) -> Option<String> {
        let selected = |selection: &Selection| -> Vec<&Record> {
            let meant = |r: &&Record| {
                selection.is_of(r) && request(r).is_some_and(|request| selection.means(request))
            };
            records.iter().filter(meant).collect()
        };
        let found = selected(&self.selection);
        let mut seen = found.clone();
        let problem = if !(self.at_least..=self.at_most).contains(&found.len()) {
            format!("{} such requests instead of {}", found.len(), self.wanted())
        } else {
            let earlier = self.after.as_ref().map(selected)?;
            match (earlier.first(), found.first()) {
                (_, None) => return None,
                (Some(earlier), Some(first)) if earlier.at <= first.at => return None,
                _ => {
                    seen.extend(earlier);
                    "it came too early".to_owned()
                }
            }
        };
        if seen.is_empty() {
            // What came instead.
            let of_service = |r: &&Record| {
                request(r).is_some_and(|request| request.service == self.selection.service)
            };
            seen = records.iter().filter(of_service).collect();
        }
        seen.sort_by_key(|record| record.at);
        Some(self.describe(&problem, &seen))
    }

    fn describe(&self, problem: &str, seen: &[&Record]) -> String {
        let service = self.selection.service.name();
        let mut text = format!(
            "the journal does not show that {}: {problem} ({}); the {service} server saw",
            self.name, self.place
        );
        if seen.is_empty() {
            text += " nothing";
        }
        for record in seen.iter().take(SHOWN) {
            if let Some(request) = request(record) {
                // Writing to a string cannot fail.
                let _ = write!(text, "\n    [{:8.2}] ", record.at.as_secs_f64());
                if let Some(board) = &record.board {
                    let _ = write!(text, "{board}: ");
                }
                if record.boot > 0 {
                    let _ = write!(text, "boot {}: ", record.boot + 1);
                }
                let _ = write!(text, "{request}");
            }
        }
        if let Some(more) = seen.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let _ = write!(text, "\n    and {more} more");
        }
        text
    }

    fn wanted(&self) -> String {
        match (self.at_least, self.at_most) {
            (least, most) if least == most => format!("exactly {least}"),
            (least, usize::MAX) => format!("at least {least}"),
            (0, most) => format!("at most {most}"),
            (least, most) => format!("{least} to {most}"),
        }
    }
}

impl AssertionTable {
    /// Looks whether there is the board, and the boot of it.
    fn check_boot(&self, boards: &[BootsOfBoard], document: &Document) -> Result<(), InputError> {
        let error = |span, message: &str| Err(document.error_at(span, message));
        let id = self.board.as_ref().map(Span::get_ref);
        let its = boards.iter().find(|(other, _)| other.as_ref() == id);
        match (its, &self.board, &self.boot) {
            (Some((_, boots)), _, Some(boot)) if !(1..=*boots).contains(boot.get_ref()) => {
                error(boot.span(), &no_such_boot(*boots))
            }
            (None, Some(board), _) => {
                let ids = boards.iter().filter_map(|(id, _)| id.as_ref());
                error(board.span(), &NamedBoard::unknown(board.get_ref(), ids))
            }
            (None, None, Some(boot)) => {
                let message = "each board counts its own boots: say whose by board = \"…\"";
                error(boot.span(), message)
            }
            _ => Ok(()),
        }
    }

    fn check(
        self,
        earlier: &[Assertion],
        boards: &[BootsOfBoard],
        document: &Document,
    ) -> Result<Assertion, InputError> {
        self.check_boot(boards, document)?;
        let error = |span, message: &str| Err(document.error_at(span, message));
        let (at_least, at_most) = match (self.exactly, &self.at_least, self.at_most) {
            (Some(exactly), None, None) => (exactly, exactly),
            (Some(_), ..) => {
                let message = "`exactly` says all: leave `at_least` and `at_most` out";
                return error(self.name.span(), message);
            }
            (None, Some(least), Some(most)) if *least.get_ref() > most => {
                return error(least.span(), "`at_least` is more than `at_most`");
            }
            (None, None, None) => (1, usize::MAX),
            (None, least, most) => (
                least.as_ref().map_or(0, |least| *least.get_ref()),
                most.unwrap_or(usize::MAX),
            ),
        };
        let after = match self.after {
            None => None,
            Some(name) => match earlier.iter().find(|a| &a.name == name.get_ref()) {
                Some(assertion) => Some(assertion.selection.clone()),
                None => {
                    let message = "no assertion before this one has that name";
                    return error(name.span(), message);
                }
            },
        };
        Ok(Assertion {
            place: document.place(self.name.span().start),
            name: self.name.into_inner(),
            selection: Selection {
                service: self.service,
                board: self.board.map(Span::into_inner),
                boot: self.boot.map(|boot| boot.into_inner() - 1),
                host: self.host,
                method: self.method,
                target: self.target,
                status: self.status,
                complete: self.complete,
                offset_at_least: self.offset_at_least,
            },
            at_least,
            at_most,
            after,
        })
    }
}

impl Selection {
    /// The record is of the board and the boot that are meant.
    fn is_of(&self, record: &Record) -> bool {
        (self.board.is_none() || self.board == record.board)
            && self.boot.is_none_or(|boot| boot == record.boot)
    }

    fn means(&self, request: &RequestEvent) -> bool {
        fn fits<T>(wanted: Option<&T>, fits: impl FnOnce(&T) -> bool) -> bool {
            wanted.is_none_or(fits)
        }
        request.service == self.service
            && fits(self.host.as_ref(), |host| request.host == *host)
            && fits(self.method.as_ref(), |method| {
                request.method == method.name()
            })
            && fits(self.target.as_ref(), |t| {
                t.regex().is_match(&request.target)
            })
            && fits(self.status.as_ref(), |status| request.status == *status)
            && fits(self.complete.as_ref(), |complete| {
                request.complete == *complete
            })
            && fits(self.offset_at_least.as_ref(), |least| {
                request.offset.is_some_and(|offset| offset >= least.0)
            })
    }
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Rrq => "RRQ",
        }
    }
}

fn request(record: &Record) -> Option<&RequestEvent> {
    match &record.event {
        Event::Request(request) => Some(request),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
