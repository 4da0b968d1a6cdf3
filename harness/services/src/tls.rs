//! TLS in front of a service: handshakes in tasks of their own, client certificates, one event for each handshake.
//!
//! Both TLS 1.2 and 1.3 are offered: iPXE speaks 1.2 only, podman prefers 1.3. The provider is named explicitly, since the
//! process-wide default depends on which crates happen to be linked.
//!
//! A handshake takes an emulated client seconds, and a broken one never ends it. It therefore does not run inside `accept`:
//! each gets a task, and finished streams come through a channel.

use shakedown_base::timeline::ServiceId;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::serve::Listener;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{Acceptor, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::judged_later::JudgedLater;
use super::known_client::KnownClient;
use super::serve::accept_all;
use super::{Error, Fingerprint, Identity, Journal, Peer, Secrets};

/// Finished handshakes that may wait for the service.
const BACKLOG: usize = 16;

/// Bytes that rustls counts on top of a record's plaintext in `max_fragment_size`: the record header.
const RECORD_HEADER: usize = 5;

/// How a service speaks TLS.
#[derive(Debug, Clone)]
pub struct TlsOptions<'a> {
    /// The service's certificate and key.
    pub identity: &'a Identity,
    /// Clients are asked for a certificate and may have none; one that this authority did not issue fails the handshake.
    /// Without an authority clients are not asked.
    pub client_authority: Option<&'a CertificateDer<'static>>,
    /// Certificates of that authority that are valid no longer. Without a list none has been revoked.
    pub revoked: Option<&'a CertificateRevocationListDer<'static>>,
    /// A client whose certificate is known, so that no authority has to vouch for it. No other is accepted then.
    pub known_client: Option<&'a CertificateDer<'static>>,
    /// Largest plaintext in bytes of one record, at least 27; a longer message of the handshake comes in fragments; `None` is the
    /// protocol's 16384. iPXE asks for 4096 by the
    /// extension `max_fragment_length` (RFC 6066, section 4), which rustls does not read.
    pub max_fragment: Option<usize>,
    /// Longest time from the connection to the end of the handshake. An emulated client needs seconds for its RSA
    /// operation, more on a busy host.
    pub handshake_timeout: Duration,
    /// Where the secrets of every connection go, for those who read a capture of its frames.
    pub secrets: Option<Secrets>,
    /// How a client is refused whose certificate is bad.
    pub refusal: Refusal,
}

/// How a client is refused whose certificate is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Refusal {
    /// The handshake fails with an alert.
    #[default]
    Alert,
    /// The handshake succeeds, and every request is answered 400, as by nginx.
    BadRequest,
}

impl<'a> TlsOptions<'a> {
    /// No client certificates, records of the protocol's own size, two minutes for the handshake.
    #[must_use]
    pub fn new(identity: &'a Identity) -> Self {
        Self {
            identity,
            client_authority: None,
            revoked: None,
            known_client: None,
            max_fragment: None,
            handshake_timeout: Duration::from_secs(120),
            secrets: None,
            refusal: Refusal::Alert,
        }
    }

    /// For iPXE: asks for certificates of `authority`, and sends records of 4096 bytes.
    #[must_use]
    pub fn for_ipxe(identity: &'a Identity, authority: &'a CertificateDer<'static>) -> Self {
        Self {
            client_authority: Some(authority),
            max_fragment: Some(4096),
            ..Self::new(identity)
        }
    }

    /// What the library needs to know, and who judges clients after the handshake, if that is when they are judged.
    fn server_config(
        &self,
        service: ServiceId,
    ) -> Result<(Arc<ServerConfig>, Option<Arc<JudgedLater>>), Error> {
        let refused = |source| Error::Tls { service, source };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS12, &rustls::version::TLS13])
            .map_err(refused)?;
        let verifier: Option<Arc<dyn ClientCertVerifier>> =
            match (self.known_client, self.client_authority) {
                (Some(client), _) => Some(KnownClient::new(client.clone(), provider)),
                (None, None) => None,
                (None, Some(authority)) => {
                    let mut roots = RootCertStore::empty();
                    roots.add(authority.clone()).map_err(refused)?;
                    let verifier =
                        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                            .with_crls(self.revoked.cloned())
                            .allow_unauthenticated()
                            .build()
                            .map_err(|source| Error::ClientAuthority { service, source })?;
                    Some(verifier)
                }
            };
        let judge = verifier
            .clone()
            .filter(|_| self.refusal == Refusal::BadRequest)
            .map(JudgedLater::new);
        let builder = match (&judge, verifier) {
            (Some(judge), _) => {
                let verifier: Arc<dyn ClientCertVerifier> = Arc::clone(judge) as _;
                builder.with_client_cert_verifier(verifier)
            }
            (None, Some(verifier)) => builder.with_client_cert_verifier(verifier),
            (None, None) => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::Pkcs8(self.identity.key_pkcs8_der().clone_key());
        let config = builder.with_single_cert(self.identity.chain_der(), key);
        let mut config = config.map_err(refused)?;
        config.max_fragment_size = self
            .max_fragment
            .map(|plaintext| plaintext.saturating_add(RECORD_HEADER));
        if let Some(secrets) = &self.secrets {
            config.key_log = Arc::new(secrets.clone());
        }
        let config = Arc::new(config);
        // The record size is looked at only when a connection begins.
        ServerConnection::new(Arc::clone(&config)).map_err(refused)?;
        Ok((config, judge))
    }
}

