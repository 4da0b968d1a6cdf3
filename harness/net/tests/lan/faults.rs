//! Faults of the cable, and of the servers behind it, through a guest's own stack.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use shakedown_base::fault::{
    CableDefect, Defect, DhcpDefect, DnsDefect, Fault, Faults, NtpDefect, TcpAct, TcpDefect, Way,
};
use shakedown_base::timeline::{Event, FrameKind, Timeline};
use shakedown_net::fault::impaired;
use shakedown_net::lan::{Boot, Config, Direction, Lan};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::craft::dns_query;
use crate::guest::{GATEWAY, Guest};

const DNS: SocketAddrV4 = SocketAddrV4::new(GATEWAY, 53);
const HUB: Ipv4Addr = Ipv4Addr::new(44, 208, 254, 194);

type Defects<const N: usize> = [(Defect, Option<u64>); N];

/// A guest on a cable with these faults.
fn guest_with<const N: usize>(defects: Defects<N>) -> (Lan, Guest, Timeline) {
    let timeline = Timeline::start();
    let (lan, guest) = guest_on(faults(defects, &timeline), &timeline);
    (lan, guest, timeline)
}

fn faults<const N: usize>(defects: Defects<N>, timeline: &Timeline) -> Faults {
    let faults = defects.into_iter().map(|(defect, times)| Fault {
        times,
        ..Fault::new("fault", defect)
    });
    Faults::new(1, faults.collect(), timeline.clone())
}

fn guest_on(faults: Faults, timeline: &Timeline) -> (Lan, Guest) {
    let mut config = Config::default();
    config.names.insert("docker.io".into(), HUB);
    config.ntp = vec![GATEWAY];
    config.dhcp.boot = Some(Boot {
        next_server: GATEWAY,
        ipxe: Some("http://ci-gateway/boot.ipxe".into()),
        file: None,
        http: None,
        by_architecture: Vec::new(),
    });
    let lan = Lan::start(config, timeline.clone()).unwrap();
    let guest = Guest::behind(impaired(lan.attach(), faults, None), 7);
    (lan, guest)
}

/// How often a fault has shown.
fn fired(timeline: &Timeline) -> usize {
    let records = timeline.snapshot();
    let is_fault = |event: &Event| matches!(event, Event::Fault { .. });
    records.iter().filter(|r| is_fault(&r.event)).count()
}

fn cable(defect: CableDefect) -> Defect {
    Defect::Cable(defect)
}

/// A server that sends this to its first client, and closes its side.
fn server_of(lan: &Lan, body: Vec<u8>) -> SocketAddrV4 {
    let server = SocketAddrV4::new(HUB, 80);
    let mut listener = lan.listen(*server.ip(), server.port()).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = axum::serve::Listener::accept(&mut listener).await;
        stream.write_all(&body).await.unwrap();
        stream.shutdown().await.unwrap();
        std::future::pending::<()>().await;
    });
    server
}

