//! A driver like Linux's: bursts, offload both ways, `HW_CFG.BIR` set, interrupt endpoint, PHY through an MDIO bus.

use super::registers::{HASHL, MAC_CR_HPFILT, MAC_CR_MCPAS, MAC_CR_PRMS};
use super::*;

/// Linux's way from probe to a running interface.
fn started() -> Driver {
    let mut driver = Driver::attach();
    assert_eq!(
        driver.get(E2P_CMD) & 1 << 9,
        1 << 9,
        "Linux looks for EEPROM LOADED first"
    );
    assert_eq!(driver.eeprom(0), 0xa5);
    driver.reset();
    driver.set_station(MAC.0);
    driver.set_bits(HW_CFG, HW_CFG_BIR);
    driver.put(BURST_CAP, 37);
    driver.set_bits(HW_CFG, HW_CFG_MEF | HW_CFG_BCE);
    assert_eq!(driver.get(HW_CFG), 0x1022);
    driver.put(INT_STS, u32::MAX);
    driver.set_bits(COE_CR, COE_CR_TX | COE_CR_RX);
    driver.set_bits(INT_EP_CTL, 0x8000);
    driver.set_bits(MAC_CR, MAC_CR_TXEN);
    driver.put(TX_CFG, TX_CFG_ON);
    driver.set_bits(MAC_CR, MAC_CR_RXEN);
    // The MDIO bus finds the PHY by its identity, and nothing elsewhere.
    assert_eq!((driver.mdio(1, 2), driver.mdio(1, 3)), (0x0007, 0xc0f1));
    assert_eq!(driver.mdio(2, 2), 0xffff);
    driver
}

/// Switches the PHY's interrupts on as its driver does, and swallows what was pending.
fn with_interrupts(mut driver: Driver) -> Driver {
    driver.mdio(1, 29);
    driver.mdio_write(30, 0xd0);
    assert_eq!(driver.chip.interrupt_in(INTERRUPT_IN), None);
    driver
}

/// A transfer with command words and, for a checksum, the preamble.
fn command(frame: &[u8], checksum: Option<(u16, u16)>) -> Vec<u8> {
    let preamble = checksum.map_or(vec![], |(start, store)| {
        [start.to_le_bytes(), store.to_le_bytes()].concat()
    });
    let length = u32::try_from(frame.len() + preamble.len()).unwrap();
    let b = length | if checksum.is_some() { 0x4000 } else { 0 };
    [
        &(length | 0x3000).to_le_bytes()[..],
        &b.to_le_bytes(),
        &preamble,
        frame,
    ]
    .concat()
}

/// One's-complement sum of big-endian words, folded.
fn internet_sum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes
        .chunks(2)
        .map(|w| u32::from(w[0]) << 8 | w.get(1).map_or(0, |&b| b.into()))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
}

#[test]
fn sends_with_checksums_of_even_and_odd_lengths() {
    let mut driver = started();
    for length in [80, 81, 523, 1000, 1513, 1514] {
        // As the kernel does: the pseudo-header's sum stands where the checksum belongs.
        let (start, store) = (34, 50);
        let mut plain = frame(length);
        plain[store..store + 2].copy_from_slice(&[0x12, 0x34]);
        driver.bulk_out(&command(
            &plain,
            Some((start, u16::try_from(store).unwrap())),
        ));
        let sent = driver.sent().pop().unwrap();
        assert_eq!(sent.len(), length);
        // Verified as a receiver does: the sum over data and checksum, less the pseudo-header's share, is all ones.
        let rest = internet_sum(
            &[
                &sent[usize::from(start)..],
                if length % 2 == 1 { &[0][..] } else { &[] },
                &[0x12, 0x34],
            ]
            .concat(),
        );
        assert_eq!(rest, 0xffff, "{length}");
        assert_eq!(sent[..store], plain[..store]);
        assert_eq!(sent[store + 2..], plain[store + 2..]);
    }
    driver.bulk_out(&command(&frame(70), None));
    assert_eq!(driver.sent(), [frame(70)]);
    assert_eq!(driver.chip.counters().checksums_inserted, 6);
}

#[test]
fn transfers_of_full_packets_end_with_an_empty_one() {
    let mut driver = started();
    let transfer = command(&frame(1016), None);
    assert_eq!(transfer.len() % 512, 0);
    driver.bulk_out(&transfer);
    driver.chip.bulk_out(BULK_OUT, &[]).unwrap();
    driver.bulk_out(&command(&frame(60), None));
    assert_eq!(driver.sent(), [frame(1016), frame(60)]);
    assert_eq!(driver.chip.diagnostic(), None);
}

#[test]
fn a_checksum_outside_the_frame_is_refused() {
    let mut driver = started();
    for place in [(34, 99), (34, u16::MAX), (u16::MAX, 50)] {
        driver.bulk_out(&command(&frame(100), Some(place)));
    }
    assert_eq!(driver.sent().len(), 0);
    assert_eq!(driver.chip.counters().dropped_from_guest, 3);
}