/// A listener that gives out connections whose handshake has succeeded.
#[derive(Debug)]
pub struct TlsListener<I> {
    ready: mpsc::Receiver<(TlsStream<I>, Peer)>,
    local: std::io::Result<Peer>,
    _accept: AbortOnDropHandle<()>,
}

impl<I: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsListener<I> {
    /// Starts a task that accepts from `listener` and shakes hands. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Tls`], [`Error::ClientAuthority`] when the library refuses the options.
    pub fn start<L>(listener: L, options: &TlsOptions<'_>, journal: Journal) -> Result<Self, Error>
    where
        L: Listener<Io = I, Addr: Into<Peer>>,
    {
        let (config, judge) = options.server_config(journal.service())?;
        let timeout = options.handshake_timeout;
        let local = listener.local_addr().map(Into::into);
        let (sender, ready) = mpsc::channel(BACKLOG);
        let log = journal.clone();
        let handle = move |io, address: L::Addr| {
            let handshake = Handshake {
                config: Arc::clone(&config),
                judge: judge.clone(),
                timeout,
                journal: journal.clone(),
            };
            let (peer, sender) = (address.into(), sender.clone());
            async move {
                if let Some(finished) = handshake.run(io, peer).await {
                    // A service that is gone needs no connection.
                    let _ = sender.send(finished).await;
                }
            }
        };
        // It ends with its owner.
        let accept = accept_all(listener, log, CancellationToken::new(), handle);
        Ok(Self {
            ready,
            local,
            _accept: AbortOnDropHandle::new(tokio::spawn(accept)),
        })
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin + Send + 'static> Listener for TlsListener<I> {
    type Io = TlsStream<I>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(finished) => finished,
            // The accepting task has ended, which it does only while the runtime shuts down.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Peer> {
        match &self.local {
            Ok(peer) => Ok(peer.clone()),
            Err(error) => Err(std::io::Error::new(error.kind(), error.to_string())),
        }
    }
}

/// One handshake.
struct Handshake {
    config: Arc<ServerConfig>,
    judge: Option<Arc<JudgedLater>>,
    timeout: Duration,
    journal: Journal,
}

impl Handshake {
    /// Shakes hands and writes the outcome down; `None` when it failed.
    async fn run<I>(self, io: I, peer: Peer) -> Option<(TlsStream<I>, Peer)>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let started = Instant::now();
        let journal = self.journal.of_client(*peer.address.ip());
        let mut server_name = None;
        let steps = async {
            let start = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
            server_name = start.client_hello().server_name().map(String::from);
            start.into_stream(self.config).await
        };
        let outcome = match tokio::time::timeout(self.timeout, steps).await {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(_) => Err(format!("the handshake took longer than {:?}", self.timeout)),
        };
        match outcome {
            Ok(stream) => {
                let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let judge = self.judge.as_ref();
                let peer = Peer {
                    server_name: server_name.clone(),
                    fingerprint: chain.first().map(|der| Fingerprint::of(der)),
                    objection: judge.and_then(|judge| judge.objection(chain)),
                    ..peer
                };
                journal.handshake(server_name, Ok(&peer), started.elapsed());
                Some((stream, peer))
            }
            Err(error) => {
                journal.handshake(server_name, Err(error), started.elapsed());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};

    use axum::body::Body;
    use axum::{Extension, Router};
    use rustls::version::{TLS12, TLS13};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use crate::testing::{HOST, PKI, Service, UNKNOWN_CLIENT, client_config, constant};
    use shakedown_base::timeline::Cursor;

    use super::*;

    /// A service for iPXE that says who it thinks the client is.
    async fn service() -> Service {
        let router = Router::new().fallback(|Extension(peer): Extension<Peer>| async move {
            let fingerprint = peer.fingerprint.map(|f| f.to_string());
            format!(
                "{} {}",
                peer.server_name.unwrap_or_default(),
                fingerprint.unwrap_or_default()
            )
        });
        let options = TlsOptions::for_ipxe(&PKI.server, PKI.authority.certificate_der());
        Service::tls(ServiceId::Boot, router, &options).await
    }

    #[tokio::test]
    async fn a_known_client_needs_no_authority_and_is_the_only_one() {
        let router = Router::new().fallback(|| async { "in" });
        let options = TlsOptions {
            known_client: Some(UNKNOWN_CLIENT.certificate_der()),
            ..TlsOptions::for_ipxe(&PKI.server, PKI.authority.certificate_der())
        };
        let service = Service::tls(ServiceId::Boot, router, &options).await;
        let mut cursor = Cursor::default();
        for version in [&TLS12, &TLS13] {
            let mut client = service
                .dial_tls(Some(&UNKNOWN_CLIENT), version)
                .await
                .unwrap();
            assert_eq!(client.get("/").await.body(), &b"in"[..]);
            let handshake = service.handshake(&mut cursor).await;
            let known = UNKNOWN_CLIENT.fingerprint().to_string();
            assert_eq!(handshake.fingerprint, Some(known));
        }
        // Without a certificate the handshake succeeds: which routes need one is the service's matter.
        assert!(service.dial_tls(None, &TLS12).await.is_ok());
        assert!(service.handshake(&mut cursor).await.error.is_none());
        let _ = service.dial_tls(Some(&PKI.client), &TLS12).await;
        let error = service.handshake(&mut cursor).await.error.unwrap();
        assert!(error.contains("certificate"), "{error}");
    }

    #[tokio::test]
    async fn a_bad_certificate_may_be_refused_by_a_status_as_nginx_does() {
        let router = Router::new().fallback(|| async { "in" });
        let options = TlsOptions {
            refusal: Refusal::BadRequest,
            ..TlsOptions::for_ipxe(&PKI.server, PKI.authority.certificate_der())
        };
        let service = Service::tls(ServiceId::Boot, router, &options).await;
        let (mut handshakes, mut requests) = (Cursor::default(), Cursor::default());
        for version in [&TLS12, &TLS13] {
            for (identity, status) in [
                (Some(&*UNKNOWN_CLIENT), 400),
                (Some(&PKI.client), 200),
                (None, 200),
            ] {
                let mut client = service.dial_tls(identity, version).await.unwrap();
                let answer = client.get("/").await;
                assert_eq!(answer.status().as_u16(), status);
                assert_eq!(answer.headers().contains_key("connection"), status == 400);
                let handshake = service.handshake(&mut handshakes).await;
                assert_eq!(handshake.error, None);
                let request = service.request(&mut requests).await;
                let own = identity.map(|identity| identity.fingerprint().to_string());
                assert_eq!((request.status, request.fingerprint), (status, own));
            }
        }
    }

    #[tokio::test]
    async fn a_client_is_known_by_its_certificate() {
        let service = service().await;
        let (mut cursor, fingerprint) = (Cursor::default(), PKI.client.fingerprint().to_string());
        for version in [&TLS12, &TLS13] {
            let mut client = service.dial_tls(Some(&PKI.client), version).await.unwrap();
            assert_eq!(
                client.get("/").await.body(),
                format!("{HOST} {fingerprint}").as_bytes()
            );
            let handshake = service.handshake(&mut cursor).await;
            assert_eq!(handshake.service, ServiceId::Boot);
            assert_eq!(handshake.server_name.as_deref(), Some(HOST));
            assert_eq!(handshake.fingerprint.as_deref(), Some(fingerprint.as_str()));
            assert_eq!(handshake.error, None);
            let request = service.request(&mut cursor).await;
            assert_eq!(request.fingerprint.as_deref(), Some(fingerprint.as_str()));
        }
    }

    #[tokio::test]
    async fn a_resumed_session_keeps_the_certificate() {
        let service = service().await;
        let config = Arc::new(client_config(Some(&PKI.client), &TLS12));
        let mut cursor = Cursor::default();
        for _ in 0..2 {
            let stream = TcpStream::connect(service.address).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
            let mut stream = connector
                .connect(HOST.try_into().unwrap(), stream)
                .await
                .unwrap();
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
            stream.read_to_end(&mut Vec::new()).await.unwrap();
            assert!(service.handshake(&mut cursor).await.fingerprint.is_some());
        }
    }

    #[tokio::test]
    async fn a_client_without_a_certificate_is_let_in_unnamed() {
        let service = service().await;
        let mut client = service.dial_tls(None, &TLS12).await.unwrap();
        assert_eq!(client.get("/").await.body(), format!("{HOST} ").as_bytes());
        assert_eq!(
            service.handshake(&mut Cursor::default()).await.fingerprint,
            None
        );
    }

    #[tokio::test]
    async fn a_certificate_of_another_authority_fails_the_handshake() {
        let service = service().await;
        assert!(
            service
                .dial_tls(Some(&UNKNOWN_CLIENT), &TLS12)
                .await
                .is_err()
        );
        let handshake = service.handshake(&mut Cursor::default()).await;
        assert_eq!(handshake.server_name.as_deref(), Some(HOST));
        let error = handshake.error.unwrap();
        assert!(error.contains("certificate"), "{error}");
    }

    #[tokio::test]
    async fn a_client_that_distrusts_the_server_is_journalled() {
        let router = constant(|| Body::from("text"));
        let service =
            Service::tls(ServiceId::Boot, router, &TlsOptions::new(&UNKNOWN_CLIENT)).await;
        assert!(service.dial_tls(None, &TLS12).await.is_err());
        let error = service
            .handshake(&mut Cursor::default())
            .await
            .error
            .unwrap();
        assert!(error.contains("alert"), "{error}");
    }

    #[tokio::test]
    async fn a_stalled_handshake_holds_nobody_up_and_ends() {
        let options = TlsOptions {
            handshake_timeout: Duration::from_millis(300),
            ..TlsOptions::new(&PKI.server)
        };
        let service =
            Service::tls(ServiceId::Boot, constant(|| Body::from("text")), &options).await;
        let mut stalled = TcpStream::connect(service.address).await.unwrap();
        stalled.write_all(b"\x16\x03\x01").await.unwrap();
        let mut cursor = Cursor::default();
        let mut errors = Vec::new();
        while errors.is_empty() {
            errors.extend(service.handshake(&mut cursor).await.error);
        }
        assert!(errors[0].contains("took longer than 300ms"), "{errors:?}");
        assert_eq!(stalled.read(&mut [0]).await.unwrap(), 0);
    }

    /// A blocking stream that keeps what it receives.
    struct Tap(std::net::TcpStream, Vec<u8>);

    impl Read for Tap {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.0.read(buffer)?;
            self.1.extend_from_slice(&buffer[..length]);
            Ok(length)
        }
    }

