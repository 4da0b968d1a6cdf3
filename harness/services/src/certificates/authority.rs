//! The authority of a run, and what it issues.

use std::fmt;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

use super::{Chain, Identity, KeySize, ServerProfile, Validity};
use crate::{Error, Fingerprint};

/// A certificate authority that lives as long as a run.
pub struct Authority {
    common_name: String,
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
        let key = generate_key(common_name, KeySize::default())?;
        Self::of_key(common_name, key)
    }

    /// The authority of this name whose key an earlier one has [given away](Self::key_pem): who trusts that one trusts this one. Its
    /// own certificate is another.
    ///
    /// # Errors
    /// [`Error::Certificate`] when that is no such key, or the library cannot sign.
    pub fn from_key(common_name: &str, key_pem: &str) -> Result<Self, Error> {
        let key = KeyPair::from_pem(key_pem).map_err(refused(common_name))?;
        Self::of_key(common_name, key)
    }

    fn of_key(common_name: &str, key: KeyPair) -> Result<Self, Error> {
        let params = authority_params(common_name)?;
        let certificate = params.self_signed(&key).map_err(refused(common_name))?;
        Ok(Self {
            common_name: common_name.into(),
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            issuer: Issuer::new(params, key),
            server_key: generate_key(common_name, KeySize::default())?,
        })
    }

    /// The authority's own certificate in DER: what clients and servers must trust.
    #[must_use]
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The authority's own certificate in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's private key, PKCS#8 in PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A sound server certificate for these host names and IP addresses; the first becomes the common name.
    ///
    /// # Errors
    /// [`Error::Certificate`] when a name is not ASCII or the library cannot sign.
    pub fn issue_server(&self, names: &[&str]) -> Result<Identity, Error> {
        self.issue_server_as(names, &ServerProfile::default())
    }

    /// A server certificate out of the ordinary.
    ///
    /// # Errors
    /// As for [`issue_server`](Self::issue_server).
    pub fn issue_server_as(
        &self,
        names: &[&str],
        profile: &ServerProfile,
    ) -> Result<Identity, Error> {
        let common_name = names.first().copied().unwrap_or_default();
        let mut params = params(common_name, names, profile.validity)?;
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let own_key = match profile.key {
            KeySize::Rsa2048 => None,
            size => Some(generate_key(common_name, size)?),
        };
        let key = own_key.as_ref().unwrap_or(&self.server_key);
        let signed = params.signed_by(key, &self.issuer);
        let certificate = signed.map_err(refused(common_name))?;
        let above = match profile.chain {
            Chain::Short => vec![],
            Chain::CrossSigned => vec![self.cross_signed()?],
            Chain::LongerThan(bytes) => {
                let room = bytes.saturating_sub(certificate.der().len());
                let (intermediates, issuer) = self.intermediates(room)?;
                let signed = params.signed_by(key, &issuer);
                let certificate = signed.map_err(refused(common_name))?;
                return Ok(identity(&certificate, intermediates, params, key));
            }
        };
        Ok(identity(&certificate, above, params, key))
    }

    /// A sound client certificate of this name, with a new key.
    ///
    /// # Errors
    /// [`Error::Certificate`] when the library cannot generate a key or sign.
    pub fn issue_client(&self, common_name: &str) -> Result<Identity, Error> {
        self.issue_client_as(common_name, Validity::default())
    }

    /// A client certificate that is valid at another time.
    ///
    /// # Errors
    /// As for [`issue_client`](Self::issue_client).
    pub fn issue_client_as(
        &self,
        common_name: &str,
        validity: Validity,
    ) -> Result<Identity, Error> {
        let mut params = params(common_name, &[], validity)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = generate_key(common_name, KeySize::default())?;
        let signed = params.signed_by(&key, &self.issuer);
        let certificate = signed.map_err(refused(common_name))?;
        Ok(identity(&certificate, vec![], params, &key))
    }

    /// A revocation list with these certificates of this authority, in DER.
    ///
    /// # Errors
    /// [`Error::Certificate`] when the library cannot sign.
    pub fn revoke(
        &self,
        identities: &[&Identity],
    ) -> Result<CertificateRevocationListDer<'static>, Error> {
        let revoked = identities.iter().map(|identity| RevokedCertParams {
            serial_number: identity.serial().clone(),
            revocation_time: date_time_ymd(1970, 1, 2),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(1970, 1, 2),
            next_update: date_time_ymd(2099, 12, 31),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signed = list.signed_by(&self.issuer);
        let list = signed.map_err(refused("a revocation list"))?;
        Ok(list.der().clone())
    }

    /// The authority's certificate as another authority has signed it, in DER. That one's key is not a new one, which nobody sees.
    fn cross_signed(&self) -> Result<CertificateDer<'static>, Error> {
        const ANOTHER: &str = "Another authority";
        let key = KeyPair::from_pem(&self.server_key.serialize_pem()).map_err(refused(ANOTHER))?;
        let another = Issuer::new(authority_params(ANOTHER)?, key);
        let own = authority_params(&self.common_name)?;
        let signed = own.signed_by(self.issuer.key(), &another);
        let certificate = signed.map_err(refused(&self.common_name))?;
        Ok(certificate.der().clone())
    }

    /// As many intermediate authorities, each below the one before, as have more than `bytes` bytes together: their
    /// certificates from the lowest upwards, and the lowest to sign with. They share a key.
    fn intermediates(
        &self,
        bytes: usize,
    ) -> Result<(Vec<CertificateDer<'static>>, Issuer<'static, KeyPair>), Error> {
        let mut certificates: Vec<CertificateDer<'static>> = Vec::new();
        let mut lowest: Option<Issuer<'static, KeyPair>> = None;
        let key = generate_key("intermediate authority", KeySize::default())?;
        let pem = key.serialize_pem();
        loop {
            let name = format!("Intermediate authority {}", certificates.len() + 1);
            let params = authority_params(&name)?;
            let key = KeyPair::from_pem(&pem).map_err(refused(&name))?;
            let above = lowest.as_ref().unwrap_or(&self.issuer);
            let certificate = params.signed_by(&key, above).map_err(refused(&name))?;
            certificates.insert(0, certificate.der().clone());
            let issuer = Issuer::new(params, key);
            if certificates.iter().map(|c| c.len()).sum::<usize>() > bytes {
                return Ok((certificates, issuer));
            }
            lowest = Some(issuer);
        }
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

fn generate_key(subject: &str, size: KeySize) -> Result<KeyPair, Error> {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size.into()).map_err(refused(subject))
}

