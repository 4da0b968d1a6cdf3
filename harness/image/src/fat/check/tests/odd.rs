//! Directories, boot sectors and tables as they were found on real cards: left by tools that repair, by cards pulled out while in use, by
//! tools that format otherwise than others.

use super::*;

/// The checksum that connects a long name to its entry.
fn checksum(short: &[u8; 11]) -> u8 {
    let sum = |sum: u8, byte: &u8| sum.rotate_right(1).wrapping_add(*byte);
    short.iter().fold(0, sum)
}

/// A short entry.
fn entry(short: &[u8; 11], attributes: u8) -> [u8; 32] {
    let mut entry = [0; 32];
    entry[..11].copy_from_slice(short);
    entry[11] = attributes;
    entry
}

/// The entry of a long name of at most 13 characters.
fn long(name: &str, short: &[u8; 11]) -> [u8; 32] {
    const PLACES: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
    let mut entry = [0xff; 32];
    entry[0] = 0x41;
    entry[11..14].copy_from_slice(&[15, 0, checksum(short)]);
    entry[26..28].fill(0);
    for (at, unit) in PLACES.into_iter().zip(name.encode_utf16().chain([0])) {
        entry[at..at + 2].copy_from_slice(&unit.to_le_bytes());
    }
    entry
}

impl Bench {
    /// Appends entries to the root directory.
    fn put(&mut self, entries: &[[u8; 32]]) {
        let last = self.entry(SUB) + 32;
        for (entry, at) in entries.iter().zip((last..).step_by(32)) {
            assert_eq!(self.disk[at], 0, "the directory ends later");
            self.disk[at..at + 32].copy_from_slice(entry);
        }
    }
}

/// What is said of a FAT16 volume with these entries, and whether it can be used.
fn with(entries: &[[u8; 32]]) -> (Vec<String>, bool) {
    let mut bench = Bench::new(FatKind::Fat16);
    bench.put(entries);
    let said = bench.check().findings.into_iter();
    let said = said.map(|finding| match &finding.file {
        Some(file) => format!("{file:?}: {}", finding.fault),
        None => finding.fault.to_string(),
    });
    let opened = FatVolume::open(Cursor::new(&mut bench.disk[..]), &bench.window);
    (said.collect(), opened.is_ok())
}

