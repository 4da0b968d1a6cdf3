//! Single frames through the faults, without a clock. `tests/lan/faults.rs` has whole guests behind them.

use shakedown_base::fault::{Fault, TcpAct, TcpDefect};
use shakedown_base::timeline::Timeline;

use super::*;

fn spoiler(defect: Defect, skip: u64, times: Option<u64>) -> Spoiler {
    let fault = Fault {
        skip,
        times,
        ..Fault::new("fault", defect)
    };
    Spoiler {
        faults: Faults::new(7, vec![fault], Timeline::start()),
        rogue: Rogue::default(),
    }
}

fn cable(defect: CableDefect) -> Defect {
    Defect::Cable(defect)
}

/// An Ethernet frame of a kind that no fault knows, with a number in it.
fn frame(number: u8) -> Bytes {
    let mut bytes = vec![2; 60];
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    bytes[20] = number;
    bytes.into()
}

#[test]
fn only_frames_of_the_way_and_kind_are_lost() {
    let loses = |way, of| {
        let mut spoiler = spoiler(
            cable(CableDefect {
                way,
                of,
                loss: 1.0,
                ..CableDefect::default()
            }),
            1,
            Some(2),
        );
        let sent = (0..5)
            .map(|n| (Way::ToBoard, n))
            .chain((5..10).map(|n| (Way::FromBoard, n)));
        let come = sent.filter(|(way, n)| !spoiler.spoiled(*way, frame(*n)).is_empty());
        come.map(|(_, n)| n).collect::<Vec<_>>()
    };
    let all: Vec<u8> = (0..10).collect();
    assert_eq!(loses(Way::ToBoard, None), [0, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(loses(Way::FromBoard, None), [0, 1, 2, 3, 4, 5, 8, 9]);
    assert_eq!(loses(Way::Both, Some(FrameKind::Arp)), all);
}

#[test]
fn frames_are_damaged_in_one_bit_and_keep_their_addresses() {
    let mut spoiler = spoiler(
        cable(CableDefect {
            corrupt: 1.0,
            ..CableDefect::default()
        }),
        0,
        None,
    );
    for number in 0..100 {
        let come = spoiler.spoiled(Way::ToBoard, frame(number));
        let [(_, damaged, _)] = &come[..] else {
            panic!("{come:?}");
        };
        let sent = frame(number);
        assert_eq!(damaged[..12], sent[..12]);
        let bits: u32 = damaged
            .iter()
            .zip(&sent[..])
            .map(|(a, b)| (a ^ b).count_ones())
            .sum();
        assert_eq!(bits, 1);
    }
}

#[test]
fn frames_come_twice_late_and_out_of_order() {
    let mut twice = spoiler(
        cable(CableDefect {
            duplicate: 1.0,
            reorder: 1.0,
            delay: Duration::from_millis(30),
            jitter: Duration::from_millis(10),
            ..CableDefect::default()
        }),
        0,
        None,
    );
    let come = twice.spoiled(Way::ToBoard, frame(1));
    assert_eq!(come.len(), 2);
    let (_, _, travel) = come[0];
    assert!(travel.is_held && travel.delay >= Duration::from_millis(30));
    assert!(travel.delay < Duration::from_millis(40));
}

/// A TCP segment of the board with these flags, by hand: 10.0.2.100:50000 to 10.0.2.1:80.
fn segment_to_server(flags: u8) -> Bytes {
    let ends = super::super::packet::Ends {
        from_mac: smoltcp::wire::EthernetAddress([2, 0, 0, 0, 0, 1]),
        to_mac: smoltcp::wire::EthernetAddress([2, 0, 0, 0, 0, 2]),
        from: "10.0.2.100:50000".parse().unwrap(),
        to: "10.0.2.1:80".parse().unwrap(),
    };
    let reset = super::super::packet::reset(ends, smoltcp::wire::TcpSeqNumber(1000), None);
    let mut bytes = reset.to_vec();
    bytes[14 + 20 + 13] = flags;
    bytes.into()
}

#[test]
fn a_connection_is_refused_in_the_servers_name() {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let refuse = Defect::Tcp(TcpDefect {
        port: 80,
        does: TcpAct::Refuse,
    });
    let mut spoiler = spoiler(refuse, 0, Some(1));
    let established = segment_to_server(ACK);
    assert_eq!(
        spoiler.spoiled(Way::FromBoard, established.clone())[0].1,
        established
    );
    let come = spoiler.spoiled(Way::FromBoard, segment_to_server(SYN));
    let [(Way::ToBoard, reset, _)] = &come[..] else {
        panic!("{come:?}");
    };
    let (ends, segment) = super::super::packet::segment(reset).unwrap();
    assert_eq!(
        (ends.from.to_string(), ends.to.to_string()),
        ("10.0.2.1:80".into(), "10.0.2.100:50000".into())
    );
    assert_eq!(segment.acknowledges.0, 1001);
    let tcp = smoltcp::wire::TcpPacket::new_checked(&reset[34..]).unwrap();
    assert!(tcp.rst() && tcp.ack());
    // Once only.
    assert_eq!(
        spoiler.spoiled(Way::FromBoard, segment_to_server(SYN))[0].0,
        Way::FromBoard
    );
}

proptest::proptest! {
    #[test]
    fn foreign_frames_do_no_harm(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        use shakedown_base::fault::{DhcpDefect, DnsDefect, NtpDefect, TftpDefect};
        let frame = Bytes::from(bytes);
        for defect in [
            Defect::Dhcp(DhcpDefect::Rogue), Defect::Dhcp(DhcpDefect::Nak), Defect::Dns(DnsDefect::WrongAddress), Defect::Ntp(NtpDefect { years: -3 }),
            Defect::Dhcp(DhcpDefect::WrongMask), Defect::Dhcp(DhcpDefect::ShortLease), Defect::Tftp(TftpDefect::TooSmall), Defect::Tftp(TftpDefect::GivesUp),
            Defect::Tcp(TcpDefect { port: 80, does: TcpAct::Reset }),
        ] {
            let mut spoiler = spoiler(defect, 0, None);
            for way in [Way::ToBoard, Way::FromBoard] {
                let _ = spoiler.spoiled(way, frame.clone());
            }
        }
    }
}
