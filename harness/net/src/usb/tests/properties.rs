//! Whatever a guest says, a port answers each request once.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::time::Instant;

use super::guest::{MAC, bulk};
use crate::usb::QUIET_RESET;
use crate::usb::control::Command;
use crate::usb::device::Endpoint;
use crate::usb::lan9514::Lan9514;
use crate::usb::port::Port;
use crate::usb::usbredir::{Caps, Codec, ControlHeader, InterruptHeader, Message, Packet, Status};
use shakedown_base::timeline::Timeline;

#[derive(Debug, Clone)]
enum Step {
    Say(Message),
    Frame(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let endpoint =
        || prop_oneof![Just(0x81), Just(0x02), Just(0x83), any::<u8>()].prop_map(Endpoint);
    let data = || vec(any::<u8>(), 0..600).prop_map(Bytes::from);
    let control = (
        any::<(u8, u8, u16, u16, u16)>(),
        prop_oneof![Just(0xc0), Just(0x40), Just(0x80), any::<u8>()],
        data(),
    );
    let message = prop_oneof![
        Just(Message::Reset),
        Just(Message::CancelDataPacket),
        Just(Message::GetConfiguration),
        (0..3u8).prop_map(|configuration| Message::SetConfiguration { configuration }),
        Just(Message::SetConfiguration { configuration: 1 }),
        any::<(u8, u8)>().prop_map(|(interface, alt)| Message::SetAltSetting { interface, alt }),
        any::<u8>().prop_map(|interface| Message::GetAltSetting { interface }),
        endpoint().prop_map(|endpoint| Message::StartInterruptReceiving { endpoint }),
        endpoint().prop_map(|endpoint| Message::StopInterruptReceiving { endpoint }),
        (0..60u32, data()).prop_map(|(kind, body)| Message::Other {
            kind: kind + 200,
            body
        }),
        control.prop_map(|((request, _, value, index, length), request_type, data)| {
            let endpoint = Endpoint(request_type & 0x80);
            let header = ControlHeader {
                endpoint,
                request,
                request_type,
                status: Status::Success,
                value,
                index,
                length,
            };
            Message::Control { header, data }
        }),
        (endpoint(), 0..20_000u32, data()).prop_map(|(endpoint, length, data)| {
            let header = bulk(endpoint, length);
            Message::Bulk { header, data }
        }),
        (endpoint(), data()).prop_map(|(endpoint, data)| {
            let header = InterruptHeader {
                endpoint,
                status: Status::Success,
                length: 0,
            };
            Message::Interrupt { header, data }
        }),
    ];
    prop_oneof![
        8 => message.prop_map(Step::Say),
        2 => (0..1600usize).prop_map(Step::Frame),
        1 => (0..3000u64).prop_map(Step::Wait),
    ]
}

/// The types of answers that a guest's message asks for.
const fn wants_answer(message: &Message) -> bool {
    !matches!(
        message,
        Message::Reset | Message::CancelDataPacket | Message::Other { .. }
    )
}

const fn is_answer(packet: &Packet) -> bool {
    match &packet.message {
        // Those with a small identifier are unasked for.
        Message::Interrupt { .. } => packet.id >= FIRST,
        Message::InterfaceInfo(_)
        | Message::EpInfo(_)
        | Message::DeviceConnect(_)
        | Message::DeviceDisconnect => false,
        _ => true,
    }
}

const FIRST: u64 = 1 << 40;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_request_has_one_answer(steps in vec(step(), 0..60)) {
        let mut port = Port::new(Lan9514::new(MAC), QUIET_RESET, Timeline::start());
        let mut guest = Codec::new(Caps(0xff));
        let mut now = Instant::now();
        let mut input = BytesMut::new();
        port.hello();
        let hello = Message::Hello { version: "test".into(), caps: Caps(0xff) };
        guest.encode(&Packet { id: 0, message: hello }, &mut input);
        port.read(&mut input, now).unwrap();
        let mut answers = vec![];
        let mut collect = |guest: &mut Codec, out: &mut BytesMut| {
            while let Some(packet) = guest.decode(out).unwrap() {
                if is_answer(&packet) && !matches!(packet.message, Message::Hello { .. }) {
                    answers.push(packet.id);
                }
            }
        };
        collect(&mut guest, &mut port.out);
        let mut asked = vec![];
        for (id, step) in (FIRST..).zip(steps) {
            match step {
                Step::Say(message) => {
                    if wants_answer(&message) {
                        asked.push(id);
                    }
                    guest.encode(&Packet { id, message }, &mut input);
                    port.read(&mut input, now).unwrap();
                }
                Step::Frame(length) => port.receive(vec![0xff; length].into()),
                Step::Wait(milliseconds) => now += std::time::Duration::from_millis(milliseconds),
            }
            port.settle(now);
            while port.transmitted().is_some() {}
            prop_assert!(port.deadline().is_none_or(|deadline| deadline > now), "what is due is done");
            collect(&mut guest, &mut port.out);
        }
        port.command(Command::Unplug);
        collect(&mut guest, &mut port.out);
        answers.sort_unstable();
        prop_assert_eq!(answers, asked);
    }
}
