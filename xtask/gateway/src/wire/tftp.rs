//! A TFTP client without options, which reads in blocks of 512 bytes as a Pi's boot ROM does (RFC 1350).

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const BLOCK: usize = 512;
const PATIENCE: Duration = Duration::from_secs(2);
const TRIES: usize = 5;

/// Reads a file from address `from`; the number of its bytes. The block counter is followed round its end.
pub(crate) fn read_file(from: Ipv4Addr, server: Ipv4Addr, name: &str) -> Result<u64> {
    let socket = UdpSocket::bind((from, 0)).with_context(|| format!("a socket at {from}"))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let request = [&[0, 1], name.as_bytes(), b"\0octet\0"].concat();
    let (mut peer, mut packet) = (SocketAddrV4::new(server, 69), request);
    let (mut block, mut total, mut tries) = (1_u16, 0, 0);
    let mut buffer = [0; 2048];
    socket.send_to(&packet, peer)?;
    loop {
        let (length, sender) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && tries < TRIES => {
                tries += 1;
                socket.send_to(&packet, peer)?;
                continue;
            }
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("{name}: no answer after {total} bytes"));
            }
        };
        match buffer.get(..length) {
            Some([0, 3, high, low, data @ ..]) => {
                if let std::net::SocketAddr::V4(sender) = sender {
                    peer = sender;
                }
                if u16::from_be_bytes([*high, *low]) == block {
                    total += data.len() as u64;
                    packet = vec![0, 4, *high, *low];
                    tries = 0;
                    socket.send_to(&packet, peer)?;
                    if data.len() < BLOCK {
                        return Ok(total);
                    }
                    block = block.wrapping_add(1);
                }
            }
            Some([0, 5, high, low, text @ ..]) => {
                let code = u16::from_be_bytes([*high, *low]);
                let text = String::from_utf8_lossy(text);
                bail!(
                    "{name}: error {code} after {total} bytes: {}",
                    text.trim_end_matches('\0')
                );
            }
            _ => bail!("{name}: an answer that is none"),
        }
    }
}
