//! A smaller window for what a board receives by TCP, for adapters that do not survive more frames at once. Pure.
//!
//! Source: RFC 9293, section 3.1 (window); RFC 7323, section 2.2 (its scale, which is agreed on by both sides or not at all).

use bytes::{Bytes, BytesMut};
use shakedown_base::fault::Way;
use smoltcp::wire::{Ipv4Packet, TcpPacket};

use super::packet::{ETHERNET_HEADER, segment};

const NOTHING: u8 = 1;
const SCALE: u8 = 3;

/// A frame of a connection on which the board takes at most so many bytes at a time. Other frames are as they were.
pub(super) fn clamped(way: Way, frame: Bytes, most: u16) -> Bytes {
    clamp(way, &frame, most).unwrap_or(frame)
}

fn clamp(way: Way, frame: &[u8], most: u16) -> Option<Bytes> {
    let (ends, seen) = segment(frame)?;
    if way != Way::FromBoard && !seen.opens {
        return None;
    }
    let mut changed = BytesMut::from(frame);
    let mut packet = Ipv4Packet::new_checked(changed.get_mut(ETHERNET_HEADER..)?).ok()?;
    let mut segment = TcpPacket::new_checked(packet.payload_mut()).ok()?;
    // If one side does not offer a scale, both sides work without one, whoever opens the connection.
    if seen.opens {
        forget_scale(segment.options_mut());
    }
    if way == Way::FromBoard {
        segment.set_window_len(segment.window_len().min(most));
    }
    let [from, to] = [ends.from, ends.to].map(|end| (*end.ip()).into());
    segment.fill_checksum(&from, &to);
    Some(changed.freeze())
}

/// Blanks the option that offers a scale.
fn forget_scale(mut options: &mut [u8]) {
    loop {
        let length = match options {
            [] | [0, ..] => return,
            [NOTHING, ..] => 1,
            [_, length, ..] => usize::from(*length).max(2),
            [_] => return,
        };
        let Some((option, rest)) = options.split_at_mut_checked(length) else {
            return;
        };
        if option.first() == Some(&SCALE) {
            option.fill(NOTHING);
        }
        options = rest;
    }
}

#[cfg(test)]
mod tests {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{
        EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpAddress, IpProtocol,
        Ipv4Address, Ipv4Repr, TcpControl, TcpRepr, TcpSeqNumber,
    };

    use super::*;

    const FROM: Ipv4Address = Ipv4Address::new(10, 42, 1, 0);
    const TO: Ipv4Address = Ipv4Address::new(10, 42, 0, 1);

    fn frame(control: TcpControl, window: u16) -> Bytes {
        answer(control, window, None)
    }

    fn answer(control: TcpControl, window: u16, acknowledges: Option<TcpSeqNumber>) -> Bytes {
        let tcp = TcpRepr {
            src_port: 4000,
            dst_port: 80,
            control,
            seq_number: TcpSeqNumber(7),
            ack_number: acknowledges,
            window_len: window,
            window_scale: matches!(control, TcpControl::Syn).then_some(9),
            max_seg_size: matches!(control, TcpControl::Syn).then_some(1460),
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: b"",
        };
        let ip = Ipv4Repr {
            src_addr: FROM,
            dst_addr: TO,
            next_header: IpProtocol::Tcp,
            payload_len: tcp.buffer_len(),
            hop_limit: 64,
        };
        let ethernet = EthernetRepr {
            src_addr: EthernetAddress([2; 6]),
            dst_addr: EthernetAddress([4; 6]),
            ethertype: EthernetProtocol::Ipv4,
        };
        let mut bytes = vec![0; ETHERNET_HEADER + ip.buffer_len() + tcp.buffer_len()];
        ethernet.emit(&mut EthernetFrame::new_unchecked(&mut bytes));
        let checksums = ChecksumCapabilities::default();
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes[ETHERNET_HEADER..]);
        ip.emit(&mut packet, &checksums);
        let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
        let (from, to) = (IpAddress::Ipv4(FROM), IpAddress::Ipv4(TO));
        tcp.emit(&mut segment, &from, &to, &checksums);
        bytes.into()
    }

    fn read(frame: &[u8]) -> TcpRepr<'_> {
        let packet = Ipv4Packet::new_checked(&frame[ETHERNET_HEADER..]).unwrap();
        let segment = TcpPacket::new_checked(packet.payload()).unwrap();
        let checksums = ChecksumCapabilities::default();
        let (from, to) = (IpAddress::Ipv4(FROM), IpAddress::Ipv4(TO));
        TcpRepr::parse(&segment, &from, &to, &checksums).unwrap()
    }

    #[test]
    fn a_window_is_no_larger_and_has_no_scale() {
        let opens = clamped(Way::FromBoard, frame(TcpControl::Syn, 60_000), 20_480);
        let segment = read(&opens);
        assert_eq!((segment.window_len, segment.window_scale), (20_480, None));
        assert_eq!(segment.max_seg_size, Some(1460));
        let small = clamped(Way::FromBoard, frame(TcpControl::None, 100), 20_480);
        assert_eq!(small, frame(TcpControl::None, 100));
        let large = clamped(Way::FromBoard, frame(TcpControl::None, 60_000), 20_480);
        assert_eq!(read(&large).window_len, 20_480);
    }

    #[test]
    fn a_connection_to_the_board_has_no_scale_either() {
        let opens = clamped(Way::ToBoard, frame(TcpControl::Syn, 60_000), 20_480);
        let segment = read(&opens);
        assert_eq!((segment.window_len, segment.window_scale), (60_000, None));
        let answer = answer(TcpControl::Syn, 60_000, Some(TcpSeqNumber(8)));
        let segment = clamped(Way::FromBoard, answer.clone(), 20_480);
        assert_eq!(read(&segment).window_len, 20_480);
        assert_eq!(clamped(Way::ToBoard, answer.clone(), 20_480), answer);
    }

    proptest::proptest! {
        #[test]
        fn damaged_frames_do_no_harm(length in 0..80_usize, at in 0..80_usize, byte: u8, way in 0..2) {
            let mut bytes = frame(TcpControl::Syn, 60_000).to_vec();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(length);
            let way = [Way::FromBoard, Way::ToBoard][way as usize];
            let same = clamped(way, Bytes::from(bytes.clone()), 20_480);
            proptest::prop_assert_eq!(same.len(), bytes.len());
        }
    }
}
