//! What an X.509 certificate says, for people and for rules.
//!
//! Source: RFC 5280. Signatures are not checked here: the run's TLS handshake does that.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use shakedown_base::fingerprint::Fingerprint;

/// A certificate in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Who it is about.
    pub subject: String,
    /// Who has signed it.
    pub issuer: String,
    /// SHA-1 of its DER bytes: the client's name at the boot server.
    pub sha1: String,
    /// SHA-256 of its DER bytes.
    pub sha256: String,
    /// First second of its validity.
    pub not_before: String,
    /// Last second of its validity.
    pub not_after: String,
    /// It may sign others.
    pub authority: bool,
    /// Kind and size of the key.
    pub key: String,
    /// The size of an RSA key, the only kind that iPXE has, in bits.
    #[serde(skip)]
    pub(crate) rsa_bits: Option<usize>,
    /// Its key usage, where it has one, lets it sign certificates (RFC 5280, section 4.2.1.3).
    #[serde(skip)]
    pub(crate) may_sign: bool,
    /// The same as `not_before`, in seconds since 1970.
    #[serde(skip)]
    pub(super) valid_from: i64,
    /// The same as `not_after`, in seconds since 1970.
    #[serde(skip)]
    pub(super) valid_to: i64,
}

/// A certificate that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an X.509 certificate: {0}")]
pub struct CertificateError(String);

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn of(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|error| CertificateError(error.to_string()))?;
        if !rest.is_empty() {
            let text = format!("{} bytes follow it", rest.len());
            return Err(CertificateError(text));
        }
        let validity = certificate.validity();
        let (from, to) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        let key = certificate.public_key().parsed();
        let rsa_bits = match &key {
            Ok(PublicKey::RSA(key)) => Some(bits(key.modulus)),
            _ => None,
        };
        let usage = certificate.key_usage();
        let usage = usage.map_err(|error| CertificateError(error.to_string()))?;
        Ok(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            sha1: Fingerprint::of(der).to_string(),
            sha256: hex::encode(Sha256::digest(der)),
            not_before: date(from),
            not_after: date(to),
            authority: certificate.is_ca(),
            key: match (rsa_bits, &key) {
                (Some(bits), _) => format!("RSA {bits}"),
                (None, Ok(PublicKey::EC(key))) => format!("EC {}", key.key_size()),
                _ => "another kind of key".into(),
            },
            rsa_bits,
            may_sign: usage.is_none_or(|usage| usage.value.key_cert_sign()),
            valid_from: from,
            valid_to: to,
        })
    }

    /// Whether it is valid at a time.
    pub(super) fn is_valid_at(&self, time: SystemTime) -> bool {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        (self.valid_from..=self.valid_to).contains(&seconds)
    }
}

/// The bits of a number, most significant byte first, without the zeros in front.
pub(crate) fn bits(number: &[u8]) -> usize {
    let mut rest = number.iter().skip_while(|byte| **byte == 0);
    let first = rest
        .next()
        .map_or(0, |byte| 8 - byte.leading_zeros() as usize);
    first + 8 * rest.count()
}

/// RFC 3339; a time before 1970 is given as seconds.
fn date(seconds: i64) -> String {
    match u64::try_from(seconds) {
        Ok(seconds) => UNIX_EPOCH
            .checked_add(Duration::from_secs(seconds))
            .filter(|_| seconds < 253_402_300_800) // the year 10000
            .map_or_else(
                || seconds.to_string(),
                |time| humantime::format_rfc3339_seconds(time).to_string(),
            ),
        Err(_) => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::PKI;

    #[test]
    fn a_certificate_is_described() {
        let ca = Certificate::of(PKI.authority.certificate_der()).unwrap();
        assert!(ca.authority && ca.subject == ca.issuer, "{ca:?}");
        assert_eq!(
            (
                ca.not_before.as_str(),
                ca.not_after.as_str(),
                ca.key.as_str()
            ),
            ("1970-01-01T00:00:00Z", "2099-12-31T00:00:00Z", "RSA 2048")
        );
        let client = Certificate::of(PKI.client.certificate_der()).unwrap();
        assert!(!client.authority && client.issuer == ca.subject);
        assert_eq!(client.sha1, PKI.client.fingerprint().to_string());
        assert!(client.is_valid_at(UNIX_EPOCH) && client.is_valid_at(SystemTime::now()));
        let after = UNIX_EPOCH + Duration::from_secs(140 * 365 * 86_400);
        assert!(!client.is_valid_at(after));
    }

    #[test]
    fn bits_are_counted_from_the_first_that_is_set() {
        assert_eq!((bits(&[]), bits(&[0, 0])), (0, 0));
        assert_eq!((bits(&[0, 0x80, 0]), bits(&[0x7f, 0xff])), (16, 15));
    }

    proptest! {
        #[test]
        fn damaged_certificates_are_read_or_refused(changes in proptest::collection::vec((0_usize..400, any::<u8>()), 1..6)) {
            let mut der = PKI.client.certificate_der().to_vec();
            for (at, byte) in changes {
                der[at] = byte;
            }
            let _ = Certificate::of(&der);
        }
    }
}
