//! Checksums and segments against a plain implementation.

use proptest::prelude::*;

use super::super::offload::{OffloadError, insert, segment};

/// What a datagram is made of.
#[derive(Debug, Clone)]
struct Datagram {
    v6: bool,
    tagged: bool,
    tcp: bool,
    payload: Vec<u8>,
}

fn datagram(longest: usize) -> impl Strategy<Value = Datagram> {
    let payload = proptest::collection::vec(any::<u8>(), 0..longest);
    (any::<[bool; 3]>(), payload).prop_map(|([v6, tagged, tcp], payload)| Datagram {
        v6,
        tagged,
        tcp,
        payload,
    })
}

impl Datagram {
    fn network(&self) -> usize {
        if self.tagged { 18 } else { 14 }
    }

    fn transport(&self) -> usize {
        self.network() + if self.v6 { 40 } else { 20 }
    }

    fn payload_at(&self) -> usize {
        self.transport() + if self.tcp { 20 } else { 8 }
    }

    /// The frame, with rubbish where the checksums belong.
    fn frame(&self) -> Vec<u8> {
        let transport_length = self.payload_at() - self.transport() + self.payload.len();
        let protocol = if self.tcp { 6 } else { 17 };
        let mut frame = vec![2; 12];
        if self.tagged {
            frame.extend([0x81, 0x00, 0x20, 0x05]);
        }
        let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
        if self.v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(length(transport_length));
            frame.extend([protocol, 64]);
            frame.extend((0..32).map(|i| i * 7));
        } else {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend(length(20 + transport_length));
            frame.extend([0x12, 0xff, 0x40, 0, 64, protocol, 0xde, 0xad]);
            frame.extend([10, 77, 0, 15, 10, 77, 0, 1]);
        }
        if self.tcp {
            frame.extend([0x01, 0xbb, 0x80, 0x01, 0xff, 0xff, 0xff, 0x00]);
            frame.extend([0, 0, 0, 1, 0x50, 0x99, 0x10, 0, 0xbe, 0xef, 0, 0]);
        } else {
            frame.extend([0x01, 0xbb, 0x80, 0x01]);
            frame.extend(length(transport_length));
            frame.extend([0xbe, 0xef]);
        }
        frame.extend(&self.payload);
        frame
    }

    /// The sums that a receiver computes over IP header and over transport with pseudo header: all ones when they are right.
    fn sums(&self, frame: &[u8]) -> (u32, u32) {
        let ip = &frame[self.network()..self.transport()];
        let transport = &frame[self.transport()..];
        let addresses = if self.v6 { &ip[8..40] } else { &ip[12..20] };
        let mut pseudo = addresses.to_vec();
        pseudo.extend(u32::try_from(transport.len()).unwrap().to_be_bytes());
        pseudo.extend([0, 0, 0, if self.tcp { 6 } else { 17 }]);
        pseudo.extend(transport);
        let header = if self.v6 { 0xffff } else { fold(ip) };
        (header, fold(&pseudo))
    }
}

fn fold(bytes: &[u8]) -> u32 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|w| u32::from(w[0]) << 8 | w.get(1).map_or(0, |&b| b.into()))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

