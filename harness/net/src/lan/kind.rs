//! Classifies frames, for counters and faults. Pure functions.
//!
//! Sources: IEEE 802.3, RFC 826, 791 (a fragment behind the first has no ports), 768, 9293, IANA's port numbers.

use shakedown_base::timeline::FrameKind;

use super::frame::ETHERNET_HEADER;
use super::tftp::TRANSFERS;

/// The kinds that an Ethernet frame without FCS is of. Every frame is of [`FrameKind::Any`].
#[must_use]
pub fn kinds_of(frame: &[u8]) -> Vec<FrameKind> {
    let mut kinds = vec![FrameKind::Any];
    match frame.get(12..ETHERNET_HEADER) {
        Some([0x08, 0x06]) => kinds.push(FrameKind::Arp),
        Some([0x08, 0x00]) => {
            let packet = frame.get(ETHERNET_HEADER..).unwrap_or_default();
            kinds.extend(of_ipv4(packet));
        }
        // ICMPv6 is the next header of an IPv6 packet without extensions.
        Some([0x86, 0xdd]) if frame.get(ETHERNET_HEADER + 6) == Some(&58) => {
            kinds.push(FrameKind::Icmp);
        }
        _ => {}
    }
    kinds
}

fn of_ipv4(packet: &[u8]) -> Vec<FrameKind> {
    let header = packet.first().map_or(0, |b| usize::from(b & 0x0f) * 4);
    let transport = match packet.get(9) {
        Some(1) => return vec![FrameKind::Icmp],
        Some(6) => FrameKind::Tcp,
        Some(17) => FrameKind::Udp,
        _ => return Vec::new(),
    };
    let mut kinds = vec![transport];
    let is_first = packet
        .get(6..8)
        .is_some_and(|b| b[0] & 0x1f == 0 && b[1] == 0);
    let ports = packet
        .get(header..)
        .and_then(|rest| rest.first_chunk::<4>());
    let Some([a, b, c, d]) = ports.filter(|_| is_first) else {
        return kinds;
    };
    let (from, to) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
    let has = |port| from == port || to == port;
    let udp = transport == FrameKind::Udp;
    if udp && has(67) {
        kinds.push(FrameKind::Dhcp);
    }
    if has(53) {
        kinds.push(FrameKind::Dns);
    }
    if udp && has(123) {
        kinds.push(FrameKind::Ntp);
    }
    let is_transfer = from.min(to) >= 1024 && TRANSFERS.contains(&from.max(to));
    if udp && (has(69) || is_transfer) {
        kinds.push(FrameKind::Tftp);
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use FrameKind::{Any, Arp, Dhcp, Dns, Icmp, Tcp, Tftp, Udp};

    fn ipv4(protocol: u8, fragment: u8, from: u16, to: u16) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0, 0, 28, 0, 0, 0, fragment, 64, protocol]);
        frame.extend([0; 10]);
        frame.extend(from.to_be_bytes());
        frame.extend(to.to_be_bytes());
        frame
    }

    #[test]
    fn frames_are_told_apart() {
        let mut arp = vec![0; 12];
        arp.extend([0x08, 0x06]);
        for (frame, kinds) in [
            (ipv4(17, 0, 68, 67), vec![Any, Udp, Dhcp]),
            (ipv4(17, 0, 1234, 53), vec![Any, Udp, Dns]),
            (ipv4(6, 0, 1234, 53), vec![Any, Tcp, Dns]),
            (ipv4(6, 0, 68, 67), vec![Any, Tcp]),
            (ipv4(17, 0, 1234, 69), vec![Any, Udp, Tftp]),
            (ipv4(17, 0, 49153, 2000), vec![Any, Udp, Tftp]),
            (ipv4(17, 0, 2000, 49153), vec![Any, Udp, Tftp]),
            (ipv4(6, 0, 2000, 49153), vec![Any, Tcp]),
            (ipv4(17, 0, 49153, 53), vec![Any, Udp, Dns]),
            (ipv4(17, 3, 68, 67), vec![Any, Udp]),
            (ipv4(1, 0, 0, 0), vec![Any, Icmp]),
            (arp, vec![Any, Arp]),
            (vec![0; 13], vec![Any]),
            (vec![8, 0], vec![Any]),
        ] {
            assert_eq!(kinds_of(&frame), kinds, "{frame:?}");
        }
        let short = ipv4(17, 0, 68, 67);
        for length in 0..short.len() {
            assert!(kinds_of(&short[..length]).starts_with(&[Any]));
        }
    }
}
