//! A driver like Linux': bursts, offload both ways, `USB_CFG0.BIR` set, PHY through an MDIO bus with Microchip's pages.

use super::*;
use crate::usb::adapter::endpoints::{BULK_OUT, INTERRUPT_IN};
use crate::usb::device::{Nic, Stall, UsbDevice};

/// Linux' way from probe to a running interface.
pub(super) fn started() -> Driver {
    let mut driver = Driver::attach();
    driver.reset();
    assert_eq!(driver.get(ID_REV) >> 16, 0x7800);
    driver.set_station(MAC);
    driver.set_bits(USB_CFG0, USB_CFG0_BIR);
    driver.put(BURST_CAP, 0x20);
    driver.put(HW_CFG, 0x0300_0000 | HW_CFG_MEF);
    driver.set_bits(USB_CFG0, USB_CFG0_BCE);
    assert_eq!(driver.get(USB_CFG0), 0x60);
    driver.put(INT_STS, u32::MAX);
    driver.put(RFE_CTL, 0x7ca2);
    driver.put(MAC_RX, 1522 << 16);
    for fifo in [FCT_TX_CTL, FCT_RX_CTL] {
        driver.put(fifo, FCT_CTL_RST);
        assert_eq!(driver.get(fifo), 0, "over at once");
        driver.put(fifo, FCT_CTL_EN);
    }
    driver.set_bits(MAC_TX, 1);
    driver.set_bits(MAC_RX, 1);
    assert_eq!((driver.mdio(1, 2), driver.mdio(1, 3)), (0x0007, 0xc132));
    assert_eq!(driver.mdio(2, 2), 0xffff);
    driver
}

/// One's-complement sum of big-endian words, folded: the textbook's way.
fn internet_sum(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0u16, |sum, word| {
        let word = u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]);
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

#[test]
fn receives_bursts_with_fcs_and_checksums() {
    let mut driver = started();
    let lengths = [60, 61, 62, 63, 498, 502, 1514, 333];
    for length in lengths {
        driver.arrive(&frame(length));
    }
    let received = frames_in(&driver.transfer(URB).unwrap(), true);
    assert_eq!(received.len(), lengths.len());
    for (received, length) in received.iter().zip(lengths) {
        assert_eq!(received.frame, frame(length));
        assert_eq!(received.a & 1 << 14, 0, "a checksum is given");
        let sum = u16::try_from(received.b >> 16).unwrap();
        assert_eq!(sum, internet_sum(&frame(length)[14..]), "{length}");
    }
    assert_eq!(driver.chip.counters().checksums_reported, 8);
    assert_eq!(driver.bulk_in(URB), None, "BIR: the request waits");
    driver.put(RFE_CTL, 0x402);
    driver.arrive(&frame(60));
    let received = frames_in(&driver.transfer(URB).unwrap(), true);
    assert_eq!(received[0].a >> 14 & 1, 1, "no checksum");
}

#[test]
fn bursts_respect_the_cap_and_the_mode() {
    let mut driver = started();
    driver.put(BURST_CAP, 4);
    let arrive = |driver: &mut Driver| (0..4).for_each(|_| driver.arrive(&frame(1000)));
    arrive(&mut driver);
    let burst = |driver: &mut Driver| frames_in(&driver.transfer(URB).unwrap(), true).len();
    assert_eq!(burst(&mut driver), 2, "cap of 2048");
    driver.put(BURST_CAP, 0x20);
    assert_eq!(burst(&mut driver), 2, "the rest");
    driver.put(HW_CFG, 0);
    arrive(&mut driver);
    assert_eq!(burst(&mut driver), 1, "one without MEF");
}

#[test]
fn the_fifo_is_bounded_and_exerts_back_pressure() {
    let mut driver = started();
    let mut stored = 0;
    while driver.chip.has_room() {
        driver.arrive(&frame(1514));
        stored += 1;
    }
    assert_eq!(stored, 8, "12 KiB");
    assert_eq!(driver.get(FCT_RX_CTL) & 0xffff, 8 * 1530);
    driver.chip.receive(frame(1514).into());
    assert_eq!(driver.chip.counters().dropped_to_guest, 1);
    assert_eq!(statistic(&mut driver, 6), 1, "and counted");
    assert_eq!(frames_in(&driver.transfer(URB).unwrap(), true).len(), 8);
    assert!(driver.chip.has_room());
}

#[test]
fn long_frames_pass_when_the_driver_wants_them() {
    let mut driver = started();
    driver.chip.receive(frame(1519).into());
    assert_eq!(statistic(&mut driver, 5), 1, "oversize");
    driver.put(MAC_RX, 9022 << 16 | 1);
    driver.arrive(&frame(9018));
    assert!(!driver.chip.has_room());
    let received = frames_in(&driver.transfer(URB).unwrap(), true);
    assert_eq!(contents(received), [frame(9018)]);
    driver.bulk_out(&command(&frame(9018), 0, 0));
    assert_eq!(driver.sent(), [frame(9018)]);
}

