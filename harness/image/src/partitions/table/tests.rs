use std::io::{Cursor, Write};

use proptest::prelude::*;

use super::super::{GptProblem, NewTable, Role};
use super::*;

const MIB: u64 = 1 << 20;

fn new_table(scheme: Scheme) -> NewTable {
    NewTable {
        scheme,
        disk: 32 * MIB,
        signature: 0x1234_5678,
        partitions: vec![
            (Role::Firmware, 4 * MIB..8 * MIB),
            (Role::Esp, 8 * MIB..12 * MIB),
            (Role::Cache, 12 * MIB..28 * MIB),
        ],
    }
}

/// A disk with that table.
fn disk(scheme: Scheme) -> Vec<u8> {
    let table = new_table(scheme);
    let mut disk = Cursor::new(vec![0; table.disk as usize]);
    table.write(&mut disk).unwrap();
    disk.into_inner()
}

fn read(disk: &[u8]) -> PartitionTable {
    PartitionTable::read(&mut Cursor::new(disk)).unwrap()
}

fn faults(disk: &[u8]) -> Vec<String> {
    read(disk).faults.iter().map(ToString::to_string).collect()
}

fn fatal(disk: &[u8]) -> String {
    PartitionTable::read(&mut Cursor::new(disk))
        .unwrap_err()
        .to_string()
}

/// An entry of an MBR: type, first sector, sectors.
fn put_entry(disk: &mut [u8], sector: u64, number: u32, entry: (u8, u32, u32)) {
    let at = (sector * SECTOR + entry_offset(number)) as usize;
    disk[at + 4] = entry.0;
    disk[at + 8..at + 12].copy_from_slice(&entry.1.to_le_bytes());
    disk[at + 12..at + 16].copy_from_slice(&entry.2.to_le_bytes());
    let end = (sector * SECTOR + 510) as usize;
    disk[end..end + 2].copy_from_slice(&[0x55, 0xaa]);
}

/// Changes a GPT header and makes its checksum right again.
fn patch_header(disk: &mut [u8], sector: u64, at: usize, bytes: &[u8]) {
    let header = &mut disk[(sector * SECTOR) as usize..][..92];
    header[at..at + bytes.len()].copy_from_slice(bytes);
    header[16..20].fill(0);
    let checksum = crc32fast::hash(header).to_le_bytes();
    header[16..20].copy_from_slice(&checksum);
}

#[test]
fn every_scheme_is_read_back_as_it_was_written() {
    for scheme in [Scheme::Mbr, Scheme::Gpt, Scheme::Hybrid] {
        let table = read(&disk(scheme)).checked().unwrap();
        assert_eq!(table.scheme, scheme);
        let bytes: Vec<_> = table.partitions.iter().map(Partition::bytes).collect();
        let expected: Vec<_> = new_table(scheme)
            .partitions
            .into_iter()
            .map(|(_, bytes)| bytes)
            .collect();
        assert_eq!(bytes, expected);
        assert_eq!(table.esp().unwrap().number, 2);
        assert_eq!(table.firmware().unwrap().number, 1);
        assert_eq!(table.mbr_firmware().is_some(), scheme != Scheme::Gpt);
        assert_eq!(table.disk_id.is_some(), scheme != Scheme::Mbr);
        assert!(table.partitions[2].kind.is_linux());
    }
    let gpt = read(&disk(Scheme::Gpt));
    assert_eq!(gpt.partitions[1].name, "EFI system");
    assert_eq!(gpt.partitions[1].entry, 2 * SECTOR + 128);
}

#[test]
fn logical_partitions_are_followed() {
    let mut disk = vec![0; 4 * MIB as usize];
    put_entry(&mut disk, 0, 1, (0x0c, 8, 8));
    put_entry(&mut disk, 0, 3, (0x05, 1000, 3000));
    put_entry(&mut disk, 1000, 1, (0xef, 8, 100));
    put_entry(&mut disk, 1000, 2, (0x05, 500, 1000));
    put_entry(&mut disk, 1500, 1, (0x83, 8, 900));
    let table = read(&disk).checked().unwrap();
    let found: Vec<_> = table
        .partitions
        .iter()
        .map(|p| (p.number, p.first, p.sectors))
        .collect();
    assert_eq!(found, [(1, 8, 8), (5, 1008, 100), (6, 1508, 900)]);
    assert_eq!(table.esp().unwrap().number, 5);
}

