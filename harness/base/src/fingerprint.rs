//! The SHA-1 fingerprint of a certificate, by which the boot server knows its clients.
//!
//! It is a name, not a proof: the proof is the handshake, in which the client shows that it holds the key.

use std::fmt;
use std::str::FromStr;

use sha1::{Digest as _, Sha1};

use crate::SyntaxError;

/// SHA-1 of a certificate's DER bytes; written as 40 lower-case hex digits without colons.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 20]);

impl Fingerprint {
    /// The fingerprint of a certificate in DER.
    #[must_use]
    pub fn of(certificate_der: &[u8]) -> Self {
        Self(Sha1::digest(certificate_der).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = SyntaxError;

    /// Accepts 40 hex digits in either case.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let mut bytes = [0; 20];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| SyntaxError {
            text: text.into(),
            wanted: "a SHA-1 fingerprint, 40 hex digits without colons",
        })?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_lower_case_hex_and_reads_back() {
        let fingerprint = Fingerprint::of(b"abc");
        let text = fingerprint.to_string();
        assert_eq!(text, "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            text.to_uppercase().parse::<Fingerprint>().unwrap(),
            fingerprint
        );
    }

    #[test]
    fn refuses_colons_and_other_lengths() {
        for text in ["", "a9:99", "a9993e364706816aba3e25717850c26c9cd0d8"] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }
}
