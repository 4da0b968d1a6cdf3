//! What the tests of this room share: keys, an image, servers on the loopback interface and clients for them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::*;
use shakedown_base::timeline::{Cursor, Event, RequestEvent, ServiceId, Timeline, TlsEvent};

/// The name of the boot server in the tests.
pub(crate) const HOST: &str = "boot.example";

/// Certificates for all tests of a process, since RSA keys are slow to make.
pub(crate) struct Pki {
    pub(crate) authority: Authority,
    pub(crate) server: Identity,
    pub(crate) client: Identity,
}

pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let authority = Authority::generate("Test authority").unwrap();
    Pki {
        server: authority
            .issue_server(&[HOST, "registry-1.docker.io", "10.42.0.1"])
            .unwrap(),
        client: authority.issue_client("gateway").unwrap(),
        authority,
    }
});

/// A client of another authority.
pub(crate) static UNKNOWN_CLIENT: LazyLock<Identity> = LazyLock::new(|| {
    Authority::generate("Another authority")
        .unwrap()
        .issue_client("unknown")
        .unwrap()
});

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// A small image that is the same each time.
pub(crate) fn image() -> OciImage {
    // A stored gzip member, so that no version of a compressor decides over the digest.
    let layer = Bytes::from_static(
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x03\0\xfc\xffabc\xc2\x41\x24\x35\x03\0\0\0",
    );
    let mut spec = ConfigSpec::new(Platform::linux_arm64());
    spec.env = vec![("PATH".into(), "/usr/bin".into())];
    spec.command = vec!["/bin/sh".into()];
    spec.labels = [("org.opencontainers.image.title".into(), "test".into())].into();
    OciImage::new(
        vec![Layer::from_tar_gz("test", layer.into()).unwrap()],
        &spec,
    )
    .unwrap()
}

/// Writes an image's content as an OCI layout.
pub(crate) fn write_layout(directory: &Path, image: &OciImage) {
    let blobs = directory.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let write = |digest: Digest, bytes: &[u8]| {
        std::fs::write(blobs.join(&digest.to_string()[7..]), bytes).unwrap()
    };
    for document in [image.config(), image.manifest(), image.top()] {
        write(document.digest, &document.bytes);
    }
    for layer in image.layers() {
        let mut bytes = Vec::new();
        layer
            .blob()
            .reader()
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        write(layer.digest(), &bytes);
    }
    let top = image.top();
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [
        { "mediaType": top.media_type, "digest": top.digest, "size": top.bytes.len() }
    ]});
    std::fs::write(directory.join("index.json"), index.to_string()).unwrap();
    std::fs::write(
        directory.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
}

/// A service on the loopback interface, and the timeline that it writes to.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) timeline: Timeline,
    pub(crate) server: Server,
}

impl Service {
    pub(crate) async fn plain(name: ServiceId, router: Router) -> Self {
        let (timeline, listener) = (
            Timeline::start(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        Self {
            address: listener.local_addr().unwrap(),
            server: serve(listener, router, Journal::new(name, timeline.clone())),
            timeline,
        }
    }

    pub(crate) async fn tls(name: ServiceId, router: Router, options: &TlsOptions<'_>) -> Self {
        let (timeline, listener) = (
            Timeline::start(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let (address, journal) = (
            listener.local_addr().unwrap(),
            Journal::new(name, timeline.clone()),
        );
        let listener = TlsListener::start(listener, options, journal.clone()).unwrap();
        Self {
            address,
            server: serve(listener, router, journal),
            timeline,
        }
    }

    pub(crate) async fn dial(&self) -> Client {
        Client::new(TcpStream::connect(self.address).await.unwrap()).await
    }

    /// Dials with TLS; handshake failures that the client sees are errors.
    pub(crate) async fn dial_tls(
        &self,
        identity: Option<&Identity>,
        version: &'static SupportedProtocolVersion,
    ) -> std::io::Result<Client> {
        let stream = TcpStream::connect(self.address).await?;
        let connector = TlsConnector::from(Arc::new(client_config(identity, version)));
        let stream = connector
            .connect(ServerName::try_from(HOST).unwrap(), stream)
            .await?;
        Ok(Client::new(stream).await)
    }

    /// The next request on the timeline.
    pub(crate) async fn request(&self, cursor: &mut Cursor) -> RequestEvent {
        let wait = self
            .timeline
            .wait_for(cursor, |record| matches!(record.event, Event::Request(_)));
        match tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .unwrap()
            .event
        {
            Event::Request(event) => event,
            other => panic!("{other:?}"),
        }
    }

    /// The next handshake on the timeline.
    pub(crate) async fn handshake(&self, cursor: &mut Cursor) -> TlsEvent {
        let wait = self
            .timeline
            .wait_for(cursor, |record| matches!(record.event, Event::Tls(_)));
        match tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .unwrap()
            .event
        {
            Event::Tls(event) => event,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn client_config(
    identity: Option<&Identity>,
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(PKI.authority.certificate_der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap();
    let builder = builder.with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = PrivateKeyDer::Pkcs8(identity.key_pkcs8_der().clone_key());
            builder
                .with_client_auth_cert(vec![identity.certificate_der().clone()], key)
                .unwrap()
        }
    }
}

/// An HTTP client with one connection.
pub(crate) struct Client(SendRequest<Empty<Bytes>>);

impl Client {
    async fn new(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        target: &str,
        range: Option<&str>,
    ) -> hyper::Result<Response<Incoming>> {
        let range = range.map(|range| ("range", range));
        self.send_with(method, target, range.as_slice()).await
    }

    pub(crate) async fn send_with(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
    ) -> hyper::Result<Response<Incoming>> {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", HOST);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.0.ready().await?;
        self.0
            .send_request(request.body(Empty::new()).unwrap())
            .await
    }

    /// Status, headers and body of a `GET`.
    pub(crate) async fn get(&mut self, target: &str) -> Response<Bytes> {
        collect(self.send(Method::GET, target, None).await.unwrap()).await
    }
}

pub(crate) async fn collect(response: Response<Incoming>) -> Response<Bytes> {
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

/// A router that answers everything with this body.
pub(crate) fn constant(make: impl Fn() -> Body + Clone + Send + Sync + 'static) -> Router {
    Router::new().fallback(move || std::future::ready(make()))
}