#[test]
fn broken_chains_of_logical_partitions_are_named() {
    let mut disk = vec![0; 4 * MIB as usize];
    put_entry(&mut disk, 0, 1, (0x0c, 8, 8));
    put_entry(&mut disk, 0, 3, (0x0f, 1000, 3000));
    put_entry(&mut disk, 1000, 1, (0xef, 8, 100));
    let broken = |link: (u8, u32, u32)| {
        let mut disk = disk.clone();
        put_entry(&mut disk, 1000, 2, link);
        faults(&disk).join("\n")
    };
    insta::assert_snapshot!(broken((0x05, 0, 100)), @"the chain of logical partitions is broken: the next link is not in the extended partition (byte 512462)");
    insta::assert_snapshot!(broken((0x05, 3000, 100)), @"the chain of logical partitions is broken: the next link is not in the extended partition (byte 512462)");
    insta::assert_snapshot!(broken((0x05, 700, 100)), @"the chain of logical partitions is broken: this sector is no link of it (byte 870910)");
    let mut outside = disk.clone();
    put_entry(&mut outside, 1000, 1, (0xef, 8, 3000));
    insta::assert_snapshot!(faults(&outside).join("\n"), @"partition 5 has sectors 1008 to 4007, but partitions must lie in 1001 to 3999; is the image truncated? (byte 512446)");
    // Two links that lead to each other.
    put_entry(&mut disk, 1000, 2, (0x05, 500, 100));
    put_entry(&mut disk, 1500, 1, (0x83, 8, 100));
    put_entry(&mut disk, 1500, 2, (0x05, 500, 100));
    let circle = faults(&disk);
    assert!(circle[0].contains("circle"), "{circle:?}");
}

#[test]
fn bad_mbrs_are_named() {
    let broken = |number, entry| {
        let mut disk = disk(Scheme::Mbr);
        put_entry(&mut disk, 0, number, entry);
        faults(&disk).join("\n")
    };
    insta::assert_snapshot!(broken(2, (0xef, 8193, 10)), @"partitions 1 and 2 overlap (byte 462)");
    insta::assert_snapshot!(broken(3, (0x83, 60_000, 10_000)), @"partition 3 has sectors 60000 to 69999, but partitions must lie in 1 to 65535; is the image truncated? (byte 478)");
    insta::assert_snapshot!(broken(4, (0x83, 60_000, 0)), @"partition 4 of type 0x83 is empty or starts in sector 0 (byte 494)");
    insta::assert_snapshot!(fatal(&[0; 512]), @"no partition table: sector 0 does not end in 55 aa; is this a raw disk image? (byte 510)");
    insta::assert_snapshot!(fatal(b"short"), @"the disk has 5 bytes, which is no multiple of 512; is the image truncated? (byte 0)");
    let mut empty = vec![0; 1024];
    put_entry(&mut empty, 0, 1, (0, 0, 0));
    insta::assert_snapshot!(faults(&empty).join("\n"), @"the partition table is empty (byte 0)");
    let mut odd = disk(Scheme::Mbr);
    odd.push(0);
    insta::assert_snapshot!(faults(&odd).join("\n"), @"the disk has 33554433 bytes, which is no multiple of 512; is the image truncated? (byte 33554432)");
}

#[test]
fn one_whole_copy_of_a_gpt_is_enough_and_the_fault_is_told() {
    let whole = read(&disk(Scheme::Gpt)).partitions;
    let last = 32 * MIB / SECTOR - 1;
    let damaged = |sector: u64, byte: u64| {
        let mut disk = disk(Scheme::Gpt);
        disk[(sector * SECTOR + byte) as usize] ^= 1;
        let table = read(&disk);
        let same = |(one, other): (&Partition, &Partition)| one.bytes() == other.bytes();
        assert!(table.partitions.iter().zip(&whole).all(same));
        let faults: Vec<_> = table.faults.iter().map(ToString::to_string).collect();
        faults.join("\n")
    };
    insta::assert_snapshot!(damaged(1, 0), @"the primary GPT is damaged, its backup is used: no header (byte 512)");
    insta::assert_snapshot!(damaged(1, 60), @"the primary GPT is damaged, its backup is used: the CRC-32 of the header is 0x3511e424, the header says 0xc4cbe18e (byte 512)");
    insta::assert_snapshot!(damaged(2, 0), @"the primary GPT is damaged, its backup is used: the CRC-32 of the entries is 0xcd4e24ad, the header says 0x50df0d12 (byte 512)");
    insta::assert_snapshot!(damaged(last, 8), @"the backup GPT is damaged: the CRC-32 of the header is 0xfcb899e9, the header says 0xa6bb3926 (byte 33553920)");
    insta::assert_snapshot!(damaged(last - 1, 0), @"the backup GPT is damaged: the CRC-32 of the entries is 0x40add63a, the header says 0x50df0d12 (byte 33553920)");
}