proptest! {
    #[test]
    fn checksums_are_right(datagram in datagram(1400)) {
        let mut frame = datagram.frame();
        let count = insert(&mut frame, true, true).unwrap();
        prop_assert_eq!(count, if datagram.v6 { 1 } else { 2 });
        prop_assert_eq!(datagram.sums(&frame), (0xffff, 0xffff));
        prop_assert_eq!(&frame[datagram.payload_at()..], &datagram.payload[..]);
    }

    /// Padding behind the datagram does not count.
    #[test]
    fn padding_is_no_part_of_it(datagram in datagram(20), padding in 1..20usize) {
        let mut frame = datagram.frame();
        let length = frame.len();
        frame.resize(length + padding, 0xaa);
        insert(&mut frame, true, true).unwrap();
        prop_assert_eq!(datagram.sums(&frame[..length]), (0xffff, 0xffff));
    }

    /// The segments' payloads joined are the payload; each is a right frame in its place.
    #[test]
    fn segments_join_to_the_whole(datagram in datagram(9000), mss in 8..1500usize, add in 0..3usize, times in 1..4usize) {
        let mut datagram = Datagram { tcp: true, ..datagram };
        // Lengths round multiples of the segment size, too.
        let exact = mss * times + add - 1;
        if datagram.payload.len() > exact {
            datagram.payload.truncate(exact);
        }
        let frame = datagram.frame();
        let pieces = segment(&frame, mss).unwrap();
        prop_assert_eq!(pieces.len(), datagram.payload.len().div_ceil(mss).max(1));
        let mut joined = Vec::new();
        for (number, piece) in pieces.iter().enumerate() {
            let payload = &piece[datagram.payload_at()..];
            let part = Datagram { payload: payload.to_vec(), ..datagram.clone() };
            prop_assert_eq!(part.sums(piece), (0xffff, 0xffff));
            let tcp = &piece[datagram.transport()..];
            let sequence = u32::from_be_bytes(tcp[4..8].try_into().unwrap());
            let expected = 0xffff_ff00u32.wrapping_add(u32::try_from(joined.len()).unwrap());
            prop_assert_eq!(sequence, expected);
            let last = number + 1 == pieces.len();
            prop_assert_eq!(tcp[13] & 0x09, if last { 0x09 } else { 0 }, "FIN and PSH");
            prop_assert_eq!(tcp[13] & 0x80, if number == 0 { 0x80 } else { 0 }, "CWR");
            let ip = &piece[datagram.network()..];
            if !datagram.v6 {
                let id = u16::from_be_bytes([ip[4], ip[5]]);
                prop_assert_eq!(id, 0x12ffu16.wrapping_add(u16::try_from(number).unwrap()));
            }
            joined.extend_from_slice(payload);
        }
        prop_assert_eq!(joined, datagram.payload);
    }

    #[test]
    fn nothing_breaks_it(frame in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..4usize, mss in 0..200usize) {
        let mut frame = frame;
        let types = [[0x08, 0x00], [0x86, 0xdd], [0x81, 0x00], [0x08, 0x06]];
        if let Some(place) = frame.get_mut(12..14) {
            place.copy_from_slice(&types[kind]);
        }
        let _ = segment(&frame, mss);
        let length = frame.len();
        let _ = insert(&mut frame, true, true);
        prop_assert_eq!(frame.len(), length);
    }
}

#[test]
fn fragments_and_other_protocols_keep_what_they_have() {
    let udp = Datagram {
        v6: false,
        tagged: false,
        tcp: false,
        payload: vec![1; 100],
    };
    let mut fragment = udp.frame();
    fragment[20] = 0x20;
    assert_eq!(insert(&mut fragment, true, true), Ok(1), "only the header");
    assert_eq!(fragment[40..42], [0xbe, 0xef]);
    let mut arp = [&[0xff; 12][..], &[0x08, 0x06], &[0; 28]].concat();
    assert_eq!(insert(&mut arp, true, true), Ok(0));
    assert_eq!(segment(&arp, 1000), Err(OffloadError::NotTcp));
    assert_eq!(segment(&udp.frame(), 1000), Err(OffloadError::NotTcp));
    assert_eq!(segment(&udp.frame(), 7), Err(OffloadError::Mss { mss: 7 }));
    let mut short = udp.frame();
    short.truncate(100);
    let truncated = OffloadError::Truncated { length: 100 };
    assert_eq!(insert(&mut short, true, true), Err(truncated));
}

/// RFC 768: a computed sum of zero is sent as all ones.
#[test]
fn a_udp_checksum_of_zero_is_all_ones() {
    let mut udp = Datagram {
        v6: false,
        tagged: false,
        tcp: false,
        payload: vec![0, 0],
    };
    let mut frame = udp.frame();
    insert(&mut frame, false, true).unwrap();
    let sum = u16::from_be_bytes([frame[40], frame[41]]);
    // With the sum itself as payload the whole sum is zero.
    udp.payload = sum.to_be_bytes().to_vec();
    let mut frame = udp.frame();
    insert(&mut frame, false, true).unwrap();
    assert_eq!(frame[40..42], [0xff, 0xff]);
}