#[test]
fn a_name_that_a_repair_left_in_two_entries_is_damage() {
    // fsck has renamed the second file, and left its long name.
    let renamed = b"FSCK0000000";
    let (said, usable) = with(&[
        entry(b"UBOOT   ENV", 0x20),
        long("uboot.env", renamed),
        entry(renamed, 0x20),
    ]);
    assert!(!usable);
    assert_eq!(
        said,
        [r#""/uboot.env": a second file or directory of this name"#]
    );
}

#[test]
fn long_names_without_a_file_are_told_and_harmless() {
    let short = b"GONE~1  TXT";
    let mut deleted = entry(short, 0x20);
    deleted[0] = 0xe5;
    let told = r#""/": parts of a long name that belong to no file"#;
    for entries in [
        vec![long("gone.txt", short), deleted],
        vec![long("gone.txt", short)],
        vec![long("gone.txt", short), entry(b"OTHER   TXT", 0x20)],
        vec![long("gone.txt", short), entry(b"LABEL      ", 0x08)],
    ] {
        assert_eq!(with(&entries), (vec![told.to_owned()], true));
    }
}

#[test]
fn a_file_of_no_bytes_with_a_cluster_is_told_and_harmless() {
    let mut bench = Bench::new(FatKind::Fat16);
    let free = bench.geometry().clusters + 1;
    bench.link(free, 0xffff);
    let mut empty = entry(b"BOOTCNT ENV", 0x20);
    empty[26..28].copy_from_slice(&(free as u16).to_le_bytes());
    bench.put(&[empty]);
    let report = bench.check();
    let size = 0;
    let clusters = 1;
    let [finding] = &report.findings[..] else {
        panic!("{:?}", report.findings)
    };
    assert_eq!(finding.fault, Fault::TooLong { size, clusters });
    assert!(report.damage().is_none());
}

#[test]
fn a_first_byte_of_e5_is_stored_as_05_and_is_no_deleted_file() {
    let entries = [entry(b"\x05BCDEFGHTXT", 0x20)];
    assert_eq!(with(&entries), (vec![], true));
    let mut bench = Bench::new(FatKind::Fat16);
    let before = bench.check().files;
    bench.put(&entries);
    assert_eq!(bench.check().files, before + 1);
    // Which is what a second file of the name is told by.
    let twice = [entries[0], entries[0]];
    assert_eq!(
        with(&twice).0,
        ["\"/\u{e5}BCDEFGH.TXT\": a second file or directory of this name"]
    );
}

#[test]
fn dots_in_the_root_directory_are_told_and_not_followed() {
    for name in [b".          ", b"..         "] {
        let told =
            r#""/": the root directory has an entry . or .., which only other directories have"#;
        assert_eq!(
            with(&[entry(name, 0x10)]),
            (vec![told.to_owned()], true),
            "{name:?}"
        );
    }
}

#[test]
fn volumes_that_were_not_unmounted_are_told_by_table_and_boot_sector() {
    for (kind, byte, clean, error) in [
        (FatKind::Fat16, 3, 0x80_u8, 0x40_u8),
        (FatKind::Fat32, 7, 0x08, 0x04),
    ] {
        let cleared = |bit: u8, tables: &[u64]| {
            Bench::after(kind, |bench| {
                let geometry = bench.geometry();
                for table in tables {
                    let at = START + geometry.table + table * geometry.table_bytes + byte;
                    bench.disk[at as usize] &= !bit;
                }
            })
        };
        let in_use = Fault::Unclean("the file system was not unmounted");
        let failed = Fault::Unclean("reading or writing it failed");
        for tables in [&[0, 1][..], &[0], &[1]] {
            assert_eq!(
                cleared(clean, tables),
                std::slice::from_ref(&in_use),
                "{kind:?}"
            );
            assert_eq!(
                cleared(error, tables),
                std::slice::from_ref(&failed),
                "{kind:?}"
            );
        }
        assert_eq!(cleared(clean | error, &[0, 1]), [in_use, failed]);
    }
    let media = Bench::after(FatKind::Fat16, |bench| {
        bench.disk[START as usize + 512] = 0xf0
    });
    assert_eq!(
        media,
        [Fault::TableMedia {
            boot: 0xf8,
            table: 0xf0
        }]
    );
}

/// A boot sector as mkfs.vfat writes it with `-F 32` for 30 MiB: the sectors are counted in 16 bits, and the clusters are too few.
#[test]
fn a_small_fat32_is_told_by_what_is_wrong_with_it() {
    let mut sector = [0; 512];
    sector[..3].copy_from_slice(&[0xeb, 0x58, 0x90]);
    sector[11..14].copy_from_slice(&[0, 2, 1]);
    sector[14..17].copy_from_slice(&[32, 0, 2]);
    sector[19..22].copy_from_slice(&[0x00, 0xf0, 0xf8]);
    sector[36..40].copy_from_slice(&473_u32.to_le_bytes());
    sector[44..52].copy_from_slice(&[2, 0, 0, 0, 1, 0, 6, 0]);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    let (_, fault) = Geometry::parse(&sector, 30 * MIB).unwrap_err();
    insta::assert_snapshot!(fault, @"60462 clusters make this FAT16, but the boot sector is laid out as FAT32: those who count the clusters read other files than those who look at the layout; format it as FAT16, or with 65525 or more clusters");
    let (_, fault) = Geometry::parse(&sector, 8 * MIB).unwrap_err();
    assert_eq!(
        fault,
        Fault::BehindPartition {
            sectors: 61_440,
            room: 16_384
        }
    );
    // Both fields, or neither, leave open how many there are.
    for count in [(0xf000_u16, 61_440_u32), (0, 0)] {
        sector[19..21].copy_from_slice(&count.0.to_le_bytes());
        sector[32..36].copy_from_slice(&count.1.to_le_bytes());
        let (_, fault) = Geometry::parse(&sector, 30 * MIB).unwrap_err();
        assert_eq!(fault, Fault::SectorCount);
    }
}
