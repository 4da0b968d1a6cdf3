//! A question for the time (RFC 5905, client mode).

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

/// Seconds between 1900 and 1970.
const ERA: u64 = 2_208_988_800;

/// What a server says.
#[derive(Debug, PartialEq)]
pub(crate) struct Time {
    pub(crate) stratum: u8,
    /// How far the server's clock is from ours.
    pub(crate) offset: Duration,
}

/// Asks `server` for the time.
pub(crate) fn ask_time(from: Ipv4Addr, server: Ipv4Addr) -> Result<Time> {
    let socket = UdpSocket::bind((from, 0)).with_context(|| format!("a socket at {from}"))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut question = [0; 48];
    question[0] = 0x23;
    socket.send_to(&question, (server, 123))?;
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).context("no answer from NTP")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    parse(buffer.get(..length).unwrap_or_default(), now)
}

fn parse(bytes: &[u8], now: Duration) -> Result<Time> {
    ensure!(bytes.len() >= 48, "a short answer");
    let first = bytes.first().copied().unwrap_or(0);
    ensure!(first & 7 == 4, "the answer has mode {}", first & 7);
    ensure!(first >> 6 != 3, "the server's clock is not synchronised");
    let seconds = <[u8; 4]>::try_from(bytes.get(40..44).unwrap_or_default())?;
    let seconds = Duration::from_secs(u64::from(u32::from_be_bytes(seconds)).saturating_sub(ERA));
    Ok(Time {
        stratum: bytes.get(1).copied().unwrap_or(0),
        offset: seconds.abs_diff(now),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_gives_stratum_and_offset() {
        let mut bytes = [0; 48];
        bytes[0] = 0x24;
        bytes[1] = 10;
        bytes[40..44].copy_from_slice(&u32::try_from(ERA + 100).unwrap().to_be_bytes());
        let time = parse(&bytes, Duration::from_secs(103)).unwrap();
        assert_eq!(
            time,
            Time {
                stratum: 10,
                offset: Duration::from_secs(3)
            }
        );
        bytes[0] = 0xe4;
        assert!(parse(&bytes, Duration::ZERO).is_err());
    }
}
