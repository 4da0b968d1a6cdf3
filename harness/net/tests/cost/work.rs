//! What is counted: bytes on their way to a guest, and the yardstick for it.

use std::hint::black_box;
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use shakedown_base::mac::Mac;
use shakedown_base::timeline::Timeline;
use shakedown_net::lan::{Config, Lan};
use shakedown_net::usb::Session;
use shakedown_net::usb::lan9514::Lan9514;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::adapter::Adapter;

/// The name of the function that is counted, with all that it calls.
pub(crate) const COUNTED: &str = "*count_this*";
/// Bytes that are moved: enough that the start of the connection does not weigh.
pub(crate) const BYTES: usize = 4 << 20;
const HOST: &str = "boot.example";
const PORT: u16 = 443;
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
const MAC: [u8; 6] = [0xb8, 0x27, 0xeb, 0x12, 0x34, 0x56];
/// Plaintext that iPXE takes in a record, and what rustls adds to it in its setting.
const RECORD: usize = 4096;
const RECORD_HEADER: usize = 5;

/// What is done for the count.
#[inline(never)]
fn count_this(work: &mut dyn FnMut()) {
    work();
    // A call at the very end would not be one.
    black_box(());
}

/// Both sides of TLS. The key is of a kind that is quickly made.
fn tls() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    server.max_fragment_size = Some(RECORD + RECORD_HEADER);
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

fn client(config: Arc<ClientConfig>) -> ClientConnection {
    ClientConnection::new(config, ServerName::try_from(HOST).unwrap()).unwrap()
}

/// A server on the LAN sends to a guest through TLS, TCP, the switch, the LAN9514 and usbredir, and the guest acknowledges.
pub(crate) fn path() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let (server, client_config) = tls();
    let mut guest = runtime.block_on(bounded("the handshake", async {
        let lan = Lan::start(Config::default(), Timeline::start()).unwrap();
        let mut listener = lan.listen(SERVER, PORT).unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = TlsAcceptor::from(server).accept(stream).await.unwrap();
            stream.read_u8().await.unwrap();
            stream.write_all(&vec![b'x'; BYTES]).await.unwrap();
            stream.flush().await.unwrap();
            std::future::pending::<()>().await;
        });
        let (near, far) = tokio::io::duplex(64 * 1024);
        let session = Session::new(Lan9514::new(Mac(MAC)), lan.attach(), Timeline::start());
        tokio::spawn(session.run(far));
        let mut guest = Guest::plug(lan, Adapter::start(near).await);
        guest.shake_hands(client(client_config)).await;
        guest
    }));
    count_this(&mut || runtime.block_on(bounded("the transfer", guest.load())));
}

/// Waits for something for an hour of the paused clock, which is over as soon as nobody has anything to do.
async fn bounded<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = timeout(Duration::from_secs(3600), work).await;
    done.unwrap_or_else(|_| panic!("{what} has come to a standstill"))
}

/// The same bytes encrypted in the same records, and a sum over them as Ethernet has it.
pub(crate) fn yardstick() {
    let (server, client_config) = tls();
    let mut client = client(client_config);
    let mut server = ServerConnection::new(server).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut flight = Vec::new();
        client.write_tls(&mut flight).unwrap();
        server.read_tls(&mut &flight[..]).unwrap();
        server.process_new_packets().unwrap();
        flight.clear();
        server.write_tls(&mut flight).unwrap();
        client.read_tls(&mut &flight[..]).unwrap();
        client.process_new_packets().unwrap();
    }
    let plain = vec![b'x'; RECORD];
    let mut out = Vec::with_capacity(2 * RECORD);
    count_this(&mut || {
        for _ in 0..BYTES / RECORD {
            server.writer().write_all(&plain).unwrap();
            out.clear();
            while server.wants_write() {
                server.write_tls(&mut out).unwrap();
            }
            black_box(crc32fast::hash(&out));
        }
    });
}

/// A guest with a connection to the server.
struct Guest {
    /// The network ends when this is dropped.
    _lan: Lan,
    adapter: Adapter,
    interface: Interface,
    sockets: SocketSet<'static>,
    connection: SocketHandle,
    tls: Option<ClientConnection>,
}

impl Guest {
    fn plug(lan: Lan, mut adapter: Adapter) -> Self {
        let config = smoltcp::iface::Config::new(EthernetAddress(MAC).into());
        let mut interface = Interface::new(config, &mut adapter, Instant::ZERO);
        let address = IpCidr::new(Ipv4Addr::new(10, 0, 2, 50).into(), 24);
        interface.update_ip_addrs(|addresses| addresses.push(address).unwrap());
        let gateway = lan.config().gateway;
        let routes = interface.routes_mut();
        routes.add_default_ipv4_route(gateway).unwrap();
        let buffer = || tcp::SocketBuffer::new(vec![0; 256 * 1024]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_ack_delay(None);
        socket
            .connect(interface.context(), (SERVER, PORT), 49152)
            .unwrap();
        let mut sockets = SocketSet::new(Vec::new());
        let connection = sockets.add(socket);
        Self {
            _lan: lan,
            adapter,
            interface,
            sockets,
            connection,
            tls: None,
        }
    }

    /// Shakes hands and asks for the bytes; what must be sent for that leaves with the next exchange.
    async fn shake_hands(&mut self, mut tls: ClientConnection) {
        while tls.is_handshaking() {
            self.send(&mut tls);
            self.turn().await;
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.connection);
            if socket.can_recv() {
                let mut received = vec![0; socket.recv_queue()];
                socket.recv_slice(&mut received).unwrap();
                let mut received = &received[..];
                while !received.is_empty() {
                    tls.read_tls(&mut received).unwrap();
                    tls.process_new_packets().unwrap();
                }
            }
        }
        self.send(&mut tls);
        self.tls = Some(tls);
    }

    /// Puts what TLS has to say into the connection.
    fn send(&mut self, tls: &mut ClientConnection) {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.connection);
        if socket.can_send() {
            let mut flight = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut flight).unwrap();
            }
            assert_eq!(socket.send_slice(&flight).unwrap(), flight.len());
        }
    }

    /// Asks for the bytes and takes them as they come, encrypted: what a guest would do with them is no cost of ours.
    async fn load(&mut self) {
        let mut tls = self.tls.take().unwrap();
        tls.writer().write_all(b"!").unwrap();
        self.send(&mut tls);
        let mut received = 0;
        while received < BYTES {
            self.turn().await;
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.connection);
            while socket.can_recv() {
                received += socket.recv(|bytes| (bytes.len(), bytes.len())).unwrap();
            }
        }
    }

    /// Lets the card and the stack exchange what they have.
    async fn turn(&mut self) {
        self.poll();
        self.adapter.exchange().await;
        self.poll();
    }

    fn poll(&mut self) {
        self.interface
            .poll(Instant::ZERO, &mut self.adapter, &mut self.sockets);
    }
}
