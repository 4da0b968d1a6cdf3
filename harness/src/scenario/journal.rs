//! The tables `[[journal]]`: what the servers must have seen when the run has ended.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::input::{ByteSize, Document, InputError, Pattern, Span};
use crate::timeline::{Event, Record, RequestEvent, ServiceId};

/// How many requests a violated assertion shows.
const SHOWN: usize = 20;

/// A statement about the requests of a run.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// What it states, in words.
    pub says: String,
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
    #[schemars(with = "String")]
    says: Span<String>,
    service: ServiceId,
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

impl Assertion {
    /// Checks what the types cannot.
    pub(super) fn read_all(
        tables: Vec<AssertionTable>,
        document: &Document,
    ) -> Result<Vec<Self>, InputError> {
        let mut all: Vec<Self> = Vec::new();
        for table in tables {
            let assertion = table.check(&all, document)?;
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
            let meant = |r: &&Record| request(r).is_some_and(|request| selection.means(request));
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
            self.says, self.place
        );
        if seen.is_empty() {
            text += " nothing";
        }
        for record in seen.iter().take(SHOWN) {
            if let Some(request) = request(record) {
                // Writing to a string cannot fail.
                let _ = write!(text, "\n    [{:8.2}] {request}", record.at.as_secs_f64());
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
    fn check(self, earlier: &[Assertion], document: &Document) -> Result<Assertion, InputError> {
        let error = |span, message: &str| Err(document.error_at(span, message));
        let (at_least, at_most) = match (self.exactly, &self.at_least, self.at_most) {
            (Some(exactly), None, None) => (exactly, exactly),
            (Some(_), ..) => {
                let message = "`exactly` says all: leave `at_least` and `at_most` out";
                return error(self.says.span(), message);
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
            Some(name) => match earlier.iter().find(|a| &a.says == name.get_ref()) {
                Some(assertion) => Some(assertion.selection.clone()),
                None => {
                    let message = "no assertion before this one says that";
                    return error(name.span(), message);
                }
            },
        };
        Ok(Assertion {
            place: document.place(self.says.span().start),
            says: self.says.into_inner(),
            selection: Selection {
                service: self.service,
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
