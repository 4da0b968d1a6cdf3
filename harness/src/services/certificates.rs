//! The authority of a run and the certificates that it issues.
//!
//! All keys are RSA 2048 with SHA-256 and PKCS #1 signatures: the iPXE of the boards has no ECDSA. All certificates are valid
//! from 1970-01-01, because iPXE has no clock and takes the epoch for today, until 2099-12-31.
//!
//! An RSA key takes a good part of a second to generate, so a run makes three: the authority's, one that all its server
//! certificates share, and the client's. Sharing is harmless here, since all servers live in this process. A server certificate may
//! carry any number of names, and chains are one certificate long: some iPXE builds fail with more than 4 KiB.

use std::fmt;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::{Error, Fingerprint};

/// A certificate authority that lives as long as a run.
pub struct Authority {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
    server_key: KeyPair,
}

impl Authority {
    /// A new authority of this name. Takes a second of CPU time for two RSA keys.
    ///
    /// # Errors
    /// [`Error::Certificate`] when the library cannot generate a key or sign.
    pub fn generate(common_name: &str) -> Result<Self, Error> {
        let mut params = params(common_name, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = generate_key(common_name)?;
        let certificate = params.self_signed(&key).map_err(refused(common_name))?;
        Ok(Self {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            issuer: Issuer::new(params, key),
            server_key: generate_key(common_name)?,
        })
    }

    /// The authority's own certificate in DER: what clients and servers are to trust.
    #[must_use]
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The authority's own certificate in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A server certificate for these host names and IP addresses; the first becomes the common name.
    ///
    /// # Errors
    /// [`Error::Certificate`] when a name is not ASCII or the library cannot sign.
    pub fn issue_server(&self, names: &[&str]) -> Result<Identity, Error> {
        let common_name = names.first().copied().unwrap_or_default();
        let mut params = params(common_name, names)?;
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(common_name, &params, &self.server_key)
    }

    /// A client certificate of this name, with a new key.
    ///
    /// # Errors
    /// [`Error::Certificate`] when the library cannot generate a key or sign.
    pub fn issue_client(&self, common_name: &str) -> Result<Identity, Error> {
        let mut params = params(common_name, &[])?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(common_name, &params, &generate_key(common_name)?)
    }

    fn issue(
        &self,
        common_name: &str,
        params: &CertificateParams,
        key: &KeyPair,
    ) -> Result<Identity, Error> {
        let certificate = params
            .signed_by(key, &self.issuer)
            .map_err(refused(common_name))?;
        Ok(Identity {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key: key.serialize_der().into(),
            key_pem: key.serialize_pem(),
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = Fingerprint::of(&self.certificate);
        f.debug_struct("Authority")
            .field("fingerprint", &fingerprint)
            .finish_non_exhaustive()
    }
}

/// A certificate and the key that belongs to it. Its `Debug` form shows the fingerprint only.
pub struct Identity {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: PrivatePkcs8KeyDer<'static>,
    key_pem: String,
}

impl Identity {
    /// The certificate in DER.
    #[must_use]
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key in PKCS #8 DER.
    #[must_use]
    pub fn key_pkcs8_der(&self) -> &PrivatePkcs8KeyDer<'static> {
        &self.key
    }

    /// The private key in PKCS #8 PEM.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// SHA-1 of the certificate: the client's name at the boot server.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

fn generate_key(subject: &str) -> Result<KeyPair, Error> {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(refused(subject))
}

/// What all certificates of a run have in common.
fn params(common_name: &str, names: &[&str]) -> Result<CertificateParams, Error> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).map_err(refused(common_name))?;
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(2099, 12, 31);
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    // By default the number is derived from the key, which server certificates share.
    let mut serial: [u8; 16] = rand::random();
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn refused(subject: &str) -> impl FnOnce(rcgen::Error) -> Error {
    let subject = subject.to_owned();
    |source| Error::Certificate { subject, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::testing::PKI;

    fn contains(haystack: &[u8], needle: &[u8]) -> bool {
        haystack
            .windows(needle.len())
            .any(|window| window == needle)
    }

    #[test]
    fn all_are_valid_from_the_epoch_and_small_enough_for_ipxe() {
        for der in [
            PKI.authority.certificate_der(),
            PKI.server.certificate_der(),
            PKI.client.certificate_der(),
        ] {
            assert!(
                contains(der, b"\x17\x0d700101000000Z"),
                "UTCTime of 1970-01-01"
            );
            assert!(
                contains(der, b"\x18\x0f20991231000000Z"),
                "GeneralizedTime of 2099-12-31"
            );
            assert!(der.len() < 1500, "{}", der.len());
        }
    }

    #[test]
    fn a_server_certificate_carries_all_its_names() {
        let der = PKI.server.certificate_der();
        for name in [
            &b"\x82\x0cboot.example"[..],
            b"\x82\x14registry-1.docker.io",
            b"\x87\x04\x0a\x2a\x00\x01",
        ] {
            assert!(contains(der, name), "{name:?}");
        }
    }

    #[test]
    fn servers_share_a_key_and_no_certificate() {
        let other = PKI.authority.issue_server(&["other.example"]).unwrap();
        assert_eq!(other.key_pem(), PKI.server.key_pem());
        assert_ne!(other.fingerprint(), PKI.server.fingerprint());
        assert_ne!(PKI.client.key_pem(), PKI.server.key_pem());
    }

    #[test]
    fn both_forms_hold_the_same() {
        use rustls::pki_types::pem::PemObject;
        let identity = &PKI.client;
        let certificate =
            CertificateDer::from_pem_slice(identity.certificate_pem().as_bytes()).unwrap();
        assert_eq!(&certificate, identity.certificate_der());
        let key = PrivatePkcs8KeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap();
        assert_eq!(&key, identity.key_pkcs8_der());
    }

    #[test]
    fn debug_shows_the_fingerprint_and_no_key() {
        let shown = format!("{:?} {:?}", PKI.client, PKI.authority);
        assert!(
            shown.len() < 200 && shown.contains(&PKI.client.fingerprint().to_string()),
            "{shown}"
        );
    }
}
