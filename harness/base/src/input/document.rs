//! A text file that somebody wrote, and what later checks point into.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::encoding::decode;

use super::error::InputError;
use super::extends;
use super::names::NameError;
use super::part::Part;

/// An input file as it was when it was read: a run's bundle holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// The file's name without directories.
    pub file: String,
    /// What it said; of a file that extends another, what both say together, and of a variant what it makes of its file.
    pub text: String,
}

/// A text file with its name, kept so that later checks can point into it. A file that extends another has the other's text behind its own.
#[derive(Debug, Clone)]
pub struct Document {
    /// The file itself, then those that it extends.
    parts: Vec<Part>,
    /// The variant of the file that this is.
    variant: Option<Variant>,
    /// For a document of several parts and for a variant, what they say together.
    merged: Option<String>,
}

/// One of the variants of a file.
#[derive(Debug, Clone)]
struct Variant {
    /// Its place among them.
    number: usize,
    name: String,
}

/// What of a file says whether it has variants.
#[derive(Deserialize)]
struct Variants {
    #[serde(default)]
    variant: Vec<VariantHead>,
}

#[derive(Deserialize)]
struct VariantHead {
    name: toml::Spanned<String>,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, InputError> {
        let failed = |source| InputError::Unreadable {
            path: path.into(),
            source,
        };
        let bytes = fs::read(path).map_err(failed)?;
        let text = decode(&bytes).map_err(|error| failed(io::Error::other(error)))?;
        Ok(Self::of(path, text))
    }

    /// A text that has been read already, and the path that errors name.
    #[must_use]
    pub fn of(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let part = Part {
            start: 0,
            path: path.into(),
            text: text.into(),
        };
        Self {
            parts: vec![part],
            variant: None,
            merged: None,
        }
    }

    /// This document over `base`: its tables are merged into those of `base` key by key, everything else replaces what `base` says.
    ///
    /// # Errors
    /// One of them is not TOML; the error points at the place.
    pub(super) fn over(mut self, base: Self) -> Result<Self, InputError> {
        let offset = self.parts.last().map_or(0, |last| last.end() + 1);
        self.parts.extend(base.parts.into_iter().map(|part| Part {
            start: part.start + offset,
            ..part
        }));
        self.merge()
    }

    /// What each `[[variant]]` of the file makes of it: the variant's tables are merged into the file's key by key, everything else replaces
    /// what the file says. A file without variants is the only one of its kind. To be called once.
    ///
    /// # Errors
    /// A variant has no name, or one that another has or that cannot be part of a file name.
    pub fn variants(self) -> Result<Vec<Self>, InputError> {
        let heads: Vec<VariantHead> = self.parse::<Variants>()?.variant;
        if heads.is_empty() {
            return Ok(vec![self]);
        }
        let mut names: Vec<&str> = Vec::new();
        for head in &heads {
            let name = head.name.get_ref();
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let message = if name.is_empty() || !name.bytes().all(fits) {
                format!(
                    "`{name}` is no name of a variant: use lower-case letters, digits and dashes"
                )
            } else if names.contains(&name.as_str()) {
                format!("there is another variant \"{name}\": give each its own name")
            } else {
                names.push(name);
                continue;
            };
            return Err(self.error_at(head.name.span(), &message));
        }
        let variant = |(number, name): (usize, &&str)| {
            let variant = Variant {
                number,
                name: (*name).to_owned(),
            };
            let document = Self {
                variant: Some(variant),
                ..self.clone()
            };
            document.merge()
        };
        names.iter().enumerate().map(variant).collect()
    }

    /// Writes down what the document says as one file that stands alone.
    fn merge(mut self) -> Result<Self, InputError> {
        let mut table: toml::Table = self.parse()?;
        table.remove("extends");
        table.remove("include");
        let text = toml::to_string_pretty(&table);
        let text = text.map_err(|e| self.error_at(0..0, &format!("cannot be merged: {e}")))?;
        self.merged = Some(text);
        Ok(self)
    }

    /// Parses the text into `T`.
    ///
    /// # Errors
    /// The text is not TOML or not a `T`; the error points at the place.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, InputError> {
        let parsed = match (&*self.parts, &self.variant) {
            ([only], None) => toml::from_str(&only.text),
            (parts, variant) => extends::parse(parts, variant.as_ref().map(|v| v.number)),
        };
        parsed.map_err(|e| self.error_at(e.span().unwrap_or(0..0), e.message()))
    }

    /// An error about the bytes `span` of this document.
    #[must_use]
    pub fn error_at(&self, span: Range<usize>, message: &str) -> InputError {
        let part = self.part(span.start);
        let span = span.start.saturating_sub(part.start)..span.end.saturating_sub(part.start);
        InputError::at(&part.path, &part.text, span, message)
    }

    /// What the file says at the bytes `span` of this document, as it is written there; nothing where that is no text.
    #[must_use]
    pub fn text_at(&self, span: Range<usize>) -> &str {
        let part = self.part(span.start);
        let span = span.start.saturating_sub(part.start)..span.end.saturating_sub(part.start);
        part.text.get(span).unwrap_or_default()
    }

    /// The file as it was read.
    #[must_use]
    pub fn source(&self) -> SourceText {
        let part = self.part(0);
        let file = part.path.file_name().unwrap_or_default();
        SourceText {
            file: match &self.variant {
                Some(_) => format!("{}.toml", self.plain_name()),
                None => file.to_string_lossy().into_owned(),
            },
            text: self.merged.clone().unwrap_or_else(|| part.text.clone()),
        }
    }

    /// A file that the document names: relative to the folder that it is in.
    #[must_use]
    pub fn beside(&self, file: &Path) -> PathBuf {
        let own = self.parts.first().and_then(|part| part.path.parent());
        own.map_or_else(|| file.into(), |folder| folder.join(file))
    }

    /// File and line of byte `at`, for example `scenarios/alpine-http.toml:12`.
    #[must_use]
    pub fn place(&self, at: usize) -> String {
        let part = self.part(at);
        let before = part.text.get(..at - part.start).unwrap_or(&part.text);
        let line = before.matches('\n').count() + 1;
        format!("{}:{line}", part.path.display())
    }

    /// The file's name without directories and without `.toml`: how boards and scenarios are called. A variant's own name is behind it, as
    /// `FILE-VARIANT`.
    ///
    /// # Errors
    /// It is no such name.
    pub fn name<T: std::str::FromStr<Err = NameError>>(&self) -> Result<T, InputError> {
        let name = self.plain_name().parse::<T>();
        name.map_err(|e| self.error_at(0..0, &format!("the file's name: {e}")))
    }

    fn plain_name(&self) -> String {
        let stem = self.part(0).stem();
        match &self.variant {
            Some(variant) => format!("{stem}-{}", variant.name),
            None => stem,
        }
    }

    /// Names of the files that it is made of, without `.toml`: the file itself, then those that it extends.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        self.parts.iter().map(Part::stem).collect()
    }

    /// The name of the variant that this is.
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_ref().map(|variant| variant.name.as_str())
    }

    /// The file that byte `at` stands in.
    fn part(&self, at: usize) -> &Part {
        let before = self.parts.iter().take_while(|part| part.start <= at);
        // There is always one that starts at 0.
        before.last().unwrap_or(&self.parts[0])
    }
}
