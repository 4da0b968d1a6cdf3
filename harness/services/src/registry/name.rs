//! What a registry URL asks for, and the grammar of its names (OCI distribution specification, "Pulling manifests").

use std::fmt;

use axum::http::Method;

use super::error::Refusal;
use super::scope::{Action, LONGEST_NAME, Scope};
use crate::Digest;

/// Longest tag in characters.
const TAG_LENGTH: usize = 128;

/// What a path below `/v2/` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// Whether this is a registry at all.
    Base,
    /// The manifest or index that a tag or a digest names.
    Manifest(&'a str, Reference<'a>),
    /// A blob of a repository.
    Blob(&'a str, Digest),
    /// The tags of a repository.
    Tags(&'a str),
    /// What refers to the manifest of this digest, of any algorithm.
    Referrers(&'a str, &'a str),
    /// Where uploads of blobs begin.
    Uploads(&'a str),
    /// An upload that has begun.
    Upload(&'a str, &'a str),
}

/// The name of a manifest within a repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reference<'a> {
    Tag(&'a str),
    Digest(Digest),
}

impl<'a> Target<'a> {
    /// Reads the path below `/v2/`. Repository names may contain anything but the last keyword, so it is cut there.
    pub(super) fn parse(path: &'a str) -> Result<Self, Refusal> {
        let target = if path.is_empty() {
            return Ok(Self::Base);
        } else if let Some(repository) = path.strip_suffix("/tags/list") {
            Self::Tags(repository)
        } else if let Some((repository, reference)) = path.rsplit_once("/manifests/") {
            Self::Manifest(repository, Reference::parse(reference)?)
        } else if let Some(repository) = path.strip_suffix("/blobs/uploads") {
            Self::Uploads(repository)
        } else if let Some((repository, upload)) = path.rsplit_once("/blobs/uploads/") {
            match upload {
                "" => Self::Uploads(repository),
                upload => Self::Upload(repository, upload),
            }
        } else if let Some((repository, digest)) = path.rsplit_once("/blobs/") {
            Self::Blob(repository, parse_digest(digest)?)
        } else if let Some((repository, digest)) = path.rsplit_once("/referrers/") {
            if !is_digest(digest) {
                return Err(Refusal::DigestInvalid(digest.into()));
            }
            Self::Referrers(repository, digest)
        } else {
            return Err(Refusal::NoRoute(path.into()));
        };
        match target.repository() {
            Some(name) if !is_repository(name) => Err(Refusal::NameInvalid(name.into())),
            _ => Ok(target),
        }
    }

    /// The repository that is asked for.
    fn repository(&self) -> Option<&'a str> {
        match self {
            Self::Base => None,
            Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Tags(name)
            | Self::Referrers(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _) => Some(name),
        }
    }

    /// What a client must be allowed to do; nothing in particular for [`Target::Base`].
    pub(super) fn scope(&self, method: &Method) -> Option<Scope> {
        let action = match (self, method) {
            (Self::Uploads(_) | Self::Upload(..), _) => Action::Push,
            (_, &Method::GET | &Method::HEAD) => Action::Pull,
            _ => Action::Push,
        };
        self.repository().map(|name| Scope::of(name, action))
    }
}

pub(super) fn parse_digest(text: &str) -> Result<Digest, Refusal> {
    text.parse()
        .map_err(|_| Refusal::DigestInvalid(text.into()))
}

impl<'a> Reference<'a> {
    fn parse(text: &'a str) -> Result<Self, Refusal> {
        if text.contains(':') {
            parse_digest(text).map(Self::Digest)
        } else if is_tag(text) {
            Ok(Self::Tag(text))
        } else {
            Err(Refusal::ManifestUnknown(text.into()))
        }
    }
}

impl fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Lower-case components between slashes: runs of letters and digits, joined by `.`, `_`, `__` or hyphens.
pub(super) fn is_repository(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.split('/').all(|component| {
            let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            let joined = |separator: &str| {
                matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
            };
            component.starts_with(alphanumeric)
                && component.ends_with(alphanumeric)
                && component.split(alphanumeric).all(joined)
        })
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A digest of any algorithm (OCI image specification, "Digests").
fn is_digest(text: &str) -> bool {
    let Some((algorithm, encoded)) = text.split_once(':') else {
        return false;
    };
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let component = |part: &str| !part.is_empty() && part.bytes().all(word);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"=_-".contains(&b);
    let fits = match algorithm {
        "sha256" => is_hex(encoded, 64),
        "sha512" => is_hex(encoded, 128),
        _ => !encoded.is_empty() && encoded.len() <= 256 && encoded.bytes().all(plain),
    };
    fits && algorithm.split(['+', '.', '_', '-']).all(component)
}

/// Letters, digits, `_`, `.` and `-`, not beginning with one of the latter two.
pub(super) fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= TAG_LENGTH
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn targets() {
        let digest = Digest::of(b"");
        let by_digest = format!("a/b/manifests/{digest}");
        assert_eq!(
            Target::parse(&by_digest).unwrap(),
            Target::Manifest("a/b", Reference::Digest(digest))
        );
        let by_tag = Target::parse("library/alpine/manifests/latest").unwrap();
        assert_eq!(
            by_tag,
            Target::Manifest("library/alpine", Reference::Tag("latest"))
        );
        let blob = format!("manifests/x/blobs/{digest}");
        assert_eq!(
            Target::parse(&blob).unwrap(),
            Target::Blob("manifests/x", digest)
        );
        for (path, target) in [
            ("", Target::Base),
            ("a/tags/list", Target::Tags("a")),
            ("a/b/blobs/uploads/", Target::Uploads("a/b")),
            ("a/b/blobs/uploads", Target::Uploads("a/b")),
            ("a/blobs/uploads/0f", Target::Upload("a", "0f")),
        ] {
            assert_eq!(Target::parse(path).unwrap(), target);
        }
        let referrers = format!("a/referrers/{digest}");
        assert_eq!(
            Target::parse(&referrers).unwrap(),
            Target::Referrers("a", &digest.to_string())
        );
    }

    #[test]
    fn refusals() {
        let refused = |path| Target::parse(path).unwrap_err();
        assert!(matches!(refused("a"), Refusal::NoRoute(_)));
        assert!(matches!(refused("_catalog"), Refusal::NoRoute(_)));
        assert!(matches!(
            refused("A/manifests/latest"),
            Refusal::NameInvalid(_)
        ));
        assert!(matches!(
            refused("../x/manifests/latest"),
            Refusal::NameInvalid(_)
        ));
        assert!(matches!(
            refused("a/manifests/-latest"),
            Refusal::ManifestUnknown(_)
        ));
        assert!(matches!(
            refused("a/manifests/sha256:00"),
            Refusal::DigestInvalid(_)
        ));
        for digest in ["sha512:00", "sha256", "x:", ":x", "a+:x"] {
            let path = format!("a/referrers/{digest}");
            assert!(matches!(
                Target::parse(&path),
                Err(Refusal::DigestInvalid(_))
            ));
        }
        assert!(matches!(
            refused("a/blobs/latest"),
            Refusal::DigestInvalid(_)
        ));
    }

    #[test]
    fn repository_names() {
        for name in [
            "a",
            "library/alpine",
            "a.b",
            "a_b",
            "a__b",
            "a---b",
            "0/1-2",
        ] {
            assert!(is_repository(name), "{name}");
        }
        assert!(is_repository(&"a".repeat(255)) && !is_repository(&"a".repeat(256)));
        for name in [
            "", "/", "a/", "/a", "a//b", "a..b", "a._b", "a___b", "-a", "a-", "A", "ä", "a b",
        ] {
            assert!(!is_repository(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_path_parses_or_is_refused(path in r"(a|/|manifests|blobs|tags/list|sha256:|\PC){0,12}") {
            let _ = Target::parse(&path);
        }

        #[test]
        fn names_of_the_grammar_pass(name in "[a-z0-9]{1,3}((\\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}(/[a-z0-9]{1,3}){0,2}") {
            prop_assert!(is_repository(&name));
        }
    }
}
