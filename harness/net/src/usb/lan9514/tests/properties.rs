//! Whatever a guest does, the model goes on.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

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
        (0..0x140u16),
        Just(HW_CFG),
        Just(MAC_CR),
        Just(TX_CFG),
        Just(COE_CR),
        Just(BURST_CAP),
        Just(MII_ACCESS)
    ];
    // Lengths near the truth, so that some frames come out whole.
    let out = (0..700u32, any::<u32>(), data(700)).prop_map(|(length, b, rest)| {
        let mut bytes = [
            (length | 0x3000).to_le_bytes(),
            (length | b & 0x4000).to_le_bytes(),
        ]
        .concat();
        bytes.extend(rest);
        bytes
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
        let mut chip = Driver::attach().chip;
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

    /// Every byte of every frame arrives, whatever the sizes of frames and requests.
    #[test]
    fn streams_both_ways(lengths in vec(60..1515usize, 1..30), room in 1..4000usize, cut in 1..2000usize) {
        let mut driver = Driver::attach();
        driver.put(MAC_CR, MAC_CR_RXEN | MAC_CR_TXEN);
        driver.put(TX_CFG, TX_CFG_ON);
        // BIR: a request without a frame stays open, which ends the loop below.
        driver.put(HW_CFG, HW_CFG_MEF | HW_CFG_BIR);
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        for &length in &lengths {
            let mut transfer = u32::try_from(length).unwrap().to_le_bytes().to_vec();
            transfer[1] |= 0x30;
            transfer.extend(u32::try_from(length).unwrap().to_le_bytes());
            transfer.extend(frame(length));
            // Pieces as the DWC2 makes them: whole packets, and a rest.
            for piece in transfer.chunks(cut.next_multiple_of(512)) {
                driver.chip.bulk_out(BULK_OUT, piece).unwrap();
            }
            sent.append(&mut driver.sent());
            driver.arrive(&frame(length));
            let mut transfer = Vec::new();
            while let Some(part) = driver.bulk_in(room) {
                transfer.extend(part);
            }
            received.extend(frames_in(&transfer));
        }
        prop_assert_eq!(sent.iter().map(|frame| frame.len()).collect::<Vec<_>>(), lengths.clone());
        prop_assert_eq!(received.iter().map(|(frame, _)| frame.len()).collect::<Vec<_>>(), lengths);
    }
}
