//! Paths below a client's folder.
//!
//! A path is checked once, where it comes in, and is plain from then on: relative, without a component that could lead out of
//! the folder, whatever the folder is kept in.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::Error;

/// A relative path of normal components, for example `kernels/6.12/vmlinuz`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FilePath(String);

impl FilePath {
    /// Checks a path as it would stand on disk.
    ///
    /// # Errors
    /// [`Error::Path`] for empty, `.` and `..` components, leading and trailing slashes, backslashes and control characters.
    pub(super) fn new(path: &str) -> Result<Self, Error> {
        let reason = if path.contains(|c: char| c.is_control()) {
            "it holds a control character"
        } else if path.contains('\\') {
            "it holds a backslash"
        } else if path.split('/').any(str::is_empty) {
            "a component is empty"
        } else if path
            .split('/')
            .any(|component| matches!(component, "." | ".."))
        {
            "a component is . or .."
        } else {
            return Ok(Self(path.into()));
        };
        Err(Error::Path {
            path: path.into(),
            reason,
        })
    }

    /// Checks a path as it stands in a URL. Percent-encoding is undone once, before the check.
    ///
    /// # Errors
    /// As [`new`](Self::new), and for bytes that are not UTF-8.
    pub(super) fn from_url(path: &str) -> Result<Self, Error> {
        match percent_decode_str(path).decode_utf8() {
            Ok(decoded) => Self::new(&decoded),
            Err(_) => Err(Error::Path {
                path: path.into(),
                reason: "it is not UTF-8",
            }),
        }
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_paths_pass() {
        for (url, path) in [
            ("kernel", "kernel"),
            ("a/b.c/d", "a/b.c/d"),
            ("a%20b", "a b"),
            ("...", "..."),
            ("%252e%252e", "%2e%2e"),
        ] {
            assert_eq!(FilePath::from_url(url).unwrap().to_string(), path);
        }
    }

    #[test]
    fn ways_out_are_refused() {
        for url in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../../x",
            "a/..",
            ".",
            "a/./b",
            "a//b",
            "a/",
            "%2e%2e/x",
            "%2E%2e%2fx",
            "a%2f..%2fb",
            "a\\..\\b",
            "a%5c..",
            "a%00b",
            "a\nb",
            "%ff",
        ] {
            assert!(FilePath::from_url(url).is_err(), "{url}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_stays_inside(url in r"([a-z.]{0,3}|%2[eEfF]|%5c|%00|/|\\|\.\.|\PC){0,12}") {
            if let Ok(path) = FilePath::from_url(&url) {
                let text = path.to_string();
                prop_assert!(Path::new(&text).components().all(|c| matches!(c, Component::Normal(_))), "{text}");
            }
        }
    }
}