#[test]
fn several_frames_a_transfer_each_at_a_multiple_of_four() {
    let mut driver = started();
    let mut transfer = Vec::new();
    let lengths = [60, 61, 62, 63, 64, 1000, 1514];
    for length in lengths {
        transfer.resize(transfer.len().next_multiple_of(4), 0);
        transfer.extend(command(&frame(length), 0, 0));
    }
    driver.bulk_out(&transfer);
    assert_eq!(driver.sent(), lengths.map(frame));
    // The next transfer counts anew.
    driver.bulk_out(&command(&frame(61), 0, 0));
    driver.bulk_out(&command(&frame(61), 0, 0));
    assert_eq!(driver.sent().len(), 2);
    let even = command(&frame(1016), 0, 0);
    assert_eq!(even.len() % 512, 0);
    driver.bulk_out(&even);
    driver.chip.bulk_out(BULK_OUT, &[]).unwrap();
    driver.bulk_out(&command(&frame(60), 0, 0));
    assert_eq!(driver.sent(), [frame(1016), frame(60)]);
    assert_eq!(driver.chip.diagnostic(), None);
}

#[test]
fn tags_are_inserted_replaced_stripped_and_filtered() {
    let mut driver = started();
    let tagged = |tag: u16| {
        let mut bytes = frame(100);
        bytes.splice(12..12, [[0x81, 0x00], tag.to_be_bytes()].concat());
        bytes
    };
    driver.bulk_out(&command(&frame(100), 1 << 24, 0x2005));
    assert_eq!(driver.sent(), [tagged(0x2005)]);
    driver.bulk_out(&command(&tagged(7), 1 << 23, 0x2005));
    assert_eq!(driver.sent(), [tagged(0x2005)]);

    driver.chip.receive(tagged(0x2005).into());
    assert_eq!(driver.bulk_in(URB), None, "VLAN 5 is not in the table");
    write_memory(&mut driver, 0, 1 << 5);
    driver.arrive(&tagged(0x2005));
    let received = frames_in(&driver.transfer(URB).unwrap(), true);
    assert_eq!(received[0].frame, frame(100));
    let tag = (received[0].a >> 23 & 1, received[0].b & 0xffff);
    assert_eq!(tag, (1, 0x2005));
    driver.put(RFE_CTL, 0x402);
    driver.arrive(&tagged(9));
    let received = frames_in(&driver.transfer(URB).unwrap(), true);
    assert_eq!(
        received[0].frame,
        tagged(9),
        "neither stripped nor filtered"
    );
}

#[test]
fn receive_modes() {
    let mut driver = started();
    let group = |last| Mac([0x01, 0x00, 0x5e, 0, 0, last]);
    let other = Mac([0xb8, 0x27, 0xeb, 9, 9, 9]);
    let all = [MAC, other, Mac::BROADCAST, group(1), group(0xfb)];
    let passing = |driver: &mut Driver, mode| {
        driver.put(RFE_CTL, mode);
        all.map(|to| {
            driver.arrive(&frame_to(to.0, 64));
            driver.transfer(URB).is_some()
        })
    };
    assert_eq!(passing(&mut driver, 0), [false; 5]);
    let perfect = [true, false, false, false, false];
    assert_eq!(passing(&mut driver, RFE_CTL_DPF), perfect);
    let broadcast = [false, false, true, false, false];
    assert_eq!(passing(&mut driver, RFE_CTL_AB), broadcast);
    let groups = [false, false, false, true, true];
    assert_eq!(passing(&mut driver, RFE_CTL_AM), groups);
    let unicast = [true, true, false, false, false];
    assert_eq!(passing(&mut driver, RFE_CTL_AU), unicast);
    let hash = crate::usb::adapter::frame::address_crc(group(1)) >> 23;
    write_memory(&mut driver, 128 + hash / 32, 1 << (hash % 32));
    let one_group = [false, false, false, true, false];
    assert_eq!(passing(&mut driver, RFE_CTL_MHF), one_group);
    assert_eq!(passing(&mut driver, RFE_CTL_DHF), [false; 5]);
    driver.set_filter(32, other, MAF_VALID);
    assert_eq!(passing(&mut driver, RFE_CTL_DPF), unicast);
    driver.set_filter(32, other, MAF_VALID | MAF_SOURCE);
    assert_eq!(passing(&mut driver, RFE_CTL_DPF), perfect);
    driver.set_filter(32, other, 0);
    assert_eq!(passing(&mut driver, RFE_CTL_DPF), perfect);
}