#[test]
fn receives_bursts_with_checksums() {
    let mut driver = started();
    let lengths = [60, 61, 62, 63, 1514, 333];
    for length in lengths {
        driver.arrive(&frame(length));
    }
    let frames = frames_in(&driver.transfer(URB).unwrap());
    assert_eq!(frames.len(), lengths.len());
    for ((contents, checksum), length) in frames.iter().zip(lengths) {
        assert_eq!(*contents, frame(length));
        // Little-endian words: the big-endian sum with its bytes swapped.
        assert_eq!(
            checksum[..],
            internet_sum(&contents[14..]).to_be_bytes(),
            "{length}"
        );
    }
    assert_eq!(driver.chip.counters().checksums_reported, 6);
    assert_eq!(
        driver.chip.counters().to_guest.bytes,
        lengths.iter().sum::<usize>() as u64
    );
    assert_eq!(
        driver.chip.bulk_in(BULK_IN, URB, &mut BytesMut::new()),
        Ok(BulkIn::Pending)
    );
}

#[test]
fn bursts_respect_the_cap_and_the_request() {
    let mut driver = started();
    driver.put(BURST_CAP, 4);
    let arrive = |driver: &mut Driver| (0..4).for_each(|_| driver.arrive(&frame(1000)));
    arrive(&mut driver);
    assert_eq!(
        frames_in(&driver.transfer(URB).unwrap()).len(),
        2,
        "cap of 2048"
    );
    driver.put(BURST_CAP, 37);
    assert_eq!(
        frames_in(&driver.transfer(1500).unwrap()).len(),
        1,
        "request of 1500"
    );
    arrive(&mut driver);
    assert_eq!(frames_in(&driver.transfer(URB).unwrap()).len(), 5);
}

#[test]
fn the_fifo_is_bounded_and_drains() {
    let mut driver = started();
    let mut stored = 0;
    while driver.chip.has_room() {
        driver.arrive(&frame(1514));
        stored += 1;
    }
    assert_eq!(stored, 13, "20 KiB");
    driver.chip.receive(frame(60).into());
    assert_eq!(
        driver.chip.counters().dropped_to_guest,
        1,
        "nobody asked whether there is room"
    );
    assert_eq!(driver.get(RX_FIFO_INF), 13 * 1524);
    assert_eq!(frames_in(&driver.transfer(URB).unwrap()).len(), 12);
    assert!(driver.chip.has_room());
    driver.put(RX_CFG, RX_CFG_FIFO_FLUSH);
    assert_eq!((driver.get(RX_FIFO_INF), driver.get(RX_CFG)), (0, 0));
}

#[test]
fn link_changes_reach_driver_and_frames() {
    let mut driver = with_interrupts(started());
    driver.chip.set_link(false);
    let report = driver.chip.interrupt_in(INTERRUPT_IN).unwrap();
    assert_eq!(report[..], 0x8000u32.to_le_bytes());
    assert_eq!(driver.chip.interrupt_in(INTERRUPT_IN), None, "told once");
    assert_eq!(driver.get(INT_STS) & INT_STS_PHY_INT, INT_STS_PHY_INT);
    assert_eq!(driver.mdio(1, 29), 0x10, "link down");
    assert_eq!(driver.mdio(1, 29), 0, "reading clears");
    assert_eq!(driver.get(INT_STS) & INT_STS_PHY_INT, 0);
    assert_eq!(driver.mdio(1, 1) & 0x24, 0);
    assert_eq!(driver.mdio(1, 17) & 2, 0, "no energy");
    driver.arrive(&frame(100));
    driver.bulk_out(&command(&frame(100), None));
    assert_eq!(driver.sent().len(), 0);

    driver.chip.set_link(true);
    assert!(driver.chip.interrupt_in(INTERRUPT_IN).is_some());
    assert_eq!(driver.mdio(1, 29), 0xc0, "energy, autonegotiation done");
    assert_eq!(driver.mdio(1, 1) & 0x24, 0x24);
    assert_eq!(driver.mdio(1, 5) & 0x01e0, 0x01e0, "the partner's modes");
    driver.arrive(&frame(100));
    assert_eq!(frames_in(&driver.transfer(URB).unwrap()).len(), 1);
}

#[test]
fn a_short_break_is_latched() {
    let mut driver = started();
    driver.chip.set_link(false);
    driver.chip.set_link(true);
    assert_eq!(driver.mdio(1, 1) & 4, 0);
    assert_eq!(driver.mdio(1, 1) & 4, 4);
}

