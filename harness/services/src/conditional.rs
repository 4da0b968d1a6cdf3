//! Conditional requests: answers that depend on what the client has already (RFC 9110, sections 8.8 and 13).

use std::time::{Duration, SystemTime};

use axum::http::header::{
    ETAG, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    LAST_MODIFIED,
};
use axum::http::{HeaderMap, HeaderValue};

/// What tells one content of a URL from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validators {
    /// A strong entity tag, in its quotes.
    pub(crate) etag: String,
    /// When the content last changed, where that is known.
    pub(crate) modified: Option<SystemTime>,
}

/// What a request's conditions come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Answer as if there were none.
    Holds,
    /// The client has this very content: 304.
    NotModified,
    /// The client wants another content than this: 412.
    Failed,
}

impl Validators {
    /// Weighs the conditions of a `GET` or `HEAD` request in the order of RFC 9110, section 13.2.2.
    pub(crate) fn weigh(&self, headers: &HeaderMap) -> Condition {
        let holds = match list(headers, IF_MATCH) {
            Some(tags) => self.is_listed(&tags, false),
            None => date(headers, IF_UNMODIFIED_SINCE).is_none_or(|date| !self.is_newer(date)),
        };
        if !holds {
            return Condition::Failed;
        }
        let has_it = match list(headers, IF_NONE_MATCH) {
            Some(tags) => self.is_listed(&tags, true),
            None => date(headers, IF_MODIFIED_SINCE)
                .is_some_and(|date| self.modified.is_some() && !self.is_newer(date)),
        };
        if has_it {
            Condition::NotModified
        } else {
            Condition::Holds
        }
    }

    /// Whether the request's `Range` counts: the part is missing from this very content (section 13.1.5).
    /// `now` is what `Date` says: a date is a strong validator only when the content is older than it by a second (section 8.8.2.2).
    pub(crate) fn allow_range(&self, headers: &HeaderMap, now: SystemTime) -> bool {
        match header(headers, IF_RANGE) {
            None => true,
            Some(tag) if tag.starts_with('"') => tag == self.etag,
            Some(date) => {
                let date = httpdate::parse_http_date(date).ok();
                let is_strong = date.is_some_and(|date| date + Duration::from_secs(1) <= now);
                is_strong && date == self.seconds()
            }
        }
    }

    /// Adds `ETag` and `Last-Modified` to an answer.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        let modified = self.modified.map(httpdate::fmt_http_date);
        for (name, value) in [(ETAG, Some(&self.etag)), (LAST_MODIFIED, modified.as_ref())] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
    }

    /// The content's tag is in a list of tags, or the list is `*`. The weak comparison leaves the mark of weak tags out of
    /// account, the strong one never matches them.
    fn is_listed(&self, tags: &str, weak: bool) -> bool {
        let mut tags = tags.split(',').map(str::trim);
        tags.any(|tag| {
            let tag = if weak {
                tag.strip_prefix("W/").unwrap_or(tag)
            } else {
                tag
            };
            tag == "*" || tag == self.etag
        })
    }

    /// The content has changed since `date`, as far as is known.
    fn is_newer(&self, date: SystemTime) -> bool {
        self.seconds().is_some_and(|modified| modified > date)
    }

    /// The time of the last change in whole seconds, since HTTP knows no fractions.
    fn seconds(&self) -> Option<SystemTime> {
        let since_epoch = self.modified?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(since_epoch.as_secs()))
    }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A list that may be spread over several field lines (section 5.3).
fn list(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let lines: Vec<_> = headers
        .get_all(name)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// A date that cannot be read is as good as none (section 13.1.3).
fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(header(headers, name)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn validators() -> Validators {
        let modified = httpdate::parse_http_date(CHANGED).unwrap() + Duration::from_millis(700);
        Validators {
            etag: "\"a-1\"".into(),
            modified: Some(modified),
        }
    }

    /// Long after the content has changed.
    fn later() -> SystemTime {
        httpdate::parse_http_date(CHANGED).unwrap() + Duration::from_secs(3600)
    }

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let pairs = lines
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn conditions_in_the_order_of_the_specification() {
        use Condition::{Failed, Holds, NotModified};
        let cases: &[(&[(HeaderName, &str)], Condition)] = &[
            (&[], Holds),
            (&[(IF_NONE_MATCH, "\"a-1\"")], NotModified),
            (&[(IF_NONE_MATCH, "\"b\", W/\"a-1\"")], NotModified),
            (&[(IF_NONE_MATCH, "*")], NotModified),
            (&[(IF_NONE_MATCH, "\"b\"")], Holds),
            (&[(IF_NONE_MATCH, "a-1")], Holds),
            (
                &[(IF_NONE_MATCH, "\"b\""), (IF_MODIFIED_SINCE, CHANGED)],
                Holds,
            ),
            (&[(IF_MODIFIED_SINCE, CHANGED)], NotModified),
            (&[(IF_MODIFIED_SINCE, BEFORE)], Holds),
            (&[(IF_MODIFIED_SINCE, "yesterday")], Holds),
            (&[(IF_MATCH, "\"a-1\"")], Holds),
            (&[(IF_MATCH, "W/\"a-1\"")], Failed),
            (&[(IF_MATCH, "\"b\""), (IF_NONE_MATCH, "\"a-1\"")], Failed),
            (&[(IF_UNMODIFIED_SINCE, BEFORE)], Failed),
            (&[(IF_UNMODIFIED_SINCE, CHANGED)], Holds),
            (
                &[(IF_MATCH, "\"a-1\""), (IF_UNMODIFIED_SINCE, BEFORE)],
                Holds,
            ),
        ];
        for (lines, condition) in cases {
            assert_eq!(validators().weigh(&headers(lines)), *condition, "{lines:?}");
        }
    }

    #[test]
    fn content_without_a_date_is_never_too_old() {
        let validators = Validators {
            modified: None,
            ..validators()
        };
        for name in [IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE] {
            assert_eq!(
                validators.weigh(&headers(&[(name, BEFORE)])),
                Condition::Holds
            );
        }
        assert!(!validators.allow_range(&headers(&[(IF_RANGE, CHANGED)]), later()));
    }

    #[test]
    fn a_range_counts_for_the_same_content_only() {
        let cases = [
            ("\"a-1\"", true),
            ("\"b\"", false),
            ("W/\"a-1\"", false),
            (CHANGED, true),
            (BEFORE, false),
            ("nonsense", false),
        ];
        for (value, counts) in cases {
            assert_eq!(
                validators().allow_range(&headers(&[(IF_RANGE, value)]), later()),
                counts,
                "{value}"
            );
        }
        assert!(validators().allow_range(&HeaderMap::new(), later()));
    }

    #[test]
    fn a_date_that_is_too_fresh_tells_nothing() {
        let lines = headers(&[(IF_RANGE, CHANGED)]);
        let changed = httpdate::parse_http_date(CHANGED).unwrap();
        assert!(!validators().allow_range(&lines, changed));
        assert!(validators().allow_range(&lines, changed + Duration::from_secs(1)));
    }

    #[test]
    fn tags_may_be_spread_over_lines() {
        let mut lines = HeaderMap::new();
        for tag in ["\"x\"", "\"a-1\", \"y\""] {
            lines.append(IF_NONE_MATCH, tag.parse().unwrap());
        }
        assert_eq!(validators().weigh(&lines), Condition::NotModified);
    }
}
