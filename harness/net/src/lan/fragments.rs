//! IPv4 fragments: put together on the way in, cut on the way out.
//!
//! Sources: RFC 791, section 3.2; RFC 815 (the list of holes); RFC 1122, section 3.3.2 (time limit). Bounded: a few datagrams at once, each
//! no longer than IPv4 allows. A datagram that is never completed is forgotten without a message.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use smoltcp::wire::{IPV4_HEADER_LEN, IpProtocol, Ipv4Packet};

/// How long the fragments of a datagram are waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Datagrams under way at once; the oldest makes room.
const MOST: usize = 16;
/// Longest IPv4 packet in bytes.
const LONGEST: usize = 0xffff;
/// Bytes in a unit of the fragment offset.
const UNIT: usize = 8;

/// The datagrams under way.
#[derive(Debug, Default)]
pub(super) struct Reassembly(VecDeque<Partial>);

/// What tells datagrams apart.
type Key = (Ipv4Addr, Ipv4Addr, IpProtocol, u16);

#[derive(Debug)]
struct Partial {
    key: Key,
    began: Duration,
    /// The header of the first fragment.
    header: Option<Bytes>,
    payload: BytesMut,
    /// What is missing: from, and to before.
    holes: Vec<(usize, usize)>,
}

impl Reassembly {
    /// Takes a fragment, whose lengths were checked, and returns the whole packet once nothing is missing.
    pub(super) fn take(&mut self, fragment: &Ipv4Packet<&[u8]>, now: Duration) -> Option<Bytes> {
        self.0.retain(|partial| partial.began + PATIENCE > now);
        let key = (
            fragment.src_addr(),
            fragment.dst_addr(),
            fragment.next_header(),
            fragment.ident(),
        );
        let at = self.0.iter().position(|partial| partial.key == key);
        let at = at.unwrap_or_else(|| {
            if self.0.len() == MOST {
                self.0.pop_front();
            }
            self.0.push_back(Partial::new(key, now));
            self.0.len() - 1
        });
        let partial = self.0.get_mut(at)?;
        let sound = partial.add(fragment);
        if sound && !partial.holes.is_empty() {
            return None;
        }
        let partial = self.0.remove(at)?;
        sound.then(|| partial.whole()).flatten()
    }
}

impl Partial {
    fn new(key: Key, began: Duration) -> Self {
        Self {
            key,
            began,
            header: None,
            payload: BytesMut::new(),
            holes: vec![(0, LONGEST)],
        }
    }

    /// Fills holes; `false` when the fragment cannot belong to any datagram.
    fn add(&mut self, fragment: &Ipv4Packet<&[u8]>) -> bool {
        let data = fragment.payload();
        let first = usize::from(fragment.frag_offset());
        let end = first + data.len();
        let is_last = !fragment.more_frags();
        if end + IPV4_HEADER_LEN > LONGEST || !is_last && !data.len().is_multiple_of(UNIT) {
            return false;
        }
        if first == 0 {
            let header = fragment.clone().into_inner();
            let header = header.get(..usize::from(fragment.header_len()));
            self.header = header.map(Bytes::copy_from_slice);
        }
        if self.payload.len() < end {
            self.payload.resize(end, 0);
        }
        let holes = std::mem::take(&mut self.holes);
        for (from, to) in holes {
            let (start, stop) = (from.max(first), to.min(end));
            if start >= stop {
                self.holes.push((from, to));
                continue;
            }
            let source = data.get(start - first..stop - first);
            if let (Some(place), Some(source)) = (self.payload.get_mut(start..stop), source) {
                place.copy_from_slice(source);
            }
            self.holes.extend([(from, start), (stop, to)]);
        }
        if is_last {
            self.holes
                .iter_mut()
                .for_each(|hole| hole.1 = hole.1.min(end));
        }
        self.holes.retain(|(from, to)| from < to);
        true
    }

    /// The packet as if it had come in one piece.
    fn whole(self) -> Option<Bytes> {
        let header = self.header?;
        let mut bytes = BytesMut::with_capacity(header.len() + self.payload.len());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&self.payload);
        let length = u16::try_from(bytes.len()).ok()?;
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
        packet.set_total_len(length);
        packet.set_more_frags(false);
        packet.set_frag_offset(0);
        packet.fill_checksum();
        Some(bytes.freeze())
    }
}

