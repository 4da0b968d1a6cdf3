//! What the network tells a board, as a client of it sees it.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::*;
use crate::scenario::testing::extended;
use crate::wire::WireEnd;

/// Where the options of a DHCP message begin in a frame: behind Ethernet, IPv4, UDP, BOOTP and the magic number.
const OPTIONS: usize = 14 + 20 + 8 + 236 + 4;
const BOOT_FILE: u8 = 67;

/// A client that looks for a server (RFC 2131, DHCPDISCOVER), with these options besides.
fn discover(options: &[(u8, &[u8])]) -> Bytes {
    let mac = [0xb8, 0x27, 0xeb, 0, 0, 1];
    let mut bootp = vec![1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef];
    bootp.resize(28, 0);
    bootp.extend(mac);
    bootp.resize(236, 0);
    bootp.extend([0x63, 0x82, 0x53, 0x63, 53, 1, 1]);
    for (option, data) in options {
        bootp.extend([*option, u8::try_from(data.len()).unwrap()]);
        bootp.extend_from_slice(data);
    }
    bootp.push(255);
    bootp.resize(300, 0);
    let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
    let mut ip = vec![0x45, 0];
    ip.extend(length(28 + bootp.len()));
    ip.extend([0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]);
    let words = ip
        .chunks_exact(2)
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    let sum: u32 = words.sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    // From port 68 to port 67, without a checksum.
    let mut udp = vec![0, 68, 0, 67];
    udp.extend(length(8 + bootp.len()));
    udp.extend([0, 0]);
    let ethernet = [&[0xff; 6][..], &mac, &[0x08, 0x00]].concat();
    [ethernet, ip, udp, bootp].concat().into()
}

/// The boot file that such a client is offered.
async fn offered(cable: &mut WireEnd, options: &[(u8, &[u8])]) -> Option<String> {
    assert!(cable.send(discover(options)));
    let reply = async {
        loop {
            let frame = cable.recv().await.unwrap();
            let is_dhcp = frame.get(23) == Some(&17) && frame.get(36..38) == Some(&[0, 68][..]);
            if is_dhcp {
                return frame;
            }
        }
    };
    let frame = timeout(Duration::from_secs(5), reply).await.unwrap();
    let mut rest = frame.get(OPTIONS..).unwrap();
    while let [option, length, more @ ..] = rest {
        let (data, next) = more.split_at(usize::from(*length));
        match *option {
            BOOT_FILE => return Some(String::from_utf8(data.to_vec()).unwrap()),
            255 => break,
            _ => rest = next,
        }
    }
    None
}

#[tokio::test]
async fn a_client_of_each_architecture_is_told_its_file() {
    let scenario = extended(
        "tftp",
        "[dhcp]\nfile = \"other\"\n[dhcp.by_architecture]\narm64-uefi = \"files/arm64.efi\"\nx64-uefi = \"files/x64.efi\"\nx86-bios = \"files/bios.kpxe\"\n22 = \"files/uboot\"\n",
    )
    .unwrap();
    let lan = Lan::start(lan_config(&scenario, &[]).unwrap(), Timeline::start()).unwrap();
    let mut cable = lan.attach();
    for (architecture, file) in [
        (&[0, 11][..], "files/arm64.efi"),
        (&[0, 7], "files/x64.efi"),
        (&[0, 0], "files/bios.kpxe"),
        (&[0, 22], "files/uboot"),
        (&[0, 27], "other"),
        // A client may boot several, the best first.
        (&[0, 9, 0, 7], "files/x64.efi"),
    ] {
        let told = offered(&mut cable, &[(93, architecture)]).await;
        assert_eq!(told.as_deref(), Some(file), "{architecture:?}");
    }
    let nothing_said = offered(&mut cable, &[]).await;
    assert_eq!(nothing_said.as_deref(), Some("other"));
    // iPXE would load itself for ever.
    let ipxe = offered(&mut cable, &[(93, &[0, 11]), (77, b"iPXE")]).await;
    assert_eq!(ipxe.as_deref(), Some("boot.ipxe"));
}

#[tokio::test]
async fn without_a_word_only_ipxe_is_told_a_file() {
    let scenario = extended("tftp", "").unwrap();
    let lan = Lan::start(lan_config(&scenario, &[]).unwrap(), Timeline::start()).unwrap();
    let mut cable = lan.attach();
    assert_eq!(offered(&mut cable, &[(93, &[0, 11])]).await, None);
    let ipxe = offered(&mut cable, &[(77, b"iPXE")]).await;
    assert_eq!(ipxe.as_deref(), Some("boot.ipxe"));
}
