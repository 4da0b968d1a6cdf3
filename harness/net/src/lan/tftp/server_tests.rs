use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use bytes::Bytes;

use super::*;

const NOW: Duration = Duration::from_secs(5);

type Files = BTreeMap<String, Bytes>;

fn server() -> Server<Files> {
    let files = [("boot.ipxe", 700), ("big", 1 << 20)];
    let content = |length| Bytes::from(vec![7u8; length]);
    let files = files.map(|(name, length)| (name.to_owned(), content(length)));
    Server::new(files.into(), ServiceId::Boot, "10.0.2.1".into())
}

fn datagram(client_port: u16, port: u16, payload: &[u8]) -> Received {
    Received {
        mac: smoltcp::wire::EthernetAddress([2, 0, 0, 0, 0, 9]),
        source: SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 50), client_port),
        port,
        payload: payload.to_vec(),
    }
}

fn read(file: &str) -> Vec<u8> {
    [b"\0\x01", file.as_bytes(), b"\0octet\0"].concat()
}

/// Packets with the port that they come from, and requests as the timeline shows them.
fn split(out: Vec<Output>) -> (Vec<(u16, Vec<u8>)>, Vec<String>) {
    let (mut packets, mut events) = (Vec::new(), Vec::new());
    for output in out {
        match output {
            Output::Send { from, payload, .. } => packets.push((from, payload)),
            Output::Event(Event::Request(request)) => events.push(request.to_string()),
            Output::Event(Event::Note { text, .. }) => events.push(text),
            Output::Event(other) => panic!("{other:?}"),
        }
    }
    (packets, events)
}

fn ack(number: u16) -> Vec<u8> {
    [&4u16.to_be_bytes()[..], &number.to_be_bytes()].concat()
}

#[test]
fn a_file_is_handed_out_from_a_port_of_its_own_and_journalled_at_its_end() {
    let mut server = server();
    let (first, none) = split(server.receive(&datagram(2000, 69, &read("/boot.ipxe")), NOW));
    let (port, block) = &first[0];
    assert!(TRANSFERS.contains(port) && none.is_empty());
    assert_eq!((block.len(), &block[..4]), (516, &b"\0\x03\0\x01"[..]));
    let (second, events) = split(server.receive(&datagram(2000, *port, &ack(1)), NOW));
    assert_eq!((second[0].0, second[0].1.len()), (*port, 4 + 188));
    // The client may boot it and never acknowledge the last block.
    assert_eq!(events, ["RRQ 10.0.2.1/boot.ipxe -> 200, 700 bytes"]);
    assert_eq!(split(server.wake(NOW + Duration::from_secs(1))).0, second);
    let end = split(server.receive(&datagram(2000, *port, &ack(2)), NOW));
    assert_eq!((end, server.deadline()), ((vec![], vec![]), None));
}

#[test]
fn what_cannot_be_handed_out_is_refused_with_its_code() {
    let mut server = server();
    let mut ask = |payload: &[u8]| {
        let (packets, events) = split(server.receive(&datagram(2000, 69, payload), NOW));
        let [(69, packet)] = &packets[..] else {
            panic!("{packets:?}")
        };
        let text = String::from_utf8_lossy(&packet[4..packet.len() - 1]).into_owned();
        format!("{} {text}; {}", packet[3], events.join(", "))
    };
    let answers = [
        ask(&read("lost")),
        ask(&read("../etc/passwd")),
        ask(b"\0\x01boot.ipxe\0netascii\0"),
        ask(b"\0\x02boot.ipxe\0octet\0"),
    ];
    insta::assert_snapshot!(answers.join("\n"), @r"
    1 no such file; RRQ 10.0.2.1/lost -> 404, 0 bytes, broken off
    1 no such file; RRQ 10.0.2.1/../etc/passwd -> 404, 0 bytes, broken off
    4 this server knows mode octet only; RRQ 10.0.2.1/boot.ipxe -> 400, 0 bytes, broken off
    2 this server is read only; 
    ");
}

#[test]
fn a_repeated_request_gets_the_same_transfer_and_a_new_one_a_new() {
    let mut server = server();
    let mut begin = |file: &str| {
        let (packets, events) = split(server.receive(&datagram(2000, 69, &read(file)), NOW));
        (packets[0].0, events.len())
    };
    let (port, _) = begin("big");
    assert_eq!(begin("big"), (port, 0));
    let (other, ended) = begin("boot.ipxe");
    assert!(other != port && ended == 1);
    let (_, events) = split(server.receive(&datagram(2000, other, &ack(1)), NOW));
    assert_eq!(events, ["RRQ 10.0.2.1/boot.ipxe -> 200, 700 bytes"]);
    let (packets, events) = split(server.receive(&datagram(2000, 69, &read("boot.ipxe")), NOW));
    assert_ne!(packets[0].0, other);
    assert!(events.is_empty(), "{events:?}");
}

#[test]
fn a_packet_of_another_client_on_a_transfers_port_is_refused_and_does_no_harm() {
    let mut server = server();
    let (first, _) = split(server.receive(&datagram(2000, 69, &read("boot.ipxe")), NOW));
    let port = first[0].0;
    let (answer, _) = split(server.receive(&datagram(2001, port, &ack(1)), NOW));
    assert_eq!(answer, [(port, b"\0\x05\0\x05no such transfer\0".to_vec())]);
    let (nothing, _) = split(server.receive(&datagram(2001, port, b"\0\x05\0\0\0"), NOW));
    assert!(nothing.is_empty());
    let (second, _) = split(server.receive(&datagram(2000, port, &ack(1)), NOW));
    assert_eq!(second.len(), 1);
}

#[test]
fn a_client_that_gives_up_or_vanishes_is_let_go() {
    let mut server = server();
    let (first, _) = split(server.receive(&datagram(2000, 69, &read("big")), NOW));
    let full = b"\0\x05\0\x03disk full\0";
    let (_, events) = split(server.receive(&datagram(2000, first[0].0, full), NOW));
    assert_eq!(
        events,
        [
            "RRQ 10.0.2.1/big -> 200, 0 bytes, broken off",
            "tftp client gave up with error 3: disk full"
        ]
    );
    server.receive(&datagram(2000, 69, &read("big")), NOW);
    let mut sendings = 0;
    while let Some(deadline) = server.deadline() {
        sendings += split(server.wake(deadline)).0.len();
    }
    assert_eq!(sendings, 5);
}

#[test]
fn there_are_only_so_many_transfers() {
    let mut server = server();
    for port in 0..64 {
        let (packets, _) = split(server.receive(&datagram(3000 + port, 69, &read("big")), NOW));
        assert_eq!(packets[0].1[1], 3);
    }
    let (packets, _) = split(server.receive(&datagram(4000, 69, &read("big")), NOW));
    assert_eq!(packets[0].1[..4], *b"\0\x05\0\0");
}