/// Cuts an IPv4 packet with a plain header into fragments of at most `mtu` bytes; a packet that fits stays whole.
pub(super) fn cut(packet: &[u8], mtu: usize, identification: u16) -> Vec<BytesMut> {
    let Some((header, payload)) = packet.split_at_checked(IPV4_HEADER_LEN) else {
        return Vec::new();
    };
    if packet.len() <= mtu {
        return vec![packet.into()];
    }
    let step = (mtu - IPV4_HEADER_LEN) / UNIT * UNIT;
    let pieces = payload.chunks(step).enumerate().map(|(number, piece)| {
        let mut bytes = BytesMut::with_capacity(mtu);
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(piece);
        let offset = number * step;
        let length = bytes.len();
        let mut fragment = Ipv4Packet::new_unchecked(&mut bytes[..]);
        fragment.set_total_len(length as u16);
        fragment.set_ident(identification);
        fragment.set_dont_frag(false);
        fragment.set_more_frags(offset + piece.len() < payload.len());
        fragment.set_frag_offset(offset as u16);
        fragment.fill_checksum();
        bytes
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Duration = Duration::ZERO;

    /// A UDP packet with this payload.
    fn packet(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![
            0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 2, 15, 10, 0, 2, 1,
        ];
        bytes.extend(payload);
        let length = u16::try_from(bytes.len()).unwrap();
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
        packet.set_total_len(length);
        packet.fill_checksum();
        bytes
    }

    fn take(reassembly: &mut Reassembly, fragment: &[u8], now: Duration) -> Option<Bytes> {
        reassembly.take(&Ipv4Packet::new_checked(fragment).unwrap(), now)
    }

    /// What differs between a packet and itself cut and joined: identification and "don't fragment".
    fn payload_of(packet: &[u8]) -> Vec<u8> {
        let packet = Ipv4Packet::new_checked(packet).unwrap();
        assert!(packet.verify_checksum() && !packet.more_frags() && packet.frag_offset() == 0);
        packet.payload().to_vec()
    }

    proptest! {
        #[test]
        fn cut_and_joined_in_any_order_it_is_the_same(
            payload in prop::collection::vec(any::<u8>(), 1..20_000), mtu in 68..1501usize, order: u64, again in any::<prop::sample::Index>(),
        ) {
            let mut pieces = cut(&packet(&payload), mtu, 7);
            prop_assert!(pieces.iter().all(|piece| piece.len() <= mtu));
            // One of them twice, as a retransmission, and then any order.
            pieces.push(pieces[again.index(pieces.len())].clone());
            let mut state = order | 1;
            for i in (1..pieces.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                pieces.swap(i, (state >> 33) as usize % (i + 1));
            }
            let mut reassembly = Reassembly::default();
            let whole: Vec<_> = pieces.iter().filter_map(|piece| take(&mut reassembly, piece, START)).collect();
            prop_assert!(!whole.is_empty());
            prop_assert!(whole.iter().all(|whole| payload_of(whole) == payload));
        }

        #[test]
        fn foreign_fragments_do_no_harm(
            fragments in prop::collection::vec((any::<u16>(), 0..8192u16, any::<bool>(), 0..200usize), 0..60),
        ) {
            let mut reassembly = Reassembly::default();
            for (ident, offset, more, length) in fragments {
                let mut bytes = packet(&vec![1; length]);
                let mut fragment = Ipv4Packet::new_unchecked(&mut bytes[..]);
                fragment.set_ident(ident % 20);
                fragment.set_more_frags(more);
                fragment.set_frag_offset((offset & 0x1fff) * 8);
                let _ = take(&mut reassembly, &bytes, START);
            }
            prop_assert!(reassembly.0.len() <= MOST);
            prop_assert!(reassembly.0.iter().all(|partial| partial.payload.len() <= LONGEST));
        }
    }

    #[test]
    fn time_and_room_are_bounded() {
        let mut reassembly = Reassembly::default();
        let pieces = cut(&packet(&[1; 3000]), 1500, 1);
        assert!(take(&mut reassembly, &pieces[0], START).is_none());
        assert!(take(&mut reassembly, &pieces[1], START).is_none());
        assert!(
            take(&mut reassembly, &pieces[2], START + PATIENCE).is_none(),
            "too late"
        );
        for identification in 0..100 {
            let pieces = cut(&packet(&[1; 3000]), 1500, identification);
            assert!(take(&mut reassembly, &pieces[0], START).is_none());
        }
        assert_eq!(reassembly.0.len(), MOST);
    }

    /// "Ping of death": the last fragment would end behind the longest packet.
    #[test]
    fn a_packet_longer_than_any_is_dropped() {
        let mut reassembly = Reassembly::default();
        let mut bytes = packet(&[1; 1000]);
        Ipv4Packet::new_unchecked(&mut bytes[..]).set_frag_offset(8191 * 8);
        assert!(take(&mut reassembly, &bytes, START).is_none());
        assert!(reassembly.0.is_empty());
    }
}
