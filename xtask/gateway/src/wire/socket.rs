//! Sockets on one card.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

/// A UDP socket that sends and receives on this card alone, broadcasts among it.
pub(crate) fn udp_on(card: &str, port: u16, patience: Duration) -> Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_broadcast(true)?;
    socket
        .bind_device(Some(card.as_bytes()))
        .with_context(|| format!("a socket on {card}"))?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
    socket.set_read_timeout(Some(patience))?;
    Ok(socket.into())
}
