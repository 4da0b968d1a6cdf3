//! One file of a document that is made of several.

use std::path::PathBuf;

/// One file of a document. Bytes of the document are counted through all of its parts.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// The first byte's number in the document.
    pub(super) start: usize,
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Part {
    /// The file's name without `.toml`.
    pub(super) fn stem(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }

    /// The number of the byte behind its last in the document.
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}
