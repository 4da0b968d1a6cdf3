//! Certificates and keys from PEM files, in the form that goes into an image.
//!
//! Sources: RFC 7468 (PEM), RFC 5958 section 2 (PKCS #8), RFC 8017 appendix A (RSA keys). Nothing here prints a key.

use rustls::SignatureAlgorithm;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use shakedown_base::Untrusted;

use super::script::Identity;
use super::survey::{Certificate, CertificateError};

/// What stands in front of an RSA key in PKCS #8: version 0 and the algorithm identifier `rsaEncryption` without parameters.
const PKCS8_RSA: &[u8] = &[
    0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00,
];

mod der;
mod pem;

use der::Key;
pub use pem::{PemFault, Wanted};

/// Bits of the smallest RSA key that all builds of iPXE take.
const LEAST_BITS: usize = 2048;

/// Why an identity cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The file of the certificate has none that can be read.
    #[error("no certificate: {}", .0.said(Wanted::Certificate))]
    NoCertificate(PemFault),
    /// More than one certificate.
    #[error(
        "the file of the certificate has {0} certificates, where one is expected: leave the one that is meant"
    )]
    Several(usize),
    /// The file of the key has none that can be read.
    #[error("no private key: {}", .0.said(Wanted::Key))]
    NoKey(PemFault),
    /// The key's DER, or one of its numbers, is wrong.
    #[error("the private key is damaged: take it again from where it was made")]
    BadKey,
    /// The key is too small or too large.
    #[error(
        "the private key is an RSA key of {0} bits: make one of 2048 to 8192, by `openssl genrsa -out FILE 2048`"
    )]
    KeySize(usize),
    /// RSA-PSS is an algorithm of its own.
    #[error(
        "the private key is for RSA-PSS alone, which iPXE does not have: make a plain RSA key, by `openssl genrsa -out FILE 2048`"
    )]
    RsaPss,
    /// RFC 8017, section 3.2.
    #[error(
        "the private key is an RSA key of more than two primes, which iPXE does not have: make one of two, by `openssl genrsa -out FILE 2048`"
    )]
    MultiPrime,
    /// iPXE knows RSA only.
    #[error("the private key is no RSA key, and iPXE has no other kind")]
    NotRsa,
    /// They do not belong together.
    #[error("certificate and private key do not belong together")]
    Mismatch,
}

/// Why a CA is of no use to iPXE.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// There is not one certificate.
    #[error(transparent)]
    Pem(#[from] CredentialError),
    /// It cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// It may not sign others.
    #[error("the certificate of {} is not one of a CA: give that of the CA which has signed the boot server's", Untrusted::new(&.0[..]))]
    NotAnAuthority(String),
    /// Its key usage leaves certificates out.
    #[error("the CA {} may not sign certificates, since its key usage is without keyCertSign: take the CA that has signed the boot server's certificate, or make it again with keyUsage = keyCertSign", Untrusted::new(&.0[..]))]
    MayNotSign(String),
    /// The key is too small.
    #[error("the CA {} has an RSA key of {bits} bits, and {LEAST_BITS} is the least that all builds of iPXE take: make a CA with a larger one", Untrusted::new(&.subject[..]))]
    KeySize {
        /// The CA.
        subject: String,
        /// Bits of its key.
        bits: usize,
    },
    /// iPXE knows RSA only.
    #[error("the CA {} has {key}, and iPXE checks RSA signatures only: the boot server's certificate has to come from a CA with an RSA key", Untrusted::new(&.subject[..]))]
    Key {
        /// The CA.
        subject: String,
        /// Kind and size of its key.
        key: String,
    },
}

/// The certificate of a PEM file that holds one, in DER.
///
/// # Errors
/// [`CredentialError::NoCertificate`], [`CredentialError::Several`].
pub fn certificate(pem: &[u8]) -> Result<Vec<u8>, CredentialError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let none = || CredentialError::NoCertificate(PemFault::of(pem, Wanted::Certificate));
    match &all.map_err(|_| none())?[..] {
        [] => Err(none()),
        [one] => Ok(one.to_vec()),
        several => Err(CredentialError::Several(several.len())),
    }
}

/// The certificate of a CA that iPXE can trust: one PEM file that holds one certificate, of a CA, with an RSA key.
///
/// # Errors
/// [`AuthorityError`].
pub fn authority(pem: &[u8]) -> Result<Vec<u8>, AuthorityError> {
    let der = certificate(pem)?;
    check_authority(&Certificate::of(&der)?)?;
    Ok(der)
}

