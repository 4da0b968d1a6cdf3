//! A guest: `smoltcp` with Ethernet, ARP and a DHCP client of its own on one end of a cable.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use bytes::Bytes;
use shakedown_base::wire::WireEnd;
use shakedown_net::lan::{Lan, TcpListener, TcpStream};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{dhcpv4, tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, IpEndpoint, Ipv4Cidr};
use tokio::time;

pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 1);

pub(crate) struct Guest {
    nic: Nic,
    interface: Interface,
    pub(crate) sockets: SocketSet<'static>,
    started: time::Instant,
    next_port: u16,
}

impl Guest {
    /// Plugs in a guest that has no address yet.
    pub(crate) fn plug(lan: &Lan, last_byte_of_mac: u8) -> Self {
        Self::behind(lan.attach(), last_byte_of_mac)
    }

    /// A guest without an address at the end of a cable.
    pub(crate) fn behind(wire: WireEnd, last_byte_of_mac: u8) -> Self {
        let mut nic = Nic {
            wire,
            received: VecDeque::new(),
            unread: 0,
        };
        let mac = EthernetAddress([0xb8, 0x27, 0xeb, 0, 0, last_byte_of_mac]);
        Self {
            interface: Interface::new(Config::new(mac.into()), &mut nic, Instant::ZERO),
            nic,
            sockets: SocketSet::new(Vec::new()),
            started: time::Instant::now(),
            next_port: 49152,
        }
    }

    /// Plugs in a guest with a fixed address.
    pub(crate) fn at(lan: &Lan, last_byte: u8) -> Self {
        let mut guest = Self::plug(lan, last_byte);
        guest.configure(
            Ipv4Cidr::new(Ipv4Addr::new(10, 0, 2, last_byte), 24),
            Some(GATEWAY),
        );
        guest
    }