#[test]
fn impossible_gpts_are_named() {
    let last = 32 * MIB / SECTOR - 1;
    let both = |at: usize, bytes: &[u8]| {
        let mut disk = disk(Scheme::Gpt);
        patch_header(&mut disk, 1, at, bytes);
        patch_header(&mut disk, last, at, bytes);
        fatal(&disk)
    };
    insta::assert_snapshot!(both(80, &u32::MAX.to_le_bytes()), @"the MBR announces a GPT, but neither its primary nor its backup is whole: 4294967295 entries of 128 bytes are not a table of 1 MiB at most (byte 512)");
    insta::assert_snapshot!(both(84, &100_u32.to_le_bytes()), @"the MBR announces a GPT, but neither its primary nor its backup is whole: 128 entries of 100 bytes are not a table of 1 MiB at most (byte 512)");
    insta::assert_snapshot!(both(72, &u64::MAX.to_le_bytes()), @"the MBR announces a GPT, but neither its primary nor its backup is whole: it would be at sector 18446744073709551615, which is not on the disk (byte 512)");
    insta::assert_snapshot!(both(40, &1_u64.to_le_bytes()), @"the MBR announces a GPT, but neither its primary nor its backup is whole: the sectors for partitions, 1 to 65502, are not between the tables (byte 512)");
    insta::assert_snapshot!(both(12, &4_u32.to_le_bytes()), @"the MBR announces a GPT, but neither its primary nor its backup is whole: the header says it has 4 bytes (byte 512)");
}

