//! The error of a text that is not a value of the type that was wanted.

/// Text is not a value of the type that was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct SyntaxError {
    /// The text as given.
    pub text: String,
    /// What it should have been, with an example.
    pub wanted: &'static str,
}
