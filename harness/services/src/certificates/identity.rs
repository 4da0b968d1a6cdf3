//! A certificate and its key.

use std::fmt;

use rcgen::{Certificate, KeyPair, SerialNumber};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::Fingerprint;

/// A certificate and the key that belongs to it. Its `Debug` form shows the fingerprint only.
pub struct Identity {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    /// From the one that issued the certificate upwards, the root left out.
    intermediates: Vec<CertificateDer<'static>>,
    serial: SerialNumber,
    key: PrivatePkcs8KeyDer<'static>,
    key_pem: String,
}

impl Identity {
    pub(super) fn new(
        certificate: &Certificate,
        intermediates: Vec<CertificateDer<'static>>,
        serial: SerialNumber,
        key: &KeyPair,
    ) -> Self {
        Self {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            intermediates,
            serial,
            key: key.serialize_der().into(),
            key_pem: key.serialize_pem(),
        }
    }

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

    /// What is presented in a handshake: the certificate and its intermediate authorities, in DER.
    #[must_use]
    pub fn chain_der(&self) -> Vec<CertificateDer<'static>> {
        let chain = std::iter::once(&self.certificate).chain(&self.intermediates);
        chain.cloned().collect()
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

    /// This certificate with the key of another: its holder cannot prove that it is its own.
    #[must_use]
    pub fn with_key_of(self, other: &Self) -> Self {
        Self {
            key: other.key.clone_key(),
            key_pem: other.key_pem.clone(),
            ..self
        }
    }

    pub(super) fn serial(&self) -> &SerialNumber {
        &self.serial
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use rustls::client::ResolvesClientCert;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::sign::CertifiedKey;
    use rustls::version::TLS12;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;

    use crate::TlsOptions;
    use crate::testing::{HOST, PKI, Service, client_config, constant};
    use shakedown_base::timeline::{Cursor, ServiceId};

    use super::*;

    /// Offers a certificate with whatever key, as iPXE does and most libraries do not.
    #[derive(Debug)]
    struct Unchecked(Arc<CertifiedKey>);

    impl ResolvesClientCert for Unchecked {
        fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }

        fn has_certs(&self) -> bool {
            true
        }
    }

    /// What the server writes down of a client that does not look whether its key fits.
    async fn handshake_error(identity: &Identity) -> Option<String> {
        let options = TlsOptions::for_ipxe(&PKI.server, PKI.authority.certificate_der());
        let service =
            Service::tls(ServiceId::Boot, constant(|| Body::from("text")), &options).await;
        let key = PrivateKeyDer::Pkcs8(identity.key_pkcs8_der().clone_key());
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        let mut config = client_config(None, &TLS12);
        let certified = CertifiedKey::new(identity.chain_der(), key);
        config.client_auth_cert_resolver = Arc::new(Unchecked(Arc::new(certified)));
        let stream = TcpStream::connect(service.address).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        if let Ok(mut stream) = connector.connect(HOST.try_into().unwrap(), stream).await {
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
            stream.read_to_end(&mut Vec::new()).await.unwrap();
        }
        service.handshake(&mut Cursor::default()).await.error
    }

    #[tokio::test]
    async fn a_certificate_is_nothing_without_its_key() {
        let another = PKI.authority.issue_client("another").unwrap();
        let own = PKI.authority.issue_client("own").unwrap();
        assert_eq!(handshake_error(&own).await, None);
        let error = handshake_error(&own.with_key_of(&another)).await.unwrap();
        assert!(error.contains("BadSignature"), "{error}");
    }
}
