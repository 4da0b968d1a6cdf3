//! Who is at the other end of a connection.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use super::Fingerprint;

/// The client of a connection. Handlers find it among the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Address and port that the client dials from.
    pub address: SocketAddrV4,
    /// Server name that the client asked for in its TLS handshake.
    pub server_name: Option<String>,
    /// Fingerprint of the certificate that the client proved to hold.
    pub fingerprint: Option<Fingerprint>,
    /// What is wrong with that certificate: the client's requests are refused.
    pub objection: Option<String>,
}

impl From<SocketAddrV4> for Peer {
    fn from(address: SocketAddrV4) -> Self {
        Self {
            address,
            server_name: None,
            fingerprint: None,
            objection: None,
        }
    }
}

impl From<SocketAddr> for Peer {
    /// The LAN is IPv4; an IPv6 client, which only a socket of the host can bring, is shown as 0.0.0.0.
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip().to_canonical() {
            IpAddr::V4(ip) => ip,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        };
        SocketAddrV4::new(ip, address.port()).into()
    }
}
