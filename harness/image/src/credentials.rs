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

/// Why an identity cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// No certificate.
    #[error("no certificate: expected a PEM file with BEGIN CERTIFICATE")]
    NoCertificate,
    /// More than one certificate.
    #[error("{0} certificates, where one is expected: leave the one that is meant")]
    Several(usize),
    /// No key, or an encrypted one.
    #[error(
        "no private key: expected a PEM file with BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY, not encrypted"
    )]
    NoKey,
    /// The key is of no use.
    #[error("the private key is damaged, or an RSA key of less than 2048 bits")]
    BadKey,
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
    match &all.map_err(|_| CredentialError::NoCertificate)?[..] {
        [] => Err(CredentialError::NoCertificate),
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
    let certificate = Certificate::of(&der)?;
    if !certificate.authority {
        return Err(AuthorityError::NotAnAuthority(certificate.subject));
    }
    if !certificate.is_rsa {
        return Err(AuthorityError::Key {
            subject: certificate.subject,
            key: certificate.key,
        });
    }
    Ok(der)
}

/// The identity that two PEM files make: a certificate and the RSA key that belongs to it.
///
/// # Errors
/// [`CredentialError`].
pub fn identity(certificate_pem: &[u8], key_pem: &[u8]) -> Result<Identity, CredentialError> {
    let certificate = certificate(certificate_pem)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| CredentialError::NoKey)?;
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
/// [`CredentialError::BadKey`], [`CredentialError::NotRsa`], [`CredentialError::Mismatch`].
pub fn check(identity: &Identity) -> Result<(), CredentialError> {
    let key =
        PrivateKeyDer::try_from(&identity.private_key[..]).map_err(|_| CredentialError::BadKey)?;
    let key = any_supported_type(&key).map_err(|_| CredentialError::BadKey)?;
    if key.algorithm() != SignatureAlgorithm::RSA {
        return Err(CredentialError::NotRsa);
    }
    let certificate = CertificateDer::from(identity.certificate.clone());
    CertifiedKey::new(vec![certificate], key)
        .keys_match()
        .map_err(|_| CredentialError::Mismatch)
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
        assert!(refused("").contains("BEGIN CERTIFICATE"));
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

    #[test]
    fn what_is_no_identity_is_refused() {
        let (certificate, key) = (PKI.client.certificate_pem(), PKI.client.key_pem());
        assert_eq!(refused("", key), CredentialError::NoCertificate);
        assert_eq!(
            refused(&format!("{certificate}{certificate}"), key),
            CredentialError::Several(2)
        );
        assert_eq!(refused(certificate, certificate), CredentialError::NoKey);
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