#[tokio::test(start_paused = true)]
async fn a_dhcp_server_that_comes_late_is_waited_for() {
    let loss = CableDefect {
        way: Way::ToBoard,
        of: Some(FrameKind::Dhcp),
        loss: 1.0,
        ..CableDefect::default()
    };
    let (_lan, mut guest, timeline) = guest_with([(cable(loss), Some(3))]);
    let (address, ..) = guest.dhcp().await;
    assert_eq!(address.to_string(), "10.0.2.100/24");
    assert_eq!(fired(&timeline), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refused_lease_is_asked_for_again() {
    let (_lan, mut guest, timeline) = guest_with([(Defect::Dhcp(DhcpDefect::Nak), Some(2))]);
    guest.dhcp().await;
    assert_eq!(fired(&timeline), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_router_is_believed() {
    let (_lan, mut guest, _) = guest_with([(Defect::Dhcp(DhcpDefect::WrongRouter), None)]);
    let (_, router, dns) = guest.dhcp().await;
    let nobody = Ipv4Addr::new(10, 0, 2, 254);
    assert_eq!((router, dns), (Some(nobody), vec![nobody]));
}

#[tokio::test(start_paused = true)]
async fn a_mask_leaves_nobody_and_a_short_lease_is_renewed() {
    let (_lan, mut guest, _) = guest_with([(Defect::Dhcp(DhcpDefect::WrongMask), None)]);
    let (address, ..) = guest.dhcp().await;
    assert_eq!(address.to_string(), "10.0.2.100/32");
    let (_lan, mut guest, timeline) = guest_with([(Defect::Dhcp(DhcpDefect::ShortLease), None)]);
    guest.dhcp().await;
    let before = fired(&timeline);
    guest.run_for(Duration::from_secs(60)).await;
    let renewed = fired(&timeline) - before;
    assert!((5..=16).contains(&renewed), "{renewed}");
}

#[tokio::test(start_paused = true)]
async fn frames_are_held_until_the_fault_ends() {
    const HELD: Duration = Duration::from_secs(3);
    let hold = CableDefect {
        way: Way::ToBoard,
        of: Some(FrameKind::Dns),
        hold: true,
        ..CableDefect::default()
    };
    let timeline = Timeline::start();
    let faults = faults([(cable(hold), None)], &timeline);
    let (_lan, mut guest) = guest_on(faults.clone(), &timeline);
    guest.dhcp().await;
    let began = Instant::now();
    tokio::spawn(async move {
        tokio::time::sleep(HELD).await;
        faults.end(0);
    });
    let reply = guest.ask(DNS, &dns_query("docker.io")).await;
    assert_eq!(reply[reply.len() - 4..], HUB.octets());
    assert!(began.elapsed() >= HELD, "{:?}", began.elapsed());
    assert_eq!(fired(&timeline), 1);
}

#[tokio::test(start_paused = true)]
async fn a_board_with_a_small_window_gets_a_large_file() {
    let timeline = Timeline::start();
    let lan = Lan::start(Config::default(), timeline.clone()).unwrap();
    let mut seen = lan.observe();
    let none = Faults::new(1, Vec::new(), timeline.clone());
    let mut guest = Guest::behind(impaired(lan.attach(), none, Some(4096)), 7);
    guest.dhcp().await;
    let body: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
    let server = server_of(&lan, body.clone());
    let connection = guest.connect(server).await.unwrap();
    assert!(guest.converse(connection, b"", true).await == body);
    let mut windows = Vec::new();
    while let Ok(observed) = seen.try_recv() {
        let frame = &observed.frame;
        let is_tcp = frame.get(12..14) == Some(&[8, 0][..]) && frame.get(23) == Some(&6);
        if is_tcp && matches!(observed.direction, Direction::FromGuest) {
            windows.push(u16::from_be_bytes([frame[48], frame[49]]));
        }
    }
    assert!(windows.len() > 40, "{}", windows.len());
    assert!(windows.iter().all(|window| *window <= 4096), "{windows:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_may_take_the_second_servers_offer_and_keeps_its_address() {
    let (_lan, mut guest, timeline) = guest_with([(Defect::Dhcp(DhcpDefect::Rogue), None)]);
    guest.dhcp().await;
    guest.run_for(Duration::from_secs(1900)).await;
    // An offer and its acknowledgement; the renewal goes to the second server, which is not there, and is asked for by broadcast later.
    assert!(fired(&timeline) >= 2, "{}", fired(&timeline));
    let is_lease = |event: &Event| matches!(event, Event::Lease { .. });
    assert!(timeline.snapshot().iter().any(|r| is_lease(&r.event)));
}

#[tokio::test(start_paused = true)]
async fn names_are_wrong_in_every_way() {
    for (defect, code, answers, last) in [
        (DnsDefect::WrongAddress, 0, 1, [192, 0, 2, 254]),
        (DnsDefect::NoSuchName, 3, 0, [0, 1, 0, 1]),
        (DnsDefect::Failed, 2, 0, [0, 1, 0, 1]),
        (DnsDefect::Truncated, 0, 0, [0, 1, 0, 1]),
    ] {
        let (_lan, mut guest, _) = guest_with([(Defect::Dns(defect), Some(1))]);
        guest.dhcp().await;
        let reply = guest.ask(DNS, &dns_query("docker.io")).await;
        assert_eq!((reply[3] & 15, reply[7]), (code, answers), "{defect:?}");
        assert_eq!(reply[2] & 2 != 0, defect == DnsDefect::Truncated);
        assert_eq!(reply[reply.len() - 4..], last, "{defect:?}");
        // The next answer is right again.
        let reply = guest.ask(DNS, &dns_query("docker.io")).await;
        assert_eq!(reply[reply.len() - 4..], HUB.octets(), "{defect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_is_years_off() {
    let ask = |years| async move {
        let (_lan, mut guest, _) = guest_with([(Defect::Ntp(NtpDefect { years }), None)]);
        guest.dhcp().await;
        let mut request = [0; 48];
        request[0] = 0b00_100_011;
        let reply = guest.ask(SocketAddrV4::new(GATEWAY, 123), &request).await;
        u32::from_be_bytes(reply[40..44].try_into().unwrap())
    };
    let (now, later) = (ask(0).await, ask(10).await);
    let years = f64::from(later.wrapping_sub(now)) / (365.0 * 86_400.0);
    assert!((9.99..10.01).contains(&years), "{years}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_and_a_lossy_slow_cable() {
    let refuse = Defect::Tcp(TcpDefect {
        port: 80,
        does: TcpAct::Refuse,
    });
    let bad = CableDefect {
        of: Some(FrameKind::Tcp),
        loss: 0.02,
        duplicate: 0.02,
        corrupt: 0.02,
        reorder: 0.02,
        delay: Duration::from_millis(5),
        jitter: Duration::from_millis(5),
        ..CableDefect::default()
    };
    let (lan, mut guest, timeline) = guest_with([(refuse, Some(2)), (cable(bad), None)]);
    guest.dhcp().await;
    let body: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    let server = server_of(&lan, body.clone());
    assert_eq!(guest.connect(server).await, None);
    assert_eq!(guest.connect(server).await, None);
    let connection = guest.connect(server).await.unwrap();
    assert_eq!(guest.converse(connection, b"", true).await, body);
    assert!(fired(&timeline) > 10);
}

/// Measured: 22 s of the guest's time. With the congestion control of `smoltcp`, Reno or CUBIC, it is 150 s: a small window has too few
/// acknowledgements for fast retransmission, and each loss then costs the timer's second.
#[tokio::test(start_paused = true)]
async fn a_large_file_comes_over_a_cable_that_loses_frames() {
    let bad = CableDefect {
        of: Some(FrameKind::Tcp),
        loss: 0.01,
        corrupt: 0.01,
        delay: Duration::from_millis(1),
        ..CableDefect::default()
    };
    let (lan, mut guest, _timeline) = guest_with([(cable(bad), None)]);
    guest.dhcp().await;
    let body: Vec<u8> = (0..16_000_000u32).map(|n| (n >> 8) as u8).collect();
    let server = server_of(&lan, body.clone());
    let connection = guest.connect(server).await.unwrap();
    let begun = tokio::time::Instant::now();
    let received = guest.converse(connection, b"", true).await;
    let taken = begun.elapsed();
    assert!(received == body);
    assert!(taken < Duration::from_secs(60), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn two_runs_of_one_seed_do_the_same() {
    let run = || async {
        let loss = CableDefect {
            of: Some(FrameKind::Dhcp),
            loss: 0.5,
            ..CableDefect::default()
        };
        let (_lan, mut guest, timeline) = guest_with([(cable(loss), None)]);
        guest.dhcp().await;
        let events = timeline.snapshot().into_iter().map(|record| record.event);
        events.collect::<Vec<_>>()
    };
    let first = run().await;
    assert_eq!(first, run().await);
    assert!(!first.is_empty());
}
