//! The codec, from both ends of a connection.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::usb::device::Endpoint;

const ALL: Caps = Caps::CONNECT_DEVICE_VERSION
    .with(Caps::EP_INFO_MAX_PACKET_SIZE)
    .with(Caps::IDS_64)
    .with(Caps::BULK_LENGTH_32);

/// Two codecs that have exchanged hellos: ours with all we offer, the other with `caps`.
fn pair(caps: Caps) -> (Codec, Codec) {
    let (mut ours, mut theirs) = (Codec::new(ALL), Codec::new(caps));
    let hello = |caps| {
        let version = "test".into();
        let message = Message::Hello { version, caps };
        Packet { id: 0, message }
    };
    let (mut from_us, mut from_them) = (BytesMut::new(), BytesMut::new());
    ours.encode(&hello(ALL), &mut from_us);
    theirs.encode(&hello(caps), &mut from_them);
    assert_eq!(theirs.decode(&mut from_us).unwrap().unwrap(), hello(ALL));
    assert_eq!(ours.decode(&mut from_them).unwrap().unwrap(), hello(caps));
    (ours, theirs)
}

fn bytes_of(caps: Caps, id: u64, message: Message) -> String {
    let mut out = BytesMut::new();
    pair(caps).0.encode(&Packet { id, message }, &mut out);
    let words: Vec<_> = out.chunks(4).map(hex::encode).collect();
    words.join(" ")
}

#[test]
fn capabilities_change_headers() {
    let bulk = || Message::Bulk {
        header: BulkHeader {
            endpoint: Endpoint(0x81),
            status: Status::Success,
            length: 5,
            stream_id: 0,
        },
        data: Bytes::from_static(b"frame"),
    };
    insta::assert_snapshot!(bytes_of(ALL, 0x1_0000_0002, bulk()), @"65000000 0f000000 02000000 01000000 81000500 00000000 00006672 616d65");
    insta::assert_snapshot!(bytes_of(Caps(0), 2, bulk()), @"65000000 0d000000 02000000 81000500 00000000 6672616d 65");
    let connect = || {
        Message::DeviceConnect(DeviceConnect {
            speed: Speed::High,
            class: 0xff,
            subclass: 0,
            protocol: 1,
            vendor: 0x0424,
            product: 0xec00,
            version_bcd: 0x0200,
        })
    };
    insta::assert_snapshot!(bytes_of(ALL, 0, connect()), @"01000000 0a000000 00000000 00000000 02ff0001 240400ec 0002");
    insta::assert_snapshot!(bytes_of(Caps(0), 0, connect()), @"01000000 08000000 00000000 02ff0001 240400ec");
}

#[test]
fn a_hello_has_short_identifiers_even_after_one() {
    let version = "x".repeat(80);
    let text = bytes_of(ALL, 0, Message::Hello { version, caps: ALL });
    assert!(
        text.starts_with("00000000 44000000 00000000 78787878"),
        "{text}"
    );
    assert!(text.ends_with("78787800 72000000"), "{text}");
}

#[test]
fn damage_is_told() {
    let decode = |bytes: &[u8]| {
        Codec::new(ALL)
            .decode(&mut BytesMut::from(bytes))
            .unwrap_err()
    };
    let header =
        |kind: u32, length: u32| [kind.to_le_bytes(), length.to_le_bytes(), [0; 4]].concat();
    let text = decode(&header(101, u32::MAX)).to_string();
    insta::assert_snapshot!(text, @"a message of type 101 announces 4294967295 bytes, more than the limit of 1048576");
    let text = decode(&header(6, 0)).to_string();
    insta::assert_snapshot!(text, @"a message of type 6 has only 0 bytes");
    let text =
        decode(&[header(4, 132), 33u32.to_le_bytes().to_vec(), vec![0; 128]].concat()).to_string();
    insta::assert_snapshot!(text, @"an interface list counts 33 interfaces where 32 is the most");
}

/// Caps, and a packet that they can carry.
fn cases() -> impl Strategy<Value = (Caps, Packet)> {
    (0..16u32, any::<u64>(), message()).prop_map(|(bits, id, mut message)| {
        let mut caps = Caps(0);
        let offers = [
            Caps::CONNECT_DEVICE_VERSION,
            Caps::EP_INFO_MAX_PACKET_SIZE,
            Caps::IDS_64,
            Caps::BULK_LENGTH_32,
        ];
        for (bit, offer) in offers.into_iter().enumerate() {
            if bits >> bit & 1 == 1 {
                caps = caps.with(offer);
            }
        }
        match &mut message {
            Message::DeviceConnect(c) if !caps.has(Caps::CONNECT_DEVICE_VERSION) => {
                c.version_bcd = 0
            }
            Message::EpInfo(table) if !caps.has(Caps::EP_INFO_MAX_PACKET_SIZE) => {
                table.iter_mut().for_each(|entry| entry.max_packet = 0);
            }
            Message::Bulk { header, .. } if !caps.has(Caps::BULK_LENGTH_32) => {
                header.length &= 0xffff
            }
            _ => {}
        }
        let id = if caps.has(Caps::IDS_64) {
            id
        } else {
            id & 0xffff_ffff
        };
        (caps, Packet { id, message })
    })
}

