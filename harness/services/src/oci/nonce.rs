//! The proof of a run: a random number that goes into the image and must come out of the container.

use std::fmt;

/// A random number, fresh for each run; written as 32 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// The environment variable that carries it in the image's config. In the config, and not in a layer, so that the large
    /// layers are the same for every run.
    pub const VARIABLE: &str = "SHAKEDOWN_NONCE";

    /// Sixteen bytes from the system's generator.
    #[must_use]
    pub fn random() -> Self {
        Self(hex::encode(rand::random::<[u8; 16]>()))
    }

    /// The hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Name and value of the environment variable.
    #[must_use]
    pub fn variable(&self) -> (String, String) {
        (Self::VARIABLE.into(), self.0.clone())
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike() {
        let (one, two) = (Nonce::random(), Nonce::random());
        assert_ne!(one, two);
        assert_eq!(one.as_str().len(), 32);
        assert!(one.as_str().bytes().all(|b| b.is_ascii_hexdigit()));
    }
}
