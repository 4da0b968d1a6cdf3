//! NTP: tells guests the time of a clock that the caller chooses.
//!
//! Source: RFC 5905, section 7.3 (packet), 9.2 (server mode), 6 (time format).

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::udp::{Answer, Datagram, Service, To};
use shakedown_base::timeline::Event;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Port of the service.
pub(super) const PORT: u16 = 123;
/// Seconds from the NTP epoch, 1900, to the Unix epoch.
const TO_UNIX: u64 = 2_208_988_800;
/// Bytes of a packet without extension fields.
const LENGTH: usize = 48;
/// Association modes.
const CLIENT: u8 = 3;
const SERVER: u8 = 4;

/// A stratum 1 server.
pub(super) struct Ntp {
    pub(super) clock: Clock,
}

impl Service for Ntp {
    fn answer(&mut self, request: &Datagram<'_>, _now: Duration) -> Option<Answer> {
        let reply = reply(request.payload, (self.clock)())?;
        Some(Answer {
            reply: Some((To::Sender, reply.to_vec())),
            event: Some(Event::Ntp {
                server: *request.destination.ip(),
            }),
        })
    }
}

/// The reply to a client's packet; `None` when it is no such packet.
fn reply(request: &[u8], time: SystemTime) -> Option<[u8; LENGTH]> {
    let request: &[u8; LENGTH] = request.first_chunk()?;
    let [flags, _, poll, ..] = *request;
    let version = flags >> 3 & 0b111;
    if flags & 0b111 != CLIENT || !(1..=4).contains(&version) {
        return None;
    }
    let now = timestamp(time);
    let mut reply = [0; LENGTH];
    // Leap indicator 0, stratum 1, precision 2^-20 s.
    reply[..4].copy_from_slice(&[version << 3 | SERVER, 1, poll, (-20i8).cast_unsigned()]);
    // Root dispersion in units of 2^-16 s: about a millisecond.
    reply[8..12].copy_from_slice(&0x40u32.to_be_bytes());
    reply[12..16].copy_from_slice(b"LOCL");
    reply[16..24].copy_from_slice(&now);
    reply[24..32].copy_from_slice(&request[40..]);
    reply[32..40].copy_from_slice(&now);
    reply[40..].copy_from_slice(&now);
    Some(reply)
}

/// Seconds since 1900, modulo 2^32 as the format wants it, and a binary fraction.
fn timestamp(time: SystemTime) -> [u8; 8] {
    let unix = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = unix.as_secs().wrapping_add(TO_UNIX) << 32;
    let fraction = (u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000;
    (seconds | fraction).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_client_gets_its_time_stamp_back() {
        let mut request = [0; LENGTH];
        request[0] = 0b11_100_011;
        request[2] = 6;
        request[40..].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let time = UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
        insta::assert_snapshot!(hex::encode(reply(&request, time).unwrap()), @"240106ec00000000000000404c4f434ce8fe6f80800000000102030405060708e8fe6f8080000000e8fe6f8080000000");
    }

    #[test]
    fn time_wraps_in_2036_as_the_format_says() {
        let second_era = UNIX_EPOCH + Duration::from_secs((1 << 32) - TO_UNIX);
        assert_eq!(timestamp(second_era), [0; 8]);
    }

    #[test]
    fn only_clients_are_answered() {
        let ask = |flags: u8| {
            let mut request = [0; LENGTH];
            request[0] = flags;
            reply(&request, UNIX_EPOCH).is_some()
        };
        assert!(ask(0b00_011_011));
        assert!(!ask(0b00_100_100), "a server's reply must not start a loop");
        assert!(!ask(0b00_000_011), "version 0 never existed");
    }

    proptest! {
        #[test]
        fn foreign_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = reply(&bytes, UNIX_EPOCH);
        }
    }
}
