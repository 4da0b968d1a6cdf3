//! Hello, connect, descriptors, configuration, and the end.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::guest::{ControlData, Rig};
use crate::usb::descriptor::CONFIGURATION;
use crate::usb::device::Endpoint;
use crate::usb::usbredir::{
    DeviceConnect, EndpointEntry, InterfaceEntry, Message, Packet, Speed, Status,
};
use crate::usb::{Ended, UsbError};
use shakedown_base::timeline::LinkEvent;

#[tokio::test(start_paused = true)]
async fn announces_the_device_after_both_hellos() {
    let mut rig = Rig::silent();
    rig.guest.hello().await;
    let Message::InterfaceInfo(interfaces) = rig.guest.next().await.message else {
        panic!()
    };
    let expected = InterfaceEntry {
        number: 0,
        class: 0xff,
        subclass: 0,
        protocol: 0xff,
    };
    assert_eq!(interfaces, [expected]);
    let Message::EpInfo(table) = rig.guest.next().await.message else {
        panic!()
    };
    let endpoints: Vec<_> = (0..)
        .zip(table.iter())
        .filter(|(_, e)| **e != EndpointEntry::ABSENT)
        .collect();
    let entry = |kind, interval, max_packet| EndpointEntry {
        kind,
        interval,
        interface: 0,
        max_packet,
    };
    let (control, bulk, interrupt) = (entry(0, 0, 64), entry(2, 0, 512), entry(3, 4, 16));
    assert_eq!(
        endpoints,
        [
            (0, &control),
            (2, &bulk),
            (16, &control),
            (17, &bulk),
            (19, &interrupt)
        ]
    );
    let connect = DeviceConnect {
        speed: Speed::High,
        class: 0xff,
        subclass: 0,
        protocol: 1,
        vendor: 0x0424,
        product: 0xec00,
        version_bcd: 0x0200,
    };
    assert_eq!(
        rig.guest.next().await.message,
        Message::DeviceConnect(connect)
    );
    assert!(rig.guest.silent_for(Duration::from_secs(10)).await);
    assert_eq!(rig.events(), [LinkEvent::Plugged]);
}

#[tokio::test(start_paused = true)]
async fn answers_standard_requests() {
    let mut rig = Rig::plugged().await;
    let guest = &mut rig.guest;
    let (_, device) = guest.control(0x80, 6, 0x0100, 0, ControlData::In(64)).await;
    insta::assert_snapshot!(hex::encode(device), @"12010002ff000140240400ec000200000001");
    let (_, head) = guest.control(0x80, 6, 0x0200, 0, ControlData::In(9)).await;
    assert_eq!(head[2..4], [39, 0]);
    let (_, all) = guest
        .control(0x80, 6, 0x0200, 0, ControlData::In(255))
        .await;
    insta::assert_snapshot!(hex::encode(all), @"09022700010100e0010904000003ff00ff00070581020002000705020200020007058303100004");
    let (status, data) = guest
        .control(0x80, 6, 0x0300, 0, ControlData::In(255))
        .await;
    assert_eq!((status, data.len()), (Status::Stall, 0), "no strings");
    assert_eq!(
        guest.control(0x80, 0, 0, 0, ControlData::In(2)).await,
        (Status::Success, Bytes::from_static(&[1, 0]))
    );
    assert_eq!(
        guest
            .control(0x02, 1, 0, 0x81, ControlData::Out(&[]))
            .await
            .0,
        Status::Success,
        "clear halt"
    );
    assert_eq!(
        guest.control(0xa1, 0xfe, 0, 0, ControlData::In(1)).await.0,
        Status::Stall,
        "class request"
    );
    assert_eq!(guest.get(0).await, 0xec00_0002);
    guest.put(0x120, 0x8100).await;
    assert_eq!(guest.get(0x120).await, 0x8100);
}

#[tokio::test(start_paused = true)]
async fn keeps_configuration_and_settings() {
    let mut rig = Rig::plugged().await;
    rig.guest.enumerate().await;
    let guest = &mut rig.guest;
    let id = guest.ask(Message::GetConfiguration).await;
    let (status, configuration) = (Status::Success, CONFIGURATION);
    assert_eq!(
        guest.next().await,
        Packet {
            id,
            message: Message::ConfigurationStatus {
                status,
                configuration
            }
        }
    );
    let id = guest
        .ask(Message::SetConfiguration { configuration: 7 })
        .await;
    let status = Status::Stall;
    assert_eq!(
        guest.next().await,
        Packet {
            id,
            message: Message::ConfigurationStatus {
                status,
                configuration
            }
        }
    );
    for (interface, alt, expected) in [
        (0, 0, Status::Success),
        (0, 1, Status::Stall),
        (1, 0, Status::Stall),
    ] {
        let asked = guest.ask(Message::SetAltSetting { interface, alt }).await;
        if expected == Status::Success {
            guest.next().await;
            guest.next().await;
        }
        let Packet { id, message } = guest.next().await;
        assert_eq!(
            (id, message),
            (
                asked,
                Message::AltSettingStatus {
                    status: expected,
                    interface,
                    alt
                }
            )
        );
    }
    let id = guest.ask(Message::GetAltSetting { interface: 0 }).await;
    let message = Message::AltSettingStatus {
        status: Status::Success,
        interface: 0,
        alt: 0,
    };
    assert_eq!(guest.next().await, Packet { id, message });
    let endpoint = Endpoint(0x81);
    let id = guest
        .ask(Message::StartInterruptReceiving { endpoint })
        .await;
    let message = Message::InterruptReceivingStatus {
        status: Status::Stall,
        endpoint,
    };
    assert_eq!(
        guest.next().await,
        Packet { id, message },
        "a bulk endpoint"
    );
    assert_eq!(
        rig.events(),
        [LinkEvent::Plugged, LinkEvent::Reset, LinkEvent::Configured]
    );
}

#[tokio::test(start_paused = true)]
async fn ends_with_the_stream() {
    let rig = Rig::started(0x1022).await;
    let events = rig.events();
    assert_eq!(events.last(), Some(&LinkEvent::Started));
    drop(rig.guest);
    assert_eq!(rig.task.await.unwrap().unwrap(), Ended::StreamClosed);
    rig.control.replug();
}

#[tokio::test(start_paused = true)]
async fn refuses_what_is_not_usbredir() {
    let mut rig = Rig::silent();
    rig.guest
        .stream
        .write_all(b"HTTP/1.1 400 Bad Request\r\n")
        .await
        .unwrap();
    let error = rig.task.await.unwrap().unwrap_err();
    assert!(matches!(error, UsbError::Damaged(_)), "{error}");

    let mut rig = Rig::silent();
    rig.guest.send(0, Message::Reset).await;
    let error = rig.task.await.unwrap().unwrap_err();
    insta::assert_snapshot!(error, @"the usbredir stream began with a message of type 3 instead of a hello; check that the chardev belongs to a usb-redir device");
}
