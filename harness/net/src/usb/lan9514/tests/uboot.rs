//! A driver like U-Boot's: polls, no offload, `HW_CFG.BIR` clear, address from the EEPROM.

use super::*;

/// U-Boot's way from the configuration to a running adapter.
fn started() -> Driver {
    let mut driver = Driver::attach();
    driver.reset();
    let mac: Vec<u8> = (1..7).map(|address| driver.eeprom(address)).collect();
    assert_eq!(mac, MAC.0);
    driver.set_station(MAC.0);
    driver.put(BURST_CAP, 37);
    assert_eq!(driver.get(BURST_CAP), 37);
    driver.set_bits(HW_CFG, HW_CFG_MEF | HW_CFG_BCE);
    assert_eq!(driver.get(HW_CFG), 0x22);
    driver.put(INT_STS, u32::MAX);
    assert_eq!(driver.get(ID_REV) >> 16, 0xec00);
    driver.put(COE_CR, 0);
    driver.mdio_write(0, 0x8000);
    driver.mdio_write(4, 0x0de1);
    driver.mdio(1, 29);
    driver.mdio_write(30, 0x50);
    let control = driver.mdio(1, 0);
    assert_eq!(
        control & 0x1000,
        0x1000,
        "autonegotiation is on after a reset"
    );
    driver.mdio_write(0, control | 0x0200);
    driver.set_bits(INT_EP_CTL, 0x8000);
    driver.set_bits(MAC_CR, MAC_CR_TXEN);
    driver.put(TX_CFG, TX_CFG_ON);
    assert!(!driver.chip.is_started());
    driver.set_bits(MAC_CR, MAC_CR_RXEN);
    assert!(driver.chip.is_started());
    assert_eq!(driver.mdio(1, 1) & 4, 4, "link");
    driver
}

/// A transfer with the command words that U-Boot writes.
fn command(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap();
    [
        &(length | 0x3000).to_le_bytes()[..],
        &length.to_le_bytes(),
        frame,
    ]
    .concat()
}

#[test]
fn sends_frames_of_every_packet_count() {
    let mut driver = started();
    for length in [60, 503, 504, 505, 1016, 1500, 1514] {
        driver.bulk_out(&command(&frame(length)));
        assert_eq!(driver.sent(), [frame(length)], "{length}");
    }
    assert_eq!(
        driver.chip.counters().from_guest,
        crate::usb::device::Traffic {
            frames: 7,
            bytes: 5602
        }
    );
    assert_eq!(driver.chip.diagnostic(), None);
}

#[test]
fn pads_short_frames_on_both_ways() {
    let mut driver = started();
    let padded = [frame(42), vec![0; 18]].concat();
    driver.bulk_out(&command(&frame(42)));
    assert_eq!(driver.sent().pop().unwrap(), padded);
    driver.arrive(&frame(42));
    assert_eq!(
        frames_in(&driver.transfer(URB).unwrap()),
        [(padded, vec![])]
    );
}

#[test]
fn without_frames_the_answer_is_empty() {
    let mut driver = started();
    let mut out = BytesMut::new();
    let answer = driver.chip.bulk_in(BULK_IN, URB, &mut out);
    assert_eq!(
        answer,
        Ok(BulkIn::Answered),
        "as the chip does with BIR clear"
    );
    assert!(out.is_empty());
}

#[test]
fn one_frame_a_transfer_unless_allowed() {
    let mut driver = started();
    driver.put(HW_CFG, 0);
    driver.arrive(&frame(100));
    driver.arrive(&frame(200));
    assert_eq!(
        frames_in(&driver.transfer(2048).unwrap()),
        [(frame(100), vec![])]
    );
    assert_eq!(
        frames_in(&driver.transfer(2048).unwrap()),
        [(frame(200), vec![])]
    );
    assert_eq!(driver.bulk_in(2048), Some(vec![]), "none is left");
}

