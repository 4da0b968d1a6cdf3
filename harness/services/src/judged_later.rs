//! Lets every client finish its handshake, as nginx does: whether its certificate is good is judged afterwards, and a bad one is answered
//! over HTTP.
//!
//! That a client holds its certificate's key is still a matter of the handshake. Source: nginx 1.22, `ssl_verify_client optional`, which
//! answers 400, "The SSL certificate error", and closes the connection.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// Accepts every certificate, and judges it by another verifier later.
#[derive(Debug)]
pub(super) struct JudgedLater(Arc<dyn ClientCertVerifier>);

impl JudgedLater {
    pub(super) fn new(judge: Arc<dyn ClientCertVerifier>) -> Arc<Self> {
        Arc::new(Self(judge))
    }

    /// What is wrong with a certificate chain, the client's own certificate first.
    pub(super) fn objection(&self, chain: &[CertificateDer<'_>]) -> Option<String> {
        let (own, intermediates) = chain.split_first()?;
        let judged = self
            .0
            .verify_client_cert(own, intermediates, UnixTime::now());
        judged.err().map(|error| error.to_string())
    }
}

impl ClientCertVerifier for JudgedLater {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
