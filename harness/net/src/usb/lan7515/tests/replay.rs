//! Register accesses of the stock drivers, recorded while another model answered, replayed against this one.
//!
//! `traces/*.txt` hold one access a line: `r OFFSET VALUE` or `w OFFSET VALUE` in hexadecimal, and `plug`, `reset`, `configure` for what
//! the guest did to the USB port. Recorded of Debian's U-Boot 2025.01 and Linux 6.12. A driver that polls would wait for ever on a value that
//! differs, so every read must return what was recorded.

use super::*;
use crate::usb::device::UsbDevice;

/// Bits that matter in a register: whether an EEPROM was found is no business of the drivers', and the other model said yes too often.
fn mask(offset: u16) -> u32 {
    match offset {
        E2P_CMD => 1 << 31 | 1 << 10 | 0x1ff,
        _ => u32::MAX,
    }
}

/// Replays a trace; returns the reads that were compared.
fn replay(chip: Lan7800, trace: &str) -> usize {
    let mut driver = Driver { chip };
    let mut reads = 0;
    for (number, line) in trace.lines().enumerate() {
        let words: Vec<_> = line.split(' ').collect();
        let hex = |at: usize| u32::from_str_radix(words[at], 16).unwrap();
        match words[0] {
            "plug" | "reset" => driver.chip.reset(),
            "configure" => driver.chip.configure(1).unwrap(),
            "w" => driver.put(u16::try_from(hex(1)).unwrap(), hex(2)),
            "r" => {
                let offset = u16::try_from(hex(1)).unwrap();
                let (got, recorded) = (driver.get(offset), hex(2));
                let mask = mask(offset);
                assert_eq!(got & mask, recorded & mask, "line {}: {line}", number + 1);
                reads += 1;
            }
            other => panic!("line {}: {other}", number + 1),
        }
    }
    reads
}

#[test]
fn uboot() {
    let chip = Lan7800::new(StoredAddress::Eeprom(MAC));
    assert_eq!(replay(chip, include_str!("traces/uboot.txt")), 91);
}

#[test]
fn linux() {
    let chip = Lan7800::new(StoredAddress::None);
    assert_eq!(replay(chip, include_str!("traces/linux.txt")), 222);
}

#[test]
fn from_uboot_to_linux() {
    let chip = Lan7800::new(StoredAddress::None);
    assert_eq!(replay(chip, include_str!("traces/handover.txt")), 488);
}
