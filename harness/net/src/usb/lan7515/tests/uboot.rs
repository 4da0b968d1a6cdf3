//! A driver like U-Boot's: polls, one frame a transfer, no offload, FCS stripped.

use bytes::BytesMut;

use super::*;
use crate::usb::adapter::endpoints::{BULK_IN, BULK_OUT};
use crate::usb::device::{BulkIn, Nic, Stall, UsbDevice};

/// Bytes of U-Boot's receive buffer.
const BUFFER: usize = 2048;

/// U-Boot's way from the configuration to a running adapter.
fn started() -> Driver {
    let mut driver = Driver::attach();
    driver.reset();
    assert_eq!(driver.get(ID_REV) >> 16, 0x7800);
    driver.put(USB_CFG0, 0);
    driver.set_station(MAC);
    driver.put(BURST_CAP, 0);
    driver.put(INT_STS, u32::MAX);
    driver.put(RFE_CTL, RFE_CTL_AB | RFE_CTL_DPF);
    driver.mdio_write(0, 0x8000);
    assert_eq!(driver.mdio(1, 0), 0x1140, "autonegotiation after a reset");
    driver.mdio_write(0, 0x1340);
    assert_eq!(driver.mdio(1, 1) & 0x24, 0x24, "link");
    driver.set_bits(MAC_CR, 0x3800);
    driver.put(MAC_TX, 1);
    driver.put(FCT_TX_CTL, FCT_CTL_EN);
    driver.put(MAC_RX, 0x0608_0011);
    assert!(!driver.chip.is_started());
    driver.put(FCT_RX_CTL, FCT_CTL_EN);
    assert!(driver.chip.is_started());
    driver
}

#[test]
fn the_address_is_where_it_was_stored() {
    let mut blank = Driver::attach();
    assert_eq!((blank.eeprom(0), blank.otp(0)), (0xff, 0));
    assert_eq!(blank.get(RX_ADDRL), u32::MAX, "no valid address");
    let mut driver = Driver::of(Lan7800::new(StoredAddress::Eeprom(MAC)));
    let bytes: Vec<u8> = (0..7).map(|at| driver.eeprom(at)).collect();
    assert_eq!(bytes, [&[0xa5], &MAC.0[..]].concat());
    assert_eq!(driver.get(RX_ADDRL).to_le_bytes(), MAC.0[..4]);
    let mut driver = Driver::of(Lan7800::new(StoredAddress::Otp(MAC)));
    let bytes: Vec<u8> = (0..7).map(|at| driver.otp(at)).collect();
    assert_eq!(bytes, [&[0xf3], &MAC.0[..]].concat());
    assert_eq!(driver.eeprom(0), 0xff);
    assert_eq!(driver.otp(0x1fff), 0);
}

#[test]
fn sends_frames_of_every_packet_count_without_a_zero_length_packet() {
    let mut driver = started();
    for length in [60, 503, 504, 505, 1016, 1500, 1514] {
        driver.bulk_out(&command(&frame(length), 0, 0));
        assert_eq!(driver.sent(), [frame(length)], "{length}");
    }
    assert_eq!(driver.chip.counters().from_guest.frames, 7);
    assert_eq!(driver.chip.diagnostic(), None);
}

#[test]
fn one_frame_a_transfer_without_its_fcs() {
    let mut driver = started();
    for length in [42, 60, 502, 1514] {
        driver.arrive(&frame(length));
    }
    for length in [42, 60, 502, 1514] {
        let transfer = driver.transfer(BUFFER).unwrap();
        assert_eq!(transfer.len(), 10 + length.max(60));
        let mut expected = frame(length);
        expected.resize(length.max(60), 0);
        assert_eq!(contents(frames_in(&transfer, false)), [expected]);
    }
    assert_eq!(driver.bulk_in(BUFFER), Some(vec![]), "polled: none is left");
}

#[test]
fn a_transfer_of_full_packets_is_ended() {
    // 10 bytes of words and 502 of frame: exactly a packet.
    let mut driver = started();
    driver.put(USB_CFG0, USB_CFG0_BIR);
    driver.arrive(&frame(502));
    assert_eq!(driver.transfer(BUFFER).unwrap().len(), 512);
    assert_eq!(driver.bulk_in(BUFFER), None, "the end is told once");
}

#[test]
fn bad_commands_lose_one_frame_and_are_told() {
    let mut driver = started();
    driver.bulk_out(&command(&[], 0, 0));
    let mut huge = command(&frame(1000), 0, 0);
    huge[1] = 0xff;
    driver.bulk_out(&huge);
    driver.bulk_out(&command(&frame(900), 0, 0)[..700]);
    driver.bulk_out(&command(&frame(100), 0, 0));
    assert_eq!(driver.sent(), [frame(100)]);
    assert_eq!(driver.chip.counters().dropped_from_guest, 3);
    assert_eq!(driver.get(INT_STS) & INT_STS_TXE, INT_STS_TXE);
    let diagnostics: Vec<_> = std::iter::from_fn(|| driver.chip.diagnostic())
        .map(|diagnostic| diagnostic.text)
        .collect();
    insta::assert_snapshot!(diagnostics.join("\n"), @r"
    the LAN7800 model dropped a frame: tx command words 0x00400000 0x00000000 do not describe a frame
    the LAN7800 model dropped a frame: tx command words 0x0040ffe8 0x00000000 do not describe a frame
    the LAN7800 model dropped a frame: a transfer ended 208 bytes before its frame
    ");
}

#[test]
fn a_stopped_or_unconfigured_adapter_loses_frames() {
    let mut driver = Driver::attach();
    driver.arrive(&frame(100));
    driver.bulk_out(&command(&frame(100), 0, 0));
    assert_eq!(driver.sent().len(), 0);
    let counters = driver.chip.counters();
    let dropped = (counters.dropped_to_guest, counters.dropped_from_guest);
    assert_eq!(dropped, (1, 1));
    driver.chip.reset();
    assert_eq!(driver.chip.bulk_out(BULK_OUT, &[]), Err(Stall));
    let answer = driver.chip.bulk_in(BULK_IN, BUFFER, &mut BytesMut::new());
    assert_eq!(answer, Err(Stall));
    assert_eq!(driver.chip.configure(2), Err(Stall));
}

#[test]
fn the_next_program_finds_a_reset_chip() {
    // U-Boot leaves the receiver on and the FCS stripped.
    let mut driver = started();
    driver.arrive(&frame(100));
    driver.reset();
    assert_eq!(driver.get(MAC_RX), 0);
    assert_eq!(driver.get(RFE_CTL), 0);
    assert_eq!(driver.get(0x400), 0, "perfect filter");
    assert_eq!(driver.get(FCT_RX_CTL), 0);
    assert_eq!(driver.bulk_in(BUFFER), Some(vec![]));
    let answer = driver.chip.bulk_in(BULK_IN, 0, &mut BytesMut::new());
    assert_eq!(answer, Ok(BulkIn::Answered));
}
