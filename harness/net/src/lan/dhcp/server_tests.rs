//! Requests as real clients send them, and the replies in full.

use std::fmt::Write as _;
use std::net::SocketAddrV4;

use smoltcp::wire::{DhcpPacket, EthernetAddress};

use super::*;
use crate::lan::config::{Boot, FileForArchitecture};
use crate::lan::frame::Mac;

const BOARD: Mac = EthernetAddress([0xb8, 0x27, 0xeb, 1, 2, 3]);
const OTHER: Mac = EthernetAddress([0xb8, 0x27, 0xeb, 9, 9, 9]);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 1);

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2, last)
}

fn server() -> Server {
    let mut config = Config::default();
    config.dhcp.domain = Some("lab.example".into());
    config.dhcp.boot = Some(Boot {
        next_server: GATEWAY,
        file: Some("default.efi".into()),
        by_architecture: vec![FileForArchitecture {
            architecture: 11,
            file: "ipxe-arm64.efi".into(),
        }],
        ipxe: Some("http://ci-gateway/boot/${net0/mac}/boot.ipxe".into()),
        http: Some("http://ci-gateway/ipxe-arm64.efi".into()),
    });
    Server::new(&config)
}

/// A client's message: hardware address, flags, `ciaddr`, options.
fn message(mac: Mac, flags: u16, client: Ipv4Addr, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 240];
    bytes[..8].copy_from_slice(&[1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
    bytes[10..12].copy_from_slice(&flags.to_be_bytes());
    bytes[12..16].copy_from_slice(&client.octets());
    bytes[28..34].copy_from_slice(mac.as_bytes());
    bytes[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    for (kind, data) in options {
        bytes.extend_from_slice(&[*kind, data.len() as u8]);
        bytes.extend_from_slice(data);
    }
    bytes.push(255);
    bytes
}

fn ask(server: &mut Server, payload: &[u8]) -> Answer {
    let datagram = Datagram {
        source: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT),
        destination: SocketAddrV4::new(Ipv4Addr::BROADCAST, PORT),
        payload,
    };
    server
        .answer(&datagram, Duration::ZERO)
        .expect("a sound message")
}

/// Message type, address and destination of the reply.
fn outcome(server: &mut Server, payload: &[u8]) -> Option<(Kind, Ipv4Addr, To)> {
    let (to, bytes) = ask(server, payload).reply?;
    let packet = DhcpPacket::new_checked(&bytes).unwrap();
    let kind = packet
        .options()
        .find(|o| o.kind == option::MESSAGE_TYPE)
        .unwrap()
        .data[0];
    Some((kind.into(), packet.your_ip(), to))
}

/// A reply as text, one fact a line.
fn decode(answer: &Answer) -> String {
    let (to, bytes) = answer.reply.as_ref().expect("a reply");
    let packet = DhcpPacket::new_checked(bytes).unwrap();
    let mut text = format!("to {to:?}, {} bytes\n", bytes.len());
    let (id, flags) = (packet.transaction_id(), packet.flags().bits());
    writeln!(
        text,
        "{:?} {id:#x} flags {flags:#x} {}",
        packet.opcode(),
        packet.client_hardware_address()
    )
    .unwrap();
    writeln!(
        text,
        "ciaddr {} yiaddr {} siaddr {}",
        packet.client_ip(),
        packet.your_ip(),
        packet.server_ip()
    )
    .unwrap();
    writeln!(
        text,
        "file {:?}",
        packet.get_boot_file().unwrap_or_default()
    )
    .unwrap();
    for option in packet.options() {
        let is_text = matches!(
            option.kind,
            option::DOMAIN | option::MESSAGE | option::VENDOR_CLASS | 66 | 67
        );
        let data = if is_text {
            String::from_utf8_lossy(option.data).into_owned()
        } else {
            format!("{:?}", option.data)
        };
        writeln!(text, "{} {data}", option.kind).unwrap();
    }
    writeln!(text, "{:?}", answer.event).unwrap();
    text
}

#[test]
fn u_boot_is_offered_its_default_file() {
    let discover = message(
        BOARD,
        0,
        Ipv4Addr::UNSPECIFIED,
        &[
            (53, &[1]),
            (57, &[2, 64]),
            (93, &[0, 22]),
            (94, &[1, 0, 0]),
            (60, b"U-Boot.armv8"),
            (55, &[1, 3, 6, 12, 15, 17]),
        ],
    );
    insta::assert_snapshot!(decode(&ask(&mut server(), &discover)), @r#"
    to Machine(Address([184, 39, 235, 1, 2, 3]), 10.0.2.100, 68), 328 bytes
    Reply 0xdeadbeef flags 0x0 b8-27-eb-01-02-03
    ciaddr 0.0.0.0 yiaddr 10.0.2.100 siaddr 10.0.2.1
    file "default.efi"
    53 [2]
    54 [10, 0, 2, 1]
    51 [0, 0, 14, 16]
    58 [0, 0, 7, 8]
    59 [0, 0, 12, 78]
    1 [255, 255, 255, 0]
    3 [10, 0, 2, 1]
    6 [10, 0, 2, 1]
    15 lab.example
    42 [162, 159, 200, 1]
    66 10.0.2.1
    67 default.efi
    None
    "#);
}

#[test]
fn uefi_firmware_is_offered_the_file_for_its_architecture() {
    let discover = message(
        BOARD,
        0x8000,
        Ipv4Addr::UNSPECIFIED,
        &[
            (53, &[1]),
            (93, &[0, 11]),
            (60, b"PXEClient:Arch:00011:UNDI:003000"),
        ],
    );
    insta::assert_snapshot!(decode(&ask(&mut server(), &discover)), @r#"
    to Everybody(68), 331 bytes
    Reply 0xdeadbeef flags 0x8000 b8-27-eb-01-02-03
    ciaddr 0.0.0.0 yiaddr 10.0.2.100 siaddr 10.0.2.1
    file "ipxe-arm64.efi"
    53 [2]
    54 [10, 0, 2, 1]
    51 [0, 0, 14, 16]
    58 [0, 0, 7, 8]
    59 [0, 0, 12, 78]
    1 [255, 255, 255, 0]
    3 [10, 0, 2, 1]
    6 [10, 0, 2, 1]
    15 lab.example
    42 [162, 159, 200, 1]
    66 10.0.2.1
    67 ipxe-arm64.efi
    None
    "#);
}

#[test]
fn ipxe_is_leased_its_address_and_told_its_script() {
    let request = message(
        BOARD,
        0,
        Ipv4Addr::UNSPECIFIED,
        &[
            (53, &[3]),
            (57, &[5, 192]),
            (93, &[0, 11]),
            (94, &[1, 3, 16]),
            (60, b"PXEClient:Arch:00011:UNDI:003010"),
            (77, b"iPXE"),
            (
                55,
                &[
                    1, 3, 6, 7, 12, 15, 17, 26, 43, 60, 66, 67, 119, 128, 175, 203,
                ],
            ),
            (175, &[177, 5, 1, 0x80, 0x86, 0x10, 0x0e, 235, 3, 1, 21, 1]),
            (61, &[1, 0xb8, 0x27, 0xeb, 1, 2, 3]),
            (54, &GATEWAY.octets()),
            (50, &address(100).octets()),
        ],
    );
    insta::assert_snapshot!(decode(&ask(&mut server(), &request)), @r#"
    to Machine(Address([184, 39, 235, 1, 2, 3]), 10.0.2.100, 68), 375 bytes
    Reply 0xdeadbeef flags 0x0 b8-27-eb-01-02-03
    ciaddr 0.0.0.0 yiaddr 10.0.2.100 siaddr 10.0.2.1
    file "http://ci-gateway/boot/${net0/mac}/boot.ipxe"
    53 [5]
    54 [10, 0, 2, 1]
    51 [0, 0, 14, 16]
    58 [0, 0, 7, 8]
    59 [0, 0, 12, 78]
    1 [255, 255, 255, 0]
    3 [10, 0, 2, 1]
    6 [10, 0, 2, 1]
    15 lab.example
    42 [162, 159, 200, 1]
    66 10.0.2.1
    175 [176, 1, 1]
    67 http://ci-gateway/boot/${net0/mac}/boot.ipxe
    61 [1, 184, 39, 235, 1, 2, 3]
    Some(Lease { mac: "b8:27:eb:01:02:03", address: 10.0.2.100, vendor_class: Some("PXEClient:Arch:00011:UNDI:003010") })
    "#);
}

#[test]
fn linux_is_leased_an_address_without_network_boot() {
    let mut plain = Server::new(&Config::default());
    let request = message(
        BOARD,
        0,
        Ipv4Addr::UNSPECIFIED,
        &[
            (53, &[3]),
            (61, &[1, 0xb8, 0x27, 0xeb, 1, 2, 3]),
            (50, &address(100).octets()),
            (54, &GATEWAY.octets()),
            (57, &[2, 64]),
            (55, &[1, 3, 6, 12, 15, 28, 42]),
            (60, b"udhcp 1.35.0"),
        ],
    );
    insta::assert_snapshot!(decode(&ask(&mut plain, &request)), @r#"
    to Machine(Address([184, 39, 235, 1, 2, 3]), 10.0.2.100, 68), 301 bytes
    Reply 0xdeadbeef flags 0x0 b8-27-eb-01-02-03
    ciaddr 0.0.0.0 yiaddr 10.0.2.100 siaddr 0.0.0.0
    file ""
    53 [5]
    54 [10, 0, 2, 1]
    51 [0, 0, 14, 16]
    58 [0, 0, 7, 8]
    59 [0, 0, 12, 78]
    1 [255, 255, 255, 0]
    3 [10, 0, 2, 1]
    6 [10, 0, 2, 1]
    42 [162, 159, 200, 1]
    61 [1, 184, 39, 235, 1, 2, 3]
    Some(Lease { mac: "b8:27:eb:01:02:03", address: 10.0.2.100, vendor_class: Some("udhcp 1.35.0") })
    "#);
}

#[test]
fn http_boot_sees_its_class_again() {
    let discover = message(
        BOARD,
        0,
        Ipv4Addr::UNSPECIFIED,
        &[(53, &[1]), (60, b"HTTPClient:Arch:00019:UNDI:003000")],
    );
    let text = decode(&ask(&mut server(), &discover));
    assert!(
        text.contains("60 HTTPClient\n67 http://ci-gateway/ipxe-arm64.efi\n"),
        "{text}"
    );
}

#[test]
fn ipxe_without_a_script_is_not_sent_in_circles() {
    let mut config = Config::default();
    config.dhcp.boot = Some(Boot {
        next_server: GATEWAY,
        file: Some("ipxe.efi".into()),
        by_architecture: Vec::new(),
        ipxe: None,
        http: None,
    });
    let discover = message(
        BOARD,
        0,
        Ipv4Addr::UNSPECIFIED,
        &[(53, &[1]), (77, b"\x04iPXE")],
    );
    let text = decode(&ask(&mut Server::new(&config), &discover));
    assert!(
        text.contains("file \"\"") && !text.contains("\n67 "),
        "{text}"
    );
}

#[test]
fn a_lease_is_renewed_where_the_client_is() {
    let server = &mut server();
    let renew = message(BOARD, 0, address(100), &[(53, &[3])]);
    let machine = To::Machine(BOARD, address(100), CLIENT_PORT);
    assert_eq!(
        outcome(server, &renew),
        Some((Kind::Ack, address(100), machine))
    );
    assert_eq!(
        outcome(server, &renew),
        Some((Kind::Ack, address(100), machine))
    );
    let elsewhere = message(BOARD, 0, Ipv4Addr::new(192, 168, 1, 5), &[(53, &[3])]);
    let refused = Some((Kind::Nak, Ipv4Addr::UNSPECIFIED, To::Everybody(CLIENT_PORT)));
    assert_eq!(outcome(server, &elsewhere), refused);
    let stolen = message(
        OTHER,
        0,
        Ipv4Addr::UNSPECIFIED,
        &[
            (53, &[3]),
            (54, &GATEWAY.octets()),
            (50, &address(100).octets()),
        ],
    );
    assert_eq!(outcome(server, &stolen), refused, "somebody else's address");
}

/// RFC 2131, section 4.3.2, "INIT-REBOOT".
#[test]
fn a_remembered_address_is_only_judged_for_known_clients() {
    let server = &mut server();
    let reboot = |mac, address: [u8; 4]| {
        message(mac, 0, Ipv4Addr::UNSPECIFIED, &[(53, &[3]), (50, &address)])
    };
    let refused = Some((Kind::Nak, Ipv4Addr::UNSPECIFIED, To::Everybody(CLIENT_PORT)));
    assert_eq!(
        outcome(server, &reboot(BOARD, [10, 0, 2, 100])),
        None,
        "no record"
    );
    assert_eq!(
        outcome(server, &reboot(BOARD, [192, 168, 1, 5])),
        refused,
        "another network"
    );
    outcome(
        server,
        &message(BOARD, 0, Ipv4Addr::UNSPECIFIED, &[(53, &[1])]),
    );
    let acknowledged = outcome(server, &reboot(BOARD, [10, 0, 2, 100]));
    assert_eq!(acknowledged.map(|(kind, ..)| kind), Some(Kind::Ack));
    assert_eq!(
        outcome(server, &reboot(BOARD, [10, 0, 2, 101])),
        refused,
        "not its own"
    );
}

#[test]
fn a_refusal_says_so_to_everybody() {
    let request = message(
        BOARD,
        0,
        Ipv4Addr::UNSPECIFIED,
        &[
            (53, &[3]),
            (61, b"\xffsome identifier"),
            (54, &GATEWAY.octets()),
            (50, &address(7).octets()),
        ],
    );
    insta::assert_snapshot!(decode(&ask(&mut server(), &request)), @r#"
    to Everybody(68), 300 bytes
    Reply 0xdeadbeef flags 0x0 b8-27-eb-01-02-03
    ciaddr 0.0.0.0 yiaddr 0.0.0.0 siaddr 0.0.0.0
    file ""
    53 [6]
    54 [10, 0, 2, 1]
    56 address not available
    61 [255, 115, 111, 109, 101, 32, 105, 100, 101, 110, 116, 105, 102, 105, 101, 114]
    Some(Note { room: "lan", text: "refused b8:27:eb:01:02:03 the address 10.0.2.7" })
    "#);
}

#[test]
fn inform_gets_everything_but_an_address() {
    let inform = message(BOARD, 0, address(50), &[(53, &[8])]);
    let answer = ask(&mut server(), &inform);
    let text = decode(&answer);
    assert!(
        text.contains("yiaddr 0.0.0.0") && !text.contains("\n51 "),
        "{text}"
    );
    assert!(
        text.contains("\n53 [5]\n") && text.contains("\n42 "),
        "{text}"
    );
    assert_eq!(
        answer.reply.unwrap().0,
        To::Machine(BOARD, address(50), CLIENT_PORT)
    );
    assert_eq!(answer.event, None, "no lease was given");
}

#[test]
fn declined_and_released_addresses_are_handled_in_silence() {
    let server = &mut server();
    let discover = message(BOARD, 0, Ipv4Addr::UNSPECIFIED, &[(53, &[1])]);
    let machine = |last| {
        Some((
            Kind::Offer,
            address(last),
            To::Machine(BOARD, address(last), CLIENT_PORT),
        ))
    };
    assert_eq!(outcome(server, &discover), machine(100));
    let decline = message(
        BOARD,
        0,
        Ipv4Addr::UNSPECIFIED,
        &[(53, &[4]), (50, &address(100).octets())],
    );
    assert_eq!(outcome(server, &decline), None);
    assert_eq!(outcome(server, &discover), machine(101));
    assert_eq!(
        outcome(server, &message(BOARD, 0, address(101), &[(53, &[7])])),
        None
    );
    let elsewhere = message(
        BOARD,
        0,
        Ipv4Addr::UNSPECIFIED,
        &[(53, &[3]), (54, &[10, 0, 2, 9]), (50, &[10, 0, 2, 88])],
    );
    assert_eq!(outcome(server, &elsewhere), None, "another server's client");
}

#[test]
fn an_exhausted_pool_is_noted() {
    let mut config = Config::default();
    config.dhcp.last = config.dhcp.first;
    let server = &mut Server::new(&config);
    let discover = |mac| message(mac, 0, Ipv4Addr::UNSPECIFIED, &[(53, &[1])]);
    assert!(ask(server, &discover(BOARD)).reply.is_some());
    let answer = ask(server, &discover(OTHER));
    assert!(answer.reply.is_none());
    assert!(
        matches!(answer.event, Some(Event::Note { .. })),
        "{:?}",
        answer.event
    );
}