#[test]
fn link_changes_reach_driver_and_frames() {
    let mut driver = started();
    driver.put(INT_EP_CTL, INT_STS_PHY);
    driver.mdio(1, 26);
    driver.mdio_write(25, 0xa400);
    driver.chip.set_link(false);
    let report = driver.chip.interrupt_in(INTERRUPT_IN).unwrap();
    assert_eq!(report[..], INT_STS_PHY.to_le_bytes());
    assert_eq!(driver.chip.interrupt_in(INTERRUPT_IN), None, "told once");
    assert_eq!(driver.get(INT_STS) & INT_STS_PHY, INT_STS_PHY);
    assert_eq!(driver.mdio(1, 26), 0xa000, "link changed");
    assert_eq!(driver.mdio(1, 26), 0, "reading clears");
    assert_eq!(driver.mdio(1, 1) & 0x24, 0);
    assert_eq!((driver.mdio(1, 5), driver.mdio(1, 10)), (0, 0));
    driver.arrive(&frame(100));
    driver.bulk_out(&command(&frame(100), 0, 0));
    assert_eq!(driver.sent().len(), 0);
    driver.chip.set_link(true);
    assert!(driver.chip.interrupt_in(INTERRUPT_IN).is_some());
    assert_eq!(driver.mdio(1, 1) & 0x24, 0x24);
    assert_eq!(driver.mdio(1, 10), 0x7c00, "the partner does 1000 Mbit/s");
}

#[test]
fn what_is_looped_back_comes_back_and_stays_here() {
    let mut driver = started();
    let phy =
        |driver: &mut Driver, on: bool| driver.mdio_write(0, if on { 0x4140 } else { 0x1140 });
    let mac =
        |driver: &mut Driver, on: bool| driver.put(MAC_CR, if on { MAC_CR_LOOPBACK } else { 0 });
    for switch in [phy as fn(&mut Driver, bool), mac] {
        switch(&mut driver, true);
        assert_eq!(driver.mdio(1, 1) & 4, 4, "drivers wait for the link");
        driver.bulk_out(&command(&frame(200), 0, 0));
        assert_eq!(driver.sent().len(), 0);
        driver.chip.receive(frame(300).into());
        let received = frames_in(&driver.transfer(URB).unwrap(), true);
        assert_eq!(contents(received), [frame(200)]);
        switch(&mut driver, false);
        driver.bulk_out(&command(&frame(200), 0, 0));
        assert_eq!(driver.sent().len(), 1);
    }
}

#[test]
fn pages_and_mmd_registers() {
    let mut driver = started();
    driver.mdio_write(31, 0x52b5);
    driver.mdio_write(17, 0x1234);
    driver.mdio_write(16, 0x0686);
    assert_eq!(driver.mdio(1, 16), 0x8686, "the command is done");
    assert_eq!(driver.mdio(1, 17), 0x1234);
    assert_eq!(driver.mdio(1, 2), 0x0007, "not paged");
    driver.mdio_write(31, 0);
    assert_eq!(driver.mdio(1, 17), 0);
    driver.mdio_write(13, 3);
    driver.mdio_write(14, 0x806a);
    driver.mdio_write(13, 0x4003);
    driver.mdio_write(14, 0x2000);
    assert_eq!(driver.mdio(1, 14), 0x2000);
}

#[test]
fn statistics_count() {
    let mut driver = started();
    driver.arrive(&frame(60));
    driver.arrive(&frame_to([0xff; 6], 1514));
    driver.bulk_out(&command(&frame(200), 0, 0));
    driver.sent();
    let counters: Vec<u32> = (0..47).map(|at| statistic(&mut driver, at)).collect();
    let expected = [
        (7, 64),
        (8, 1518),
        (10, 1),
        (11, 1),
        (14, 1),
        (19, 1),
        (31, 204),
        (34, 1),
        (40, 1),
    ];
    for (at, value) in counters.into_iter().enumerate() {
        let expected = expected.iter().find(|(place, _)| *place == at);
        assert_eq!(
            value,
            expected.map_or(0, |(_, value)| *value),
            "counter {at}"
        );
    }
}

#[test]
fn unknown_registers_take_writes_and_stopped_engines_say_so() {
    let mut driver = started();
    for register in [0x84, 0xe0, 0x140, 0x600, 0x10f0] {
        driver.put(register, 0x00f8_30a1);
        assert_eq!(driver.get(register), 0x00f8_30a1, "{register:#x}");
    }
    driver.put(MAC_TX, 0);
    driver.put(FCT_TX_CTL, 0);
    assert_eq!(driver.get(MAC_TX), MAC_STOPPED);
    assert_eq!(driver.get(FCT_TX_CTL), FCT_CTL_DIS);
    driver.put(MAC_CR, 0x3801);
    assert_eq!(driver.get(MAC_CR), 0x3800, "RST clears itself");
    let setup = Driver::setup(0xc0, 0xa1, 0x1100);
    assert_eq!(
        driver.chip.control(&setup, &[], &mut Vec::new()),
        Err(Stall)
    );
}

fn statistic(driver: &mut Driver, at: usize) -> u32 {
    let mut reply = Vec::new();
    let setup = Driver::setup(0xc0, 0xa2, 0);
    driver.chip.control(&setup, &[], &mut reply).unwrap();
    assert_eq!(reply.len(), 188);
    u32::from_le_bytes(reply[at * 4..][..4].try_into().unwrap())
}

fn write_memory(driver: &mut Driver, address: u32, value: u32) {
    driver.put(DP_SEL, DP_SEL_VHF);
    assert_eq!(driver.get(DP_SEL) >> 31, 1, "ready");
    driver.put(DP_ADDR, address);
    driver.put(DP_DATA, value);
    driver.put(DP_CMD, DP_CMD_WRITE);
}
