//! A question for an IPv4 address (RFC 1035).

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// The address that `server` has for `name`.
pub(crate) fn address_of(from: Ipv4Addr, server: Ipv4Addr, name: &str) -> Result<Ipv4Addr> {
    let socket = UdpSocket::bind((from, 0)).with_context(|| format!("a socket at {from}"))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut question = vec![0x5a, 0xa5, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len())?);
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    socket.send_to(&question, (server, 53))?;
    let mut buffer = [0; 512];
    let length = socket
        .recv(&mut buffer)
        .with_context(|| format!("no answer for {name}"))?;
    answer(buffer.get(..length).unwrap_or_default(), question.len())
}

/// The first address in an answer whose question has `skip` bytes, header included.
fn answer(bytes: &[u8], skip: usize) -> Result<Ipv4Addr> {
    let code = bytes.get(3).context("a short answer")? & 15;
    ensure!(code == 0, "answered with code {code}");
    ensure!(
        bytes.get(7).is_some_and(|count| *count > 0),
        "no address in the answer"
    );
    // A name (a pointer), type, class, time to live, length.
    match bytes.get(skip..) {
        Some([_, _, 0, 1, 0, 1, _, _, _, _, 0, 4, a, b, c, d, ..]) => Ok([*a, *b, *c, *d].into()),
        _ => bail!("the first record is no address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_behind_the_question() {
        let mut bytes = vec![
            0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 1, b'x', 0, 0, 1, 0, 1,
        ];
        let skip = bytes.len();
        bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 42, 0, 1]);
        assert_eq!(answer(&bytes, skip).unwrap(), Ipv4Addr::new(10, 42, 0, 1));
        bytes[3] = 0x83;
        assert!(answer(&bytes, skip).is_err());
        assert!(answer(&[], 0).is_err());
    }
}