#[test]
fn a_transfer_of_full_packets_is_ended() {
    // 4 bytes of status, 504 of frame, 4 of FCS: exactly a packet.
    let mut driver = started();
    // An empty answer is then an end that is told, and nothing else.
    let hw_cfg = driver.get(HW_CFG);
    driver.put(HW_CFG, hw_cfg | HW_CFG_BIR);
    driver.arrive(&frame(504));
    assert_eq!(driver.transfer(URB).unwrap().len(), 512);
    assert_eq!(driver.bulk_in(URB), None, "the end is told once");
    // A request of just that size has ended by itself.
    driver.arrive(&frame(504));
    assert_eq!(driver.bulk_in(512).unwrap().len(), 512);
    assert_eq!(driver.bulk_in(URB), None);
}

#[test]
fn a_frame_may_be_fetched_in_packets() {
    let mut driver = started();
    driver.arrive(&frame(1514));
    driver.arrive(&frame(60));
    let mut all = Vec::new();
    for expected in [512, 512, 498] {
        let part = driver.bulk_in(512).unwrap();
        assert_eq!(part.len(), expected);
        all.extend(part);
    }
    assert_eq!(frames_in(&all), [(frame(1514), vec![])]);
    assert_eq!(driver.bulk_in(512).unwrap().len(), 68);
}

#[test]
fn bad_commands_lose_one_frame_and_are_told() {
    let mut driver = started();
    let mut wrong = command(&frame(1000));
    wrong[1] = 0; // neither first nor last segment
    driver.bulk_out(&wrong);
    driver.bulk_out(&command(&frame(900))[..700]); // ends in mid-frame
    driver.bulk_out(&command(&frame(100)));
    assert_eq!(driver.sent(), [frame(100)]);
    assert_eq!(driver.chip.counters().dropped_from_guest, 2);
    assert_eq!(driver.get(INT_STS) & INT_STS_TXE, INT_STS_TXE);
    driver.put(INT_STS, u32::MAX);
    assert_eq!(driver.get(INT_STS) & INT_STS_TXE, 0);
    let diagnostics: Vec<_> = std::iter::from_fn(|| driver.chip.diagnostic())
        .map(|diagnostic| diagnostic.text)
        .collect();
    insta::assert_snapshot!(diagnostics.join("\n"), @r"
    the LAN9514 model dropped a frame: tx command words 0x000000e8 0x000003e8 do not describe a whole frame
    the LAN9514 model dropped a frame: a transfer ended 208 bytes before its frame
    ");
}

#[test]
fn a_stopped_adapter_loses_frames() {
    let mut driver = Driver::attach();
    driver.arrive(&frame(100));
    driver.bulk_out(&command(&frame(100)));
    assert_eq!(driver.sent().len(), 0);
    assert_eq!(driver.bulk_in(URB), Some(vec![]), "none is there");
    let counters = driver.chip.counters();
    assert_eq!(
        (counters.dropped_to_guest, counters.dropped_from_guest),
        (1, 1)
    );
}

#[test]
fn the_address_filter_is_in_the_way() {
    let mut driver = started();
    driver.arrive(&frame_to([0xb8, 0x27, 0xeb, 9, 9, 9], 100));
    driver.arrive(&frame_to([0xff; 6], 100));
    assert_eq!(
        frames_in(&driver.transfer(URB).unwrap()),
        [(frame_to([0xff; 6], 100), vec![])]
    );
    assert_eq!(driver.chip.counters().filtered, 1);
}

#[test]
fn an_unconfigured_device_stalls() {
    let mut driver = started();
    driver.chip.reset();
    assert!(!driver.chip.is_started());
    assert_eq!(
        driver.chip.bulk_out(BULK_OUT, &command(&frame(60))),
        Err(Stall)
    );
    assert_eq!(
        driver.chip.bulk_in(BULK_IN, URB, &mut BytesMut::new()),
        Err(Stall)
    );
    assert_eq!(driver.chip.configure(2), Err(Stall));
}