    impl Write for Tap {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    #[tokio::test]
    async fn records_are_as_short_as_ipxe_asks() {
        let options = TlsOptions::for_ipxe(&PKI.server, PKI.authority.certificate_der());
        let service = Service::tls(
            ServiceId::Boot,
            constant(|| Body::from(vec![0; 100_000])),
            &options,
        )
        .await;
        let received = tokio::task::spawn_blocking(move || {
            let config = Arc::new(client_config(None, &TLS12));
            let mut connection =
                rustls::ClientConnection::new(config, HOST.try_into().unwrap()).unwrap();
            let mut tap = Tap(
                std::net::TcpStream::connect(service.address).unwrap(),
                Vec::new(),
            );
            let mut stream = rustls::Stream::new(&mut connection, &mut tap);
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
            tap.1
        });
        let received = received.await.unwrap();
        let (mut rest, mut longest) = (&received[..], 0);
        while let [kind, _, _, high, low, after @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            // Application data carries an explicit nonce of 8 bytes and a tag of 16 (RFC 5288).
            longest = longest.max(if *kind == 0x17 { length - 24 } else { length });
            rest = &after[length..];
        }
        assert_eq!(longest, 4096);
    }

    #[tokio::test]
    async fn an_impossible_record_size_is_refused_at_once() {
        let options = TlsOptions {
            max_fragment: Some(1),
            ..TlsOptions::new(&PKI.server)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let journal = Journal::new(ServiceId::Boot, shakedown_base::timeline::Timeline::start());
        assert!(matches!(
            TlsListener::start(listener, &options, journal),
            Err(Error::Tls { .. })
        ));
    }
}