fn message() -> impl Strategy<Value = Message> {
    let status = || any::<u8>().prop_map(Status::from);
    let endpoint = || any::<u8>().prop_map(Endpoint);
    let data = || vec(any::<u8>(), 0..600).prop_map(Bytes::from);
    let interface =
        any::<[u8; 4]>().prop_map(|[number, class, subclass, protocol]| InterfaceEntry {
            number,
            class,
            subclass,
            protocol,
        });
    let entry = any::<(u8, u8, u8, u16)>().prop_map(|(kind, interval, interface, max_packet)| {
        EndpointEntry {
            kind,
            interval,
            interface,
            max_packet,
        }
    });
    let control = (
        endpoint(),
        any::<(u8, u8)>(),
        status(),
        any::<(u16, u16, u16)>(),
    );
    prop_oneof![
        any::<(u8, u8, u8, u8, u16, u16, u16)>().prop_map(
            |(speed, class, subclass, protocol, vendor, product, version_bcd)| {
                let speed = speed.into();
                Message::DeviceConnect(DeviceConnect {
                    speed,
                    class,
                    subclass,
                    protocol,
                    vendor,
                    product,
                    version_bcd,
                })
            }
        ),
        Just(Message::DeviceDisconnect),
        Just(Message::Reset),
        vec(interface, 0..=32).prop_map(Message::InterfaceInfo),
        vec(entry, 32).prop_map(|list| Message::EpInfo(list.try_into().unwrap())),
        any::<u8>().prop_map(|configuration| Message::SetConfiguration { configuration }),
        Just(Message::GetConfiguration),
        (status(), any::<u8>()).prop_map(|(status, configuration)| Message::ConfigurationStatus {
            status,
            configuration
        }),
        any::<(u8, u8)>().prop_map(|(interface, alt)| Message::SetAltSetting { interface, alt }),
        any::<u8>().prop_map(|interface| Message::GetAltSetting { interface }),
        (status(), any::<(u8, u8)>()).prop_map(|(status, (interface, alt))| {
            Message::AltSettingStatus {
                status,
                interface,
                alt,
            }
        }),
        endpoint().prop_map(|endpoint| Message::StartInterruptReceiving { endpoint }),
        endpoint().prop_map(|endpoint| Message::StopInterruptReceiving { endpoint }),
        (status(), endpoint())
            .prop_map(|(status, endpoint)| Message::InterruptReceivingStatus { status, endpoint }),
        Just(Message::CancelDataPacket),
        (control, data()).prop_map(
            |((endpoint, (request, request_type), status, (value, index, length)), data)| {
                let header = ControlHeader {
                    endpoint,
                    request,
                    request_type,
                    status,
                    value,
                    index,
                    length,
                };
                Message::Control { header, data }
            }
        ),
        (endpoint(), status(), any::<(u32, u32)>(), data()).prop_map(
            |(endpoint, status, (length, stream_id), data)| {
                let header = BulkHeader {
                    endpoint,
                    status,
                    length,
                    stream_id,
                };
                Message::Bulk { header, data }
            }
        ),
        (endpoint(), status(), any::<u16>(), data()).prop_map(
            |(endpoint, status, length, data)| {
                let header = InterruptHeader {
                    endpoint,
                    status,
                    length,
                };
                Message::Interrupt { header, data }
            }
        ),
        (18..21u32, data()).prop_map(|(kind, body)| Message::Other { kind, body }),
    ]
}

proptest! {
    #[test]
    fn round_trip_in_pieces((caps, packet) in cases(), cut in any::<prop::sample::Index>()) {
        let (ours, mut theirs) = pair(caps);
        let mut bytes = BytesMut::new();
        ours.encode(&packet, &mut bytes);
        let mut input = bytes.split_to(cut.index(bytes.len()));
        prop_assert_eq!(theirs.decode(&mut input).unwrap(), None);
        input.extend_from_slice(&bytes);
        prop_assert_eq!(theirs.decode(&mut input).unwrap(), Some(packet));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn arbitrary_bytes_are_packets_or_errors(bytes in vec(any::<u8>(), 0..400), small in 0..40u32) {
        // Half of the time with a header that leads somewhere.
        for head in [vec![], [(small % 30 + 90).to_le_bytes(), small.to_le_bytes()].concat()] {
            let mut input = BytesMut::from(&[head, bytes.clone()].concat()[..]);
            let (mut codec, _) = pair(ALL);
            while let Ok(Some(_)) = codec.decode(&mut input) {}
        }
    }
}