/// Whether a certificate is one of a CA that iPXE can trust.
pub(crate) fn check_authority(certificate: &Certificate) -> Result<(), AuthorityError> {
    let subject = certificate.subject.clone();
    match certificate.rsa_bits {
        _ if !certificate.authority => Err(AuthorityError::NotAnAuthority(subject)),
        None => Err(AuthorityError::Key {
            subject,
            key: certificate.key.clone(),
        }),
        Some(bits) if bits < LEAST_BITS => Err(AuthorityError::KeySize { subject, bits }),
        Some(_) if !certificate.may_sign => Err(AuthorityError::MayNotSign(subject)),
        Some(_) => Ok(()),
    }
}

/// The identity that two PEM files make: a certificate and the RSA key that belongs to it.
///
/// # Errors
/// [`CredentialError`].
pub fn identity(certificate_pem: &[u8], key_pem: &[u8]) -> Result<Identity, CredentialError> {
    let certificate = certificate(certificate_pem)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem)
        .map_err(|_| CredentialError::NoKey(PemFault::of(key_pem, Wanted::Key)))?;
    let private_key = match &key {
        PrivateKeyDer::Pkcs8(key) => key.secret_pkcs8_der().to_vec(),
        PrivateKeyDer::Pkcs1(key) => pkcs8(key.secret_pkcs1_der()),
        _ => return Err(CredentialError::NotRsa),
    };
    let identity = Identity {
        certificate,
        private_key,
    };
    check(&identity)?;
    Ok(identity)
}

/// Whether an identity is one that iPXE can use.
///
/// # Errors
/// What is wrong with the key, or [`CredentialError::Mismatch`].
pub fn check(identity: &Identity) -> Result<(), CredentialError> {
    let key =
        PrivateKeyDer::try_from(&identity.private_key[..]).map_err(|_| CredentialError::BadKey)?;
    let key = any_supported_type(&key).map_err(|_| unusable(&identity.private_key))?;
    if key.algorithm() != SignatureAlgorithm::RSA {
        return Err(CredentialError::NotRsa);
    }
    let certificate = CertificateDer::from(identity.certificate.clone());
    CertifiedKey::new(vec![certificate], key)
        .keys_match()
        .map_err(|_| CredentialError::Mismatch)
}

/// Why a key in DER, of PKCS #8 or PKCS #1, is of no use.
fn unusable(key: &[u8]) -> CredentialError {
    match der::key(key) {
        Some(Key::Rsa {
            is_multi_prime: true,
            ..
        }) => CredentialError::MultiPrime,
        Some(Key::Rsa { bits, .. }) if !(LEAST_BITS..=8192).contains(&bits) => {
            CredentialError::KeySize(bits)
        }
        Some(Key::RsaPss) => CredentialError::RsaPss,
        Some(Key::Other) => CredentialError::NotRsa,
        Some(Key::Rsa { .. }) | None => CredentialError::BadKey,
    }
}

/// An RSA key of PKCS #1 as one of PKCS #8.
fn pkcs8(pkcs1: &[u8]) -> Vec<u8> {
    let mut inner = PKCS8_RSA.to_vec();
    push_der(&mut inner, 0x04, pkcs1);
    let mut outer = Vec::new();
    push_der(&mut outer, 0x30, &inner);
    outer
}