    fn configure(&mut self, address: Ipv4Cidr, router: Option<Ipv4Addr>) {
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            addresses.push(IpCidr::Ipv4(address)).unwrap();
        });
        if let Some(router) = router {
            self.interface
                .routes_mut()
                .add_default_ipv4_route(router)
                .unwrap();
        }
    }

    /// Gets a lease and uses it. Returns the address, the router and the DNS servers.
    pub(crate) async fn dhcp(&mut self) -> (Ipv4Cidr, Option<Ipv4Addr>, Vec<Ipv4Addr>) {
        let handle = self.sockets.add(dhcpv4::Socket::new());
        let lease =
            self.until(
                |guest| match guest.sockets.get_mut::<dhcpv4::Socket<'_>>(handle).poll() {
                    Some(dhcpv4::Event::Configured(lease)) => {
                        Some((lease.address, lease.router, lease.dns_servers.to_vec()))
                    }
                    _ => None,
                },
            );
        let lease = lease.await;
        self.configure(lease.0, lease.1);
        lease
    }

    /// Sends a datagram and waits for the answer to it.
    pub(crate) async fn ask(&mut self, server: SocketAddrV4, question: &[u8]) -> Vec<u8> {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(self.port()).unwrap();
        socket.send_slice(question, endpoint(server)).unwrap();
        let handle = self.sockets.add(socket);
        let wait = self.until(|guest| {
            let (answer, from) = guest
                .sockets
                .get_mut::<udp::Socket<'_>>(handle)
                .recv()
                .ok()?;
            assert_eq!(from.endpoint, endpoint(server));
            Some(answer.to_vec())
        });
        wait.await
    }

    /// Begins to open a connection.
    pub(crate) fn dial(&mut self, server: SocketAddrV4) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 64 * 1024]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_ack_delay(None);
        let port = self.port();
        socket
            .connect(self.interface.context(), endpoint(server), port)
            .unwrap();
        self.sockets.add(socket)
    }

    /// Listens on a port, for one connection.
    pub(crate) fn listen(&mut self, port: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 64 * 1024]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_ack_delay(None);
        socket.listen(port).unwrap();
        self.sockets.add(socket)
    }

    /// Opens a connection; `None` when it is refused.
    pub(crate) async fn connect(&mut self, server: SocketAddrV4) -> Option<SocketHandle> {
        let handle = self.dial(server);
        let settled = self.until(|guest| match guest.tcp(handle).state() {
            tcp::State::SynSent | tcp::State::SynReceived => None,
            state => Some(state == tcp::State::Established),
        });
        settled.await.then_some(handle)
    }

    /// Sends `data` and reads until the server closes its half. Closes its own half behind the data if `close` is set.
    pub(crate) async fn converse(
        &mut self,
        handle: SocketHandle,
        data: &[u8],
        close: bool,
    ) -> Vec<u8> {
        let (mut sent, mut read) = (0, Vec::new());
        let done = self.until(|guest| {
            let socket = guest.tcp(handle);
            if sent < data.len() && socket.can_send() {
                sent += socket.send_slice(&data[sent..]).unwrap();
                if sent == data.len() && close {
                    socket.close();
                }
            }
            while socket.can_recv() {
                socket
                    .recv(|bytes| (bytes.len(), read.extend_from_slice(bytes)))
                    .unwrap();
            }
            (!socket.may_recv()).then_some(())
        });
        done.await;
        self.tcp(handle).close();
        read
    }

    pub(crate) fn tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Runs the guest until `found` finds something, for an hour of the paused clock at most.
    pub(crate) async fn until<T>(&mut self, mut found: impl FnMut(&mut Self) -> Option<T>) -> T {
        let run = async {
            loop {
                while self.poll() {}
                if let Some(value) = found(self) {
                    // What the finding made to be sent should leave.
                    while self.poll() {}
                    return value;
                }
                // What has just arrived, or the room that has just been made, must not wait for the next frame.
                if self.poll() {
                    continue;
                }
                let now = self.now();
                let delay = self.interface.poll_delay(now, &self.sockets);
                let delay = delay.map_or(Duration::from_secs(3600), |d| {
                    Duration::from_micros(d.total_micros())
                });
                tokio::select! {
                    frame = self.nic.wire.recv() => self.nic.received.push_back(frame.expect("the LAN lives")),
                    () = time::sleep(delay) => {}
                }
            }
        };
        time::timeout(Duration::from_secs(3600), run)
            .await
            .expect("something should have been found by now")
    }

    /// Runs the guest for a while.
    pub(crate) async fn run_for(&mut self, while_: Duration) {
        let end = time::Instant::now() + while_;
        let _ = time::timeout_at(end, self.until(|_| None::<()>)).await;
    }

    fn poll(&mut self) -> bool {
        let now = self.now();
        let result = self.interface.poll(now, &mut self.nic, &mut self.sockets);
        result == smoltcp::iface::PollResult::SocketStateChanged
    }

    fn now(&self) -> Instant {
        Instant::from_micros(i64::try_from(self.started.elapsed().as_micros()).unwrap())
    }

    fn port(&mut self) -> u16 {
        self.next_port += 1;
        self.next_port
    }
}

/// The next connection, within a minute of the paused clock.
pub(crate) async fn accept(listener: &mut TcpListener) -> TcpStream {
    let accepted = time::timeout(Duration::from_secs(60), listener.accept()).await;
    let (stream, peer) = accepted.expect("somebody should have connected").unwrap();
    assert_eq!(stream.peer_addr(), peer);
    stream
}

pub(crate) fn endpoint(address: SocketAddrV4) -> IpEndpoint {
    IpEndpoint::new(IpAddress::Ipv4(*address.ip()), address.port())
}

struct Nic {
    wire: WireEnd,
    received: VecDeque<Bytes>,
    unread: usize,
}

impl Device for Nic {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Send<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Frame, Send<'_>)> {
        // At most a batch at a time, so that the other tasks get their turn.
        self.unread = (self.unread + 1) % 32;
        if self.unread == 0 {
            return None;
        }
        let frame = self.received.pop_front().or_else(|| self.wire.try_recv())?;
        Some((Frame(frame), Send(&self.wire)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Send<'_>> {
        Some(Send(&self.wire))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

struct Frame(Bytes);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Send<'a>(&'a WireEnd);

impl TxToken for Send<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.send(frame.into());
        result
    }
}