#[test]
fn masked_interrupts_wait_for_their_mask() {
    let mut driver = started();
    driver.mdio(1, 29);
    driver.chip.set_link(false);
    assert_eq!(driver.chip.interrupt_in(INTERRUPT_IN), None);
    driver.mdio_write(30, 0x10);
    assert!(driver.chip.interrupt_in(INTERRUPT_IN).is_some());
}

#[test]
fn a_powered_down_phy_has_no_link() {
    let mut driver = with_interrupts(started());
    let control = driver.mdio(1, 0);
    driver.mdio_write(0, control | 0x0800);
    assert_eq!(driver.mdio(1, 1) & 4, 0);
    driver.mdio_write(0, control);
    assert_eq!(driver.mdio(1, 1) & 4, 4);
    assert_eq!(driver.mdio(1, 29), 0xd0);
}

#[test]
fn what_is_looped_back_comes_back_and_stays_here() {
    let mut driver = started();
    let phy =
        |driver: &mut Driver, on: bool| driver.mdio_write(0, if on { 0x6100 } else { 0x3100 });
    let mac = |driver: &mut Driver, on: bool| {
        let control = driver.get(MAC_CR) & !MAC_CR_LOOPBK;
        driver.put(MAC_CR, control | if on { MAC_CR_LOOPBK } else { 0 });
    };
    for switch in [phy as fn(&mut Driver, bool), mac] {
        switch(&mut driver, true);
        assert_eq!(driver.mdio(1, 1) & 4, 4, "drivers wait for the link");
        driver.bulk_out(&command(&frame(200), None));
        assert_eq!(driver.sent().len(), 0);
        driver.chip.receive(frame(300).into());
        let received = frames_in(&driver.transfer(URB).unwrap());
        assert_eq!(received.len(), 1, "not what came from the network");
        assert_eq!(received[0].0, frame(200));
        switch(&mut driver, false);
        driver.bulk_out(&command(&frame(200), None));
        assert_eq!(driver.sent().len(), 1);
    }
}

#[test]
fn it_naks_while_it_has_nothing_and_the_driver_waits() {
    let mut driver = started();
    assert!(driver.chip.naks(BULK_IN));
    assert!(!driver.chip.naks(BULK_OUT));
    driver.arrive(&frame(502));
    assert!(!driver.chip.naks(BULK_IN));
    driver.bulk_in(URB);
    assert!(!driver.chip.naks(BULK_IN), "a zero-length packet is due");
    driver.bulk_in(URB);
    assert!(driver.chip.naks(BULK_IN));
    driver.put(HW_CFG, HW_CFG_MEF);
    assert!(!driver.chip.naks(BULK_IN), "it answers with nothing");
}

#[test]
fn receive_modes() {
    let mut driver = started();
    let all_hosts = [0x01, 0x00, 0x5e, 0, 0, 1];
    let other = [0xb8, 0x27, 0xeb, 9, 9, 9];
    let base = driver.get(MAC_CR);
    driver.put(HASHL, 1 << 31);
    let mut passing = |mode| {
        driver.put(MAC_CR, base | mode);
        for destination in [all_hosts, [0x33, 0x33, 0, 0, 0, 1], other] {
            driver.arrive(&frame_to(destination, 64));
        }
        driver
            .transfer(URB)
            .map_or(0, |transfer| frames_in(&transfer).len())
    };
    assert_eq!(passing(0), 0);
    assert_eq!(passing(MAC_CR_HPFILT), 1);
    assert_eq!(passing(MAC_CR_MCPAS), 2);
    assert_eq!(passing(MAC_CR_PRMS), 3);
}

#[test]
fn registers_read_back_and_reset() {
    let mut driver = started();
    for register in [0x24, 0x2c, 0x6c, 0x11c, 0x120] {
        driver.put(register, 0x00f8_30a1);
        assert_eq!(driver.get(register), 0x00f8_30a1, "{register:#x}");
    }
    driver.put(ID_REV, 0);
    assert_eq!(driver.get(ID_REV), 0xec00_0002);
    driver.set_station(PEER);
    driver.reset();
    assert_eq!(
        (driver.get(HW_CFG), driver.get(MAC_CR), driver.get(0x2c)),
        (0, 0, 0)
    );
    assert_eq!(
        driver.get(ADDRL).to_le_bytes(),
        MAC.0[..4],
        "reloaded from the EEPROM"
    );
    let mut reply = Vec::new();
    assert_eq!(
        driver
            .chip
            .control(&Driver::setup(0xc0, 0xa1, 0x134), &[], &mut reply),
        Err(Stall)
    );
    assert_eq!(
        driver
            .chip
            .control(&Driver::setup(0x40, 0xa0, 0), &[1, 2], &mut reply),
        Err(Stall)
    );
    insta::assert_snapshot!(driver.chip.diagnostic().unwrap().text, @"the LAN9514 model does not know request 0xa1 of type 0xc0 for register 0x134");
}
