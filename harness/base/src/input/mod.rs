//! Reading what people write: TOML files with errors that name file, line and column.
//!
//! Boards and scenarios are read and checked through here before anything starts. Source: TOML 1.0.

mod error;
mod size;
mod values;

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

pub use error::InputError;
pub use size::ByteSize;
pub use values::{Pattern, Span, duration};

/// An input file as it was when it was read: a run's bundle holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// The file's name without directories.
    pub file: String,
    /// What it said.
    pub text: String,
}

/// A text file with its name, kept so that later checks can point into it.
#[derive(Debug, Clone)]
pub struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, InputError> {
        let text = fs::read_to_string(path).map_err(|source| InputError::Unreadable {
            path: path.into(),
            source,
        })?;
        Ok(Self {
            path: path.into(),
            text,
        })
    }

    /// Parses the text into `T`.
    ///
    /// # Errors
    /// The text is not TOML or not a `T`; the error points at the place.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, InputError> {
        toml::from_str(&self.text).map_err(|e| self.error_at(e.span().unwrap_or(0..0), e.message()))
    }

    /// An error about the bytes `span` of this document.
    #[must_use]
    pub fn error_at(&self, span: std::ops::Range<usize>, message: &str) -> InputError {
        InputError::at(&self.path, &self.text, span, message)
    }

    /// The file as it was read.
    #[must_use]
    pub fn source(&self) -> SourceText {
        let file = self.path.file_name().unwrap_or_default();
        SourceText {
            file: file.to_string_lossy().into_owned(),
            text: self.text.clone(),
        }
    }

    /// File and line of byte `at`, as in `scenarios/alpine-http.toml:12`.
    #[must_use]
    pub fn place(&self, at: usize) -> String {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        format!("{}:{line}", self.path.display())
    }

    /// The file's name without directories and without `.toml`: how boards and scenarios are called.
    #[must_use]
    pub fn name(&self) -> String {
        self.path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}

/// The paths of all `*.toml` files of a folder, sorted by name, those with a second dot left out (`netboot.chain.toml`).
///
/// # Errors
/// The folder cannot be read.
pub fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, InputError> {
    let unreadable = |source| InputError::Unreadable {
        path: folder.into(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_toml = path.extension().is_some_and(|e| e == "toml");
        let has_second_dot = path
            .file_stem()
            .is_some_and(|s| s.to_string_lossy().contains('.'));
        if is_toml && !has_second_dot {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