/// Appends tag, length and contents (X.690, section 8.1).
fn push_der(out: &mut Vec<u8>, tag: u8, contents: &[u8]) {
    out.push(tag);
    let length = contents.len().to_be_bytes();
    let significant = length.iter().skip_while(|byte| **byte == 0).count();
    match contents.len() {
        short @ 0..0x80 => out.push(short as u8),
        _ => {
            out.push(0x80 | significant as u8);
            out.extend(length.iter().skip(length.len() - significant));
        }
    }
    out.extend(contents);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::PKI;

    fn refused(certificate: &str, key: &str) -> CredentialError {
        identity(certificate.as_bytes(), key.as_bytes()).unwrap_err()
    }

    #[test]
    fn an_identity_is_read_from_either_form_of_key() {
        let pem = PKI.client.certificate_pem();
        let read = identity(pem.as_bytes(), PKI.client.key_pem().as_bytes()).unwrap();
        assert_eq!(read.certificate, PKI.client.certificate_der().to_vec());
        let pkcs8_der = PKI.client.key_pkcs8_der().secret_pkcs8_der();
        assert_eq!(read.private_key, pkcs8_der);
        // RFC 5958: the octet string behind the fixed part is the key of PKCS #1.
        let pkcs1 = &pkcs8_der[4 + PKCS8_RSA.len() + 4..];
        assert_eq!(pkcs8(pkcs1), pkcs8_der);
    }

    #[test]
    fn only_an_authority_that_ipxe_can_check_is_one() {
        let rsa = PKI.authority.certificate_pem();
        assert_eq!(
            authority(rsa.as_bytes()).unwrap(),
            PKI.authority.certificate_der().to_vec()
        );
        let client = PKI.client.certificate_pem();
        let refused = |pem: &str| authority(pem.as_bytes()).unwrap_err().to_string();
        assert!(refused(client).contains("is not one of a CA"));
        assert!(refused("words").contains("BEGIN CERTIFICATE"));
        let with = |algorithm, expected: &str| {
            let mut params = rcgen::CertificateParams::default();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let said = refused(&params.self_signed(&key).unwrap().pem());
            assert!(said.contains(expected) && said.contains("RSA"), "{said}");
        };
        with(&rcgen::PKCS_ECDSA_P256_SHA256, "EC 256");
        with(&rcgen::PKCS_ECDSA_P384_SHA384, "EC 384");
        with(&rcgen::PKCS_ED25519, "another kind of key");
    }

    /// RFC 5280, section 4.2.1.3: a key usage without keyCertSign leaves certificates out, and none at all leaves nothing out.
    #[test]
    fn an_authority_signs_certificates_with_a_key_that_is_large_enough() {
        let with = |usages: Vec<rcgen::KeyUsagePurpose>| {
            let mut params = rcgen::CertificateParams::default();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params.key_usages = usages;
            let key = PKI.client.key_pem();
            let key = rcgen::KeyPair::from_pem(key).unwrap();
            authority(params.self_signed(&key).unwrap().pem().as_bytes())
        };
        use rcgen::KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign};
        assert!(with(vec![]).is_ok() && with(vec![KeyCertSign, CrlSign]).is_ok());
        let refused = with(vec![DigitalSignature]).unwrap_err();
        assert!(
            matches!(refused, AuthorityError::MayNotSign(_)),
            "{refused}"
        );

        let mut small = Certificate::of(PKI.authority.certificate_der()).unwrap();
        for (bits, accepted) in [(2047, false), (1024, false), (2048, true), (16384, true)] {
            small.rsa_bits = Some(bits);
            assert_eq!(check_authority(&small).is_ok(), accepted, "{bits}");
        }
    }

    #[test]
    fn a_key_that_is_of_no_use_is_named() {
        let certificate = PKI.client.certificate_der().to_vec();
        let with = |change: fn(&mut Vec<u8>)| {
            let mut private_key = PKI.client.key_pkcs8_der().secret_pkcs8_der().to_vec();
            change(&mut private_key);
            let certificate = certificate.clone();
            check(&Identity {
                certificate,
                private_key,
            })
        };
        assert_eq!(with(|_| {}), Ok(()));
        // The last byte of the algorithm, and the version of PKCS #1.
        assert_eq!(with(|key| key[19] = 10), Err(CredentialError::RsaPss));
        assert_eq!(with(|key| key[32] = 1), Err(CredentialError::MultiPrime));
        // Zeros in front of the modulus are no bits of it.
        let shorter = with(|key| key[37..39].copy_from_slice(&[0, 0]));
        assert!(
            matches!(shorter, Err(CredentialError::KeySize(2000..2048))),
            "{shorter:?}"
        );
        assert_eq!(with(|key| key[100] ^= 1), Err(CredentialError::BadKey));
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        let (certificate, key) = (PKI.client.certificate_pem(), PKI.client.key_pem());
        assert_eq!(
            refused("", key),
            CredentialError::NoCertificate(PemFault::Empty)
        );
        assert_eq!(
            refused(&format!("{certificate}{certificate}"), key),
            CredentialError::Several(2)
        );
        assert_eq!(
            refused(certificate, certificate),
            CredentialError::NoKey(PemFault::Certificate)
        );
        assert_eq!(
            refused(certificate, PKI.server.key_pem()),
            CredentialError::Mismatch
        );
        let ecdsa = rcgen::KeyPair::generate().unwrap().serialize_pem();
        assert_eq!(refused(certificate, &ecdsa), CredentialError::NotRsa);
        let mut bad = identity(certificate.as_bytes(), key.as_bytes()).unwrap();
        bad.private_key.truncate(100);
        assert_eq!(check(&bad), Err(CredentialError::BadKey));
    }
}
