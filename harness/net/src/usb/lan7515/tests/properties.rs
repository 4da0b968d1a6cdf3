//! Whatever a guest does, the model goes on; and no split of a transfer changes its frames.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

use super::linux::started;
use super::*;
use crate::usb::adapter::endpoints::BULK_OUT;
use crate::usb::device::{Endpoint, Nic, Setup, UsbDevice};

#[derive(Debug, Clone)]
enum Action {
    Control(u8, u8, u16, Vec<u8>),
    Register(u16, u32),
    Out(u8, Vec<u8>),
    In(u8, usize),
    Interrupt(u8),
    Frame(Vec<u8>),
    Link(bool),
    Configure(u8),
    Reset,
}

fn action() -> impl Strategy<Value = Action> {
    let data = |most| vec(any::<u8>(), 0..most);
    let register = prop_oneof![
        0..0x700u16,
        0x1000..0x1100u16,
        proptest::sample::select(vec![
            HW_CFG, USB_CFG0, MAC_CR, MAC_RX, MAC_TX, FCT_RX_CTL, FCT_TX_CTL, RFE_CTL, BURST_CAP,
            MII_ACC, MII_DATA, DP_CMD, E2P_CMD, OTP_CMD_GO,
        ]),
    ];
    // Lengths near the truth, so that some frames come out whole; any offload.
    let out =
        (14..700u32, any::<u32>(), any::<u32>(), data(700)).prop_map(|(length, a, b, rest)| {
            let a = length | a & 0x0f80_0000;
            [&a.to_le_bytes()[..], &b.to_le_bytes(), &rest].concat()
        });
    prop_oneof![
        (any::<(u8, u8, u16)>(), data(70)).prop_map(|((a, b, c), d)| Action::Control(a, b, c, d)),
        (register, any::<u32>()).prop_map(|(a, b)| Action::Register(a, b)),
        (
            prop_oneof![Just(2), any::<u8>()],
            prop_oneof![data(600), out]
        )
            .prop_map(|(a, b)| Action::Out(a, b)),
        (prop_oneof![Just(0x81), any::<u8>()], 0..20_000usize).prop_map(|(a, b)| Action::In(a, b)),
        prop_oneof![Just(0x83), any::<u8>()].prop_map(Action::Interrupt),
        data(1600).prop_map(Action::Frame),
        any::<bool>().prop_map(Action::Link),
        (0..3u8).prop_map(Action::Configure),
        Just(Action::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_breaks_it(actions in vec(action(), 0..80)) {
        let mut chip = started().chip;
        let mut reply = Vec::new();
        for action in actions {
            match action {
                Action::Control(request_type, request, index, data) => {
                    let setup = Setup { request_type, request, value: 0, index, length: 64 };
                    let _ = chip.control(&setup, &data, &mut reply);
                }
                Action::Register(index, value) => {
                    let _ = chip.control(&Driver::setup(0x40, 0xa0, index), &value.to_le_bytes(), &mut reply);
                    let _ = chip.control(&Driver::setup(0xc0, 0xa1, index), &[], &mut reply);
                }
                Action::Out(endpoint, data) => {
                    let _ = chip.bulk_out(Endpoint(endpoint), &data);
                }
                Action::In(endpoint, room) => {
                    let mut out = BytesMut::new();
                    let _ = chip.bulk_in(Endpoint(endpoint), room, &mut out);
                    prop_assert!(out.len() <= room, "more than was asked for");
                }
                Action::Interrupt(endpoint) => {
                    let _ = chip.interrupt_in(Endpoint(endpoint));
                }
                Action::Frame(frame) => chip.receive(frame.into()),
                Action::Link(up) => chip.set_link(up),
                Action::Configure(configuration) => {
                    let _ = chip.configure(configuration);
                }
                Action::Reset => chip.reset(),
            }
            while chip.transmitted().is_some() {}
            while chip.diagnostic().is_some() {}
        }
    }

    /// Every byte of every frame goes out, whatever frames share a transfer and however the transfer is cut.
    #[test]
    fn any_split_of_a_transfer_gives_the_same_frames(lengths in vec(60..1515usize, 1..12), packets in 1..8usize) {
        let mut driver = started();
        let mut transfer = Vec::new();
        for &length in &lengths {
            transfer.resize(transfer.len().next_multiple_of(4), 0);
            transfer.extend(command(&frame(length), 0, 0));
        }
        for piece in transfer.chunks(packets * 512) {
            driver.chip.bulk_out(BULK_OUT, piece).unwrap();
        }
        if transfer.len().is_multiple_of(512) {
            driver.chip.bulk_out(BULK_OUT, &[]).unwrap();
        }
        let sent: Vec<_> = driver.sent().into_iter().map(|frame| frame.to_vec()).collect();
        prop_assert_eq!(sent, lengths.iter().map(|&length| frame(length)).collect::<Vec<_>>());
        prop_assert_eq!(driver.chip.diagnostic(), None);
    }

    /// Every byte of every frame comes in, whatever the size of the requests.
    #[test]
    fn any_size_of_request_gives_the_same_frames(lengths in vec(60..1515usize, 1..30), room in 1..4000usize, strip in any::<bool>()) {
        let mut driver = started();
        driver.put(MAC_RX, 1522 << 16 | 1 | if strip { MAC_RX_FCS_STRIP } else { 0 });
        let mut received = Vec::new();
        for &length in &lengths {
            driver.arrive(&frame(length));
            let mut transfer = Vec::new();
            while let Some(part) = driver.bulk_in(room) {
                transfer.extend(part);
            }
            received.extend(contents(frames_in(&transfer, !strip)));
        }
        prop_assert_eq!(received, lengths.iter().map(|&length| frame(length)).collect::<Vec<_>>());
    }
}
