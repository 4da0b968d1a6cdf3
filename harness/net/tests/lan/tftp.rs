//! A guest that boots by TFTP.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use bytes::Bytes;
use shakedown_base::fault::{Defect, Fault, Faults, TftpDefect};
use shakedown_base::timeline::{Event, ServiceId, Timeline};
use shakedown_net::fault::impaired;
use shakedown_net::lan::{Config, Error, Lan};
use smoltcp::socket::udp;

use crate::guest::{GATEWAY, Guest, endpoint};

fn lan(timeline: &Timeline, files: &[(&str, &[u8])]) -> Lan {
    let lan = Lan::start(Config::default(), timeline.clone()).unwrap();
    let file = |(name, content): &(&str, &[u8])| ((*name).into(), Bytes::copy_from_slice(content));
    let files: BTreeMap<String, Bytes> = files.iter().map(file).collect();
    lan.serve_tftp(GATEWAY, ServiceId::Boot, files).unwrap();
    lan
}

/// Fetches a file with a window of `window` blocks, as a client does that acknowledges the last block of each window.
async fn fetch(guest: &mut Guest, file: &str, window: u16) -> Vec<u8> {
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 80], vec![0; 160_000]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(2070).unwrap();
    let request =
        format!("\0\x01{file}\0octet\0blksize\x001468\0tsize\x000\0windowsize\0{window}\0");
    let server = SocketAddrV4::new(GATEWAY, 69);
    socket
        .send_slice(request.as_bytes(), endpoint(server))
        .unwrap();
    let handle = guest.sockets.add(socket);
    let (mut content, mut received, mut in_window) = (Vec::new(), 0u16, 0);
    guest
        .until(|guest| {
            let socket = guest.sockets.get_mut::<udp::Socket<'_>>(handle);
            while let Ok((packet, from)) = socket.recv() {
                let (packet, from) = (packet.to_vec(), from.endpoint);
                assert_ne!(from.port, 69, "{packet:?}");
                let is_last = match packet[1] {
                    6 => {
                        in_window = window;
                        false
                    }
                    3 => {
                        received = received.wrapping_add(1);
                        assert_eq!(packet[2..4], received.to_be_bytes());
                        content.extend_from_slice(&packet[4..]);
                        in_window += 1;
                        packet.len() < 4 + 1468
                    }
                    _ => panic!("{packet:?}"),
                };
                if in_window == window || is_last {
                    in_window = 0;
                    let ack = [&[0, 4][..], &received.to_be_bytes()].concat();
                    socket.send_slice(&ack, from).unwrap();
                }
                if is_last {
                    return Some(());
                }
            }
            None
        })
        .await;
    content
}

#[tokio::test(start_paused = true)]
async fn a_guest_fetches_files_in_windows_and_one_by_one() {
    let timeline = Timeline::start();
    let kernel: Vec<u8> = (0..400_000u32).map(|i| (i % 253) as u8).collect();
    let lan = lan(
        &timeline,
        &[("boot.ipxe", b"#!ipxe\n"), ("files/kernel", &kernel)],
    );
    let mut guest = Guest::at(&lan, 50);
    assert_eq!(fetch(&mut guest, "boot.ipxe", 1).await, b"#!ipxe\n");
    let mut guest = Guest::at(&lan, 51);
    assert!(fetch(&mut guest, "/files/kernel", 16).await == kernel);
    guest.run_for(std::time::Duration::from_secs(1)).await;
    let requests: Vec<_> = timeline
        .snapshot()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Request(request) => Some(request.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(
        requests,
        [
            "RRQ 10.0.2.1/boot.ipxe -> 200, 7 bytes",
            "RRQ 10.0.2.1/files/kernel -> 200, 400000 bytes"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_missing_file_is_an_error_at_once() {
    let timeline = Timeline::start();
    let lan = lan(&timeline, &[]);
    let mut guest = Guest::at(&lan, 50);
    let server = SocketAddrV4::new(GATEWAY, 69);
    let answer = guest.ask(server, b"\0\x01lost\0octet\0").await;
    assert_eq!(answer, b"\0\x05\0\x01no such file\0");
}

#[tokio::test]
async fn a_tftp_server_has_its_address_for_itself() {
    let lan = lan(&Timeline::start(), &[]);
    let files = BTreeMap::<String, Bytes>::new;
    let taken = lan.serve_tftp(GATEWAY, ServiceId::Boot, files());
    assert_eq!(taken, Err(Error::InUse(SocketAddrV4::new(GATEWAY, 69))));
    let pooled = Ipv4Addr::new(10, 0, 2, 100);
    let taken = lan.serve_tftp(pooled, ServiceId::Boot, files());
    assert_eq!(taken, Err(Error::InPool(pooled)));
}

/// What a server with this defect says first, of a file of 1000 bytes.
async fn first_packet(defect: TftpDefect, options: &str) -> String {
    let timeline = Timeline::start();
    let lan = lan(&timeline, &[("kernel", &[7; 1000])]);
    let fault = Fault::new("fault", Defect::Tftp(defect));
    let faults = Faults::new(1, vec![fault], timeline.clone());
    let mut guest = Guest::behind(impaired(lan.attach(), faults, None), 7);
    guest.dhcp().await;
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(2070).unwrap();
    let request = format!("\0\x01kernel\0octet\0{options}");
    let server = endpoint(SocketAddrV4::new(GATEWAY, 69));
    socket.send_slice(request.as_bytes(), server).unwrap();
    let handle = guest.sockets.add(socket);
    let packet = guest.until(|guest| {
        let socket = guest.sockets.get_mut::<udp::Socket<'_>>(handle);
        socket.recv().ok().map(|(packet, _)| packet.to_vec())
    });
    packet.await.escape_ascii().to_string()
}

#[tokio::test(start_paused = true)]
async fn a_server_says_a_wrong_size_or_gives_up() {
    let options = "blksize\x00512\0tsize\x000\0";
    for (defect, options, said) in [
        (
            TftpDefect::TooSmall,
            options,
            r"\x00\x06blksize\x00512\x00tsize\x00500\x00",
        ),
        (
            TftpDefect::TooLarge,
            options,
            r"\x00\x06blksize\x00512\x00tsize\x002000\x00",
        ),
        (
            TftpDefect::GivesUp,
            "",
            r"\x00\x05\x00\x00this server gives up, as it was told to\x00",
        ),
    ] {
        assert_eq!(first_packet(defect, options).await, said);
    }
    // Who does not ask for the size is not told a wrong one, and a block without a size is as ever.
    let block = first_packet(TftpDefect::TooSmall, "").await;
    assert!(block.starts_with(r"\x00\x03\x00\x01\x07\x07"), "{block}");
}
