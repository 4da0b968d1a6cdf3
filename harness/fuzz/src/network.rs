//! One function for each target of the network: what a guest sends, as bytes. Each panics when a promise is broken; that it ends is for the
//! fuzzer to watch.

use std::collections::BTreeMap;
use std::future::Future;

use bytes::{Bytes, BytesMut};
use shakedown_base::mac::Mac;
use shakedown_base::timeline::{ServiceId, Timeline};
use shakedown_base::wire;
use shakedown_net::lan::{Config, Lan};
use shakedown_net::stream;
use shakedown_net::usb::Session;
use shakedown_net::usb::device::{Endpoint, Nic, Setup};
use shakedown_net::usb::lan7515::{Lan7800, StoredAddress};
use shakedown_net::usb::lan9514::Lan9514;

const MAC: Mac = Mac([0xb8, 0x27, 0xeb, 1, 2, 3]);
const BULK_IN: Endpoint = Endpoint(0x81);
const BULK_OUT: Endpoint = Endpoint(0x02);

/// usbredir of a guest that has said hello with all capabilities, to either adapter.
pub fn usbredir(input: &[u8]) {
    let mut hello = vec![0; 12 + 64];
    hello[4] = 68;
    hello.extend(0xff_u32.to_le_bytes());
    hello.extend(input);
    run(async {
        converse(Lan9514::new(MAC), &hello).await;
        converse(Lan7800::new(StoredAddress::Eeprom(MAC)), &hello).await;
    });
}

/// A session reads all of `bytes`, or says what is wrong with them.
async fn converse<D: Nic + Send>(device: D, bytes: &[u8]) {
    let (wire, _network) = wire::cable(64);
    let session = Session::new(device, wire, Timeline::start());
    let stream = tokio::io::join(bytes, tokio::io::sink());
    if let Err(error) = session.run(stream).await {
        assert!(!error.to_string().is_empty());
    }
}

/// Transfers on bulk OUT of adapters that are switched on: lengths (u16, little endian), each with that many bytes behind it. Frames that come out are
/// no longer than the adapters make them.
pub fn transmit(input: &[u8]) {
    let mut lan9514 = Lan9514::new(MAC);
    let on = [(0x100, 0x0c), (0x10, 4), (0x130, 0x1_0001)];
    send(&mut lan9514, &on, input, 2048);
    let mut lan7800 = Lan7800::new(StoredAddress::None);
    let on = [(0x108, 1), (0xc4, 1 << 31), (0x104, 1), (0xc0, 1 << 31)];
    send(&mut lan7800, &on, input, 12 * 1024 + 4);
}

fn send(nic: &mut impl Nic, on: &[(u16, u32)], mut input: &[u8], longest: usize) {
    assert!(nic.configure(1).is_ok());
    for (register, value) in on {
        let setup = Setup {
            request_type: 0x40,
            request: 0xa0,
            value: 0,
            index: *register,
            length: 4,
        };
        let written = nic.control(&setup, &value.to_le_bytes(), &mut Vec::new());
        assert!(written.is_ok());
    }
    while let Some((length, rest)) = input.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (packet, rest) = rest.split_at(length);
        input = rest;
        assert!(nic.bulk_out(BULK_OUT, packet).is_ok());
        while let Some(frame) = nic.transmitted() {
            assert!(frame.len() <= longest, "{}", frame.len());
            nic.receive(frame);
        }
        let mut out = BytesMut::new();
        assert!(nic.bulk_in(BULK_IN, 16384, &mut out).is_ok() && out.len() <= 16384);
        while nic.diagnostic().is_some() {}
    }
}

/// Frames for the gateway: a kind (u8), a length (u16, little endian) and that many bytes, which are a frame, an IPv4 packet, or a datagram for DHCP, DNS, TFTP
/// or NTP. The gateway answers afterwards.
pub fn lan(mut input: &[u8]) {
    run(async {
        let lan = match Lan::start(Config::default(), Timeline::start()) {
            Ok(lan) => lan,
            Err(error) => panic!("{error}"),
        };
        let config = Config::default();
        let files = BTreeMap::from([("file".to_owned(), Bytes::from_static(&[7; 5000]))]);
        let tftp = lan.serve_tftp(config.gateway, ServiceId::Boot, files);
        assert!(tftp.is_ok(), "{tftp:?}");
        let mut cable = lan.attach();
        let gateway = config.gateway.octets();
        let ntp = config.ntp.first().map_or(gateway, |ntp| ntp.octets());
        while let Some((&[kind, low, high], rest)) = input.split_first_chunk() {
            let length = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
            let (bytes, rest) = rest.split_at(length);
            input = rest;
            let frame = match kind % 6 {
                0 => bytes.to_vec(),
                1 => ethernet([0x08, 0x00], bytes),
                2 => udp([255; 4], 67, bytes),
                3 => udp(gateway, 53, bytes),
                4 => udp(ntp, 123, bytes),
                _ => udp(gateway, 69, bytes),
            };
            cable.send(frame.into());
            tokio::task::yield_now().await;
            while cable.try_recv().is_some() {}
        }
        let mut arp = vec![
            0, 1, 8, 0, 6, 4, 0, 1, 0xb8, 0x27, 0xeb, 1, 2, 3, 10, 0, 2, 50,
        ];
        arp.extend([0; 6]);
        arp.extend(gateway);
        cable.send(ethernet([0x08, 0x06], &arp).into());
        loop {
            let Some(frame) = cable.recv().await else {
                panic!("the gateway is gone")
            };
            if frame.get(12..14) == Some(&[0x08, 0x06]) {
                break;
            }
        }
    });
}

/// Frames of QEMU's `stream` back end. What was read is written again.
pub fn frames(input: &[u8]) {
    let mut bytes = BytesMut::from(input);
    while let Ok(Some(frame)) = stream::decode(&mut bytes) {
        let mut again = BytesMut::new();
        stream::encode(&frame, &mut again);
        let read = stream::decode(&mut again).ok().flatten();
        assert!(read.is_some_and(|read| read.starts_with(&frame)));
    }
}

fn ethernet(kind: [u8; 2], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x02, 0x53, 0x48, 0, 0, 1, 0xb8, 0x27, 0xeb, 1, 2, 3];
    frame.extend(kind);
    frame.extend(payload);
    frame
}

/// A datagram without checksum, which is legal.
fn udp(to: [u8; 4], port: u16, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(1472)];
    let length = payload.len() as u16 + 8;
    let mut packet = vec![0x45, 0];
    packet.extend((length + 20).to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 2, 50]);
    packet.extend(to);
    let words = packet
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    packet[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    packet.extend([0x0f, 0xa0]);
    packet.extend(port.to_be_bytes());
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    ethernet([0x08, 0x00], &packet)
}

fn run(task: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    match builder.enable_time().build() {
        Ok(runtime) => runtime.block_on(task),
        Err(error) => panic!("{error}"),
    }
}