#[test]
fn copies_that_disagree_are_told() {
    let last = 32 * MIB / SECTOR - 1;
    let differing = |at: usize| {
        let mut disk = disk(Scheme::Gpt);
        patch_header(&mut disk, last, at, &[0x77]);
        faults(&disk).join("\n")
    };
    insta::assert_snapshot!(differing(56), @"primary and backup GPT disagree about the disk's GUID (byte 33553920)");
    insta::assert_snapshot!(differing(32), @"primary and backup GPT disagree about where the other one is (byte 33553920)");
    // A longer disk, as a card is that an image was written to.
    let mut longer = disk(Scheme::Gpt);
    longer.resize(longer.len() + MIB as usize, 0);
    insta::assert_snapshot!(faults(&longer).join("\n"), @"the backup GPT is damaged: it is in sector 65535 and not in the disk's last, 67583; was the image made longer or written to a larger disk? (byte 34602496)");
    let mut shorter = disk(Scheme::Gpt);
    shorter.truncate(20 * MIB as usize);
    insta::assert_snapshot!(faults(&shorter).join("\n"), @r"
    the backup GPT is damaged: no header (byte 20971008)
    partition 3 has sectors 24576 to 57343, but partitions must lie in 34 to 40959; is the image truncated? (byte 1280)
    ");
}

#[test]
fn a_hybrid_mbr_agrees_with_its_gpt() {
    let mut stray = disk(Scheme::Hybrid);
    put_entry(&mut stray, 0, 1, (0x0c, 8192, 100));
    insta::assert_snapshot!(faults(&stray).join("\n"), @"MBR entry 1 (sectors 8192 to 8291) is no partition of the GPT (byte 446)");
    let mut unprotected = disk(Scheme::Hybrid);
    put_entry(&mut unprotected, 0, 2, (0xee, 2, 100));
    insta::assert_snapshot!(faults(&unprotected).join("\n"), @"the MBR's protective entry does not begin at sector 1, so the GPT counts for nothing (byte 462)");
}

/// Changes the entries of the primary GPT and of its backup, and makes all checksums right again.
fn patch_entries(disk: &mut [u8], change: impl Fn(&mut [u8])) {
    let last = disk.len() as u64 / SECTOR - 1;
    for (header, entries) in [(1, 2), (last, last - 32)] {
        let bytes = &mut disk[(entries * SECTOR) as usize..][..128 * 128];
        change(bytes);
        let checksum = crc32fast::hash(bytes).to_le_bytes();
        patch_header(disk, header, 88, &checksum);
    }
}

#[test]
fn what_uefi_has_otherwise_is_told_apart_from_faults() {
    let told = |disk: &[u8]| {
        let table = read(disk);
        assert_eq!(table.faults, []);
        let texts: Vec<_> = table.blemishes.iter().map(ToString::to_string).collect();
        texts.join("\n")
    };
    assert_eq!(told(&disk(Scheme::Gpt)), "");
    assert_eq!(told(&disk(Scheme::Hybrid)), "");
    let mut same = disk(Scheme::Gpt);
    patch_entries(&mut same, |entries| {
        entries.copy_within(16..32, 2 * 128 + 16);
        entries[128 + 16..128 + 32].fill(0);
    });
    insta::assert_snapshot!(told(&same), @r"
    partition 2 has no GUID (byte 1152)
    partitions 1 and 3 have the same GUID, 51bf1831-a723-8aab-ab5a-16daaea3a7cc (byte 1280)
    ");
    let mut odd = disk(Scheme::Gpt);
    let last = odd.len() as u64 / SECTOR - 1;
    for header in [1, last] {
        // 16 entries, and the partitions right behind them.
        let entries = if header == 1 { 2 } else { last - 32 };
        let sum = crc32fast::hash(&odd[(entries * SECTOR) as usize..][..16 * 128]);
        patch_header(&mut odd, header, 8, &0x0002_0000_u32.to_le_bytes());
        patch_header(&mut odd, header, 40, &6_u64.to_le_bytes());
        patch_header(&mut odd, header, 80, &16_u32.to_le_bytes());
        patch_header(&mut odd, header, 88, &sum.to_le_bytes());
    }
    put_entry(&mut odd, 0, 1, (0xee, 1, 1000));
    insta::assert_snapshot!(told(&odd), @r"
    the GPT's revision is 0x00020000, not 0x00010000 (byte 512)
    4 sectors are reserved for the entries of the GPT; UEFI wants 32 (byte 512)
    the MBR's protective entry ends at sector 1000, and the disk at 65535 (byte 446)
    ");
}

/// A damage that leaves the checksums right where `patch_header` is used.
#[derive(Debug, Clone)]
enum Damage {
    Byte(usize, u8),
    Header {
        backup: bool,
        at: usize,
        bytes: Vec<u8>,
    },
    Length(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let small = 16 * 1024_usize;
    prop_oneof![
        (0..small, any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (446_usize..512, any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (
            any::<bool>(),
            8_usize..84,
            proptest::collection::vec(any::<u8>(), 1..8)
        )
            .prop_map(|(backup, at, bytes)| Damage::Header { backup, at, bytes }),
        (0..small).prop_map(Damage::Length),
    ]
}

proptest! {
    #[test]
    fn damaged_tables_are_read_without_panic_and_sound_ones_are_sound(
        hybrid: bool,
        damages in proptest::collection::vec(damage(), 1..6),
    ) {
        let table = NewTable {
            scheme: if hybrid { Scheme::Hybrid } else { Scheme::Gpt },
            disk: 64 * 1024,
            signature: 1,
            partitions: vec![(Role::Firmware, 20_480..24_576), (Role::Esp, 24_576..32_768)],
        };
        let mut disk = Cursor::new(vec![0; 64 * 1024]);
        table.write(&mut disk).unwrap();
        let mut disk = disk.into_inner();
        for damage in damages {
            let last = (disk.len() as u64 / SECTOR).saturating_sub(1);
            match damage {
                Damage::Byte(at, byte) if at < disk.len() => disk[at] = byte,
                Damage::Header { backup, at, bytes } if last > 1 => {
                    let at = at.min(92 - bytes.len());
                    patch_header(&mut disk, if backup { last } else { 1 }, at, &bytes);
                }
                Damage::Length(cut) => disk.truncate(disk.len().saturating_sub(cut)),
                Damage::Byte(..) | Damage::Header { .. } => {}
            }
        }
        if let Ok(table) = PartitionTable::read(&mut Cursor::new(&disk)).and_then(PartitionTable::checked) {
            prop_assert!(table.partitions.iter().all(|p| p.bytes().end <= disk.len() as u64));
        }
    }

    #[test]
    fn any_mbr_is_read_without_panic(entries in proptest::collection::vec(any::<u8>(), 64), links in proptest::collection::vec((0_u64..64, any::<[u8; 32]>()), 0..4)) {
        let mut disk = Cursor::new(vec![0; 64 * 512]);
        for (sector, bytes) in [(0, &entries[..])].into_iter().chain(links.iter().map(|(sector, bytes)| (*sector, &bytes[..]))) {
            disk.set_position(sector * SECTOR + 446);
            disk.write_all(bytes).unwrap();
            disk.set_position(sector * SECTOR + 510);
            disk.write_all(&[0x55, 0xaa]).unwrap();
        }
        let mut disk = disk.into_inner();
        for entry in 0..4 {
            disk[446 + 16 * entry] &= 0x80;
            // Small numbers lead to sectors that exist.
            disk[446 + 16 * entry + 9..446 + 16 * entry + 12].fill(0);
        }
        if let Ok(table) = PartitionTable::read(&mut Cursor::new(&disk)).and_then(PartitionTable::checked) {
            prop_assert!(table.partitions.iter().all(|p| p.bytes().end <= disk.len() as u64));
        }
    }
}

#[test]
fn a_disk_of_two_sectors_may_have_no_gpt() {
    let mut disk = vec![0; 1024];
    put_entry(&mut disk, 0, 1, (0xee, 1, 1));
    let error = PartitionTable::read(&mut Cursor::new(&disk)).unwrap_err();
    let TableError::Fault(fault) = error else {
        panic!("{error}")
    };
    assert_eq!(fault.problem, TableProblem::NoGpt(GptProblem::NoHeader));
}