fn identity(
    certificate: &rcgen::Certificate,
    intermediates: Vec<CertificateDer<'static>>,
    params: CertificateParams,
    key: &KeyPair,
) -> Identity {
    let serial = params
        .serial_number
        .unwrap_or_else(|| SerialNumber::from(0));
    Identity::new(certificate, intermediates, serial, key)
}

fn authority_params(common_name: &str) -> Result<CertificateParams, Error> {
    let mut params = params(common_name, &[], Validity::default())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// What all certificates of a run have in common.
fn params(
    common_name: &str,
    names: &[&str],
    validity: Validity,
) -> Result<CertificateParams, Error> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).map_err(refused(common_name))?;
    validity.set(&mut params);
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
    use std::sync::Arc;

    use super::*;
    use crate::testing::PKI;
    use rustls::pki_types::PrivatePkcs8KeyDer;

    fn contains(haystack: &[u8], needle: &[u8]) -> bool {
        haystack
            .windows(needle.len())
            .any(|window| window == needle)
    }

    /// What a client that trusts `root` alone says of a server a.example with this chain.
    fn verify(
        root: &CertificateDer<'static>,
        chain: &[CertificateDer<'static>],
    ) -> Result<(), rustls::Error> {
        use rustls::client::WebPkiServerVerifier;
        use rustls::client::danger::ServerCertVerifier;
        use rustls::pki_types::{ServerName, UnixTime};

        let mut roots = rustls::RootCertStore::empty();
        roots.add(root.clone()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider().into();
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let name = ServerName::try_from("a.example").unwrap();
        let verified = builder.build().unwrap().verify_server_cert(
            &chain[0],
            &chain[1..],
            &name,
            &[],
            UnixTime::now(),
        );
        verified.map(|_| ())
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
    fn who_trusts_an_authority_trusts_the_one_that_has_its_key() {
        let heir = Authority::from_key("Test authority", &PKI.authority.key_pem()).unwrap();
        assert_ne!(heir.certificate_der(), PKI.authority.certificate_der());
        let server = heir.issue_server(&["a.example"]).unwrap();
        verify(PKI.authority.certificate_der(), &server.chain_der()).unwrap();
    }

    #[test]
    fn a_long_chain_is_as_long_as_asked_and_ends_below_the_root() {
        let profile = ServerProfile {
            chain: Chain::LongerThan(4096),
            ..ServerProfile::default()
        };
        let identity = PKI
            .authority
            .issue_server_as(&["a.example"], &profile)
            .unwrap();
        let chain = identity.chain_der();
        let length: usize = chain.iter().map(|c| c.len()).sum();
        assert!(length > 4096 && length - chain[1].len() <= 4096, "{length}");
        assert_eq!(&chain[0], identity.certificate_der());
        assert!(!chain.contains(PKI.authority.certificate_der()));
        assert_eq!(PKI.server.chain_der().len(), 1);
    }

    #[test]
    fn a_cross_signed_chain_is_good_for_who_trusts_the_authority() {
        let profile = ServerProfile {
            chain: Chain::CrossSigned,
            ..ServerProfile::default()
        };
        let authority = &PKI.authority;
        let identity = authority.issue_server_as(&["a.example"], &profile);
        let chain = identity.unwrap().chain_der();
        assert_eq!(chain.len(), 2);
        assert_ne!(&chain[1], authority.certificate_der());
        verify(authority.certificate_der(), &chain).unwrap();
        verify(PKI.server.certificate_der(), &chain).unwrap_err();
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
