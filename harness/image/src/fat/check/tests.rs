#[path = "tests/odd.rs"]
mod odd;

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::fat::{FatFormat, FatVolume};

const MIB: u64 = 1 << 20;
/// Sector 2 of the disk, so that offsets on the disk and in the volume differ.
const START: u64 = 1024;

/// A volume with two files and a directory, and the places that the cases below damage.
struct Bench {
    disk: Vec<u8>,
    window: Range<u64>,
}

impl Bench {
    fn new(kind: FatKind) -> Self {
        let size = match kind {
            FatKind::Fat12 => MIB,
            FatKind::Fat16 => 4 * MIB,
            FatKind::Fat32 => 40 * MIB,
        };
        let window = START..START + size;
        let mut disk = vec![0; window.end as usize];
        let format = FatFormat {
            kind,
            volume_id: 1,
            label: *b"TEST       ",
        };
        let volume = FatVolume::format(Cursor::new(&mut disk[..]), &window, &format).unwrap();
        volume.write("first.bin", &[1; 3000][..]).unwrap();
        volume.write("second.bin", &[2; 3000][..]).unwrap();
        volume.write("sub/third.bin", &[3; 100][..]).unwrap();
        volume.finish().unwrap();
        Self { disk, window }
    }

    fn geometry(&self) -> Geometry {
        let sector = self.disk[START as usize..].first_chunk().unwrap();
        Geometry::parse(sector, self.window.end - self.window.start).unwrap()
    }

    /// The offset of an entry with this short name.
    fn entry(&self, name: &[u8; 11]) -> usize {
        let entries = self.disk.chunks(32);
        32 * entries
            .into_iter()
            .position(|entry| entry.starts_with(name))
            .unwrap()
    }

    fn cluster_of(&self, name: &[u8; 11]) -> u32 {
        let at = self.entry(name) + 26;
        u16::from_le_bytes([self.disk[at], self.disk[at + 1]]).into()
    }

    /// Sets the table entry of a cluster, in both tables.
    fn link(&mut self, cluster: u32, next: u32) {
        let geometry = self.geometry();
        for number in 0..2 {
            let at = (START + Table::new(&geometry, number).offset(cluster)) as usize;
            let old = u32::from_le_bytes(*self.disk[at..].first_chunk().unwrap());
            let new = match geometry.kind {
                FatKind::Fat12 if cluster % 2 == 1 => old & 0xffff_000f | (next & 0xfff) << 4,
                FatKind::Fat12 => old & 0xffff_f000 | next & 0xfff,
                FatKind::Fat16 => old & 0xffff_0000 | next & 0xffff,
                FatKind::Fat32 => next,
            };
            self.disk[at..at + 4].copy_from_slice(&new.to_le_bytes());
        }
    }

    fn check(&mut self) -> FatReport {
        check(Cursor::new(&mut self.disk[..]), &self.window).unwrap()
    }

    /// What a change leads to.
    fn after(kind: FatKind, change: impl Fn(&mut Self)) -> Vec<Fault> {
        let mut bench = Self::new(kind);
        change(&mut bench);
        let report = bench.check();
        let damaged = report.damage().is_some();
        let opened = FatVolume::open(Cursor::new(&mut bench.disk[..]), &bench.window);
        assert_eq!(opened.is_err(), damaged, "{:?}", report.findings);
        report.findings.into_iter().map(|f| f.fault).collect()
    }
}

const KINDS: [FatKind; 3] = [FatKind::Fat12, FatKind::Fat16, FatKind::Fat32];
const FIRST: &[u8; 11] = b"FIRST   BIN";
const SECOND: &[u8; 11] = b"SECOND  BIN";
const SUB: &[u8; 11] = b"SUB        ";

#[test]
fn a_good_volume_has_no_findings() {
    for kind in KINDS {
        let report = Bench::new(kind).check();
        assert_eq!(report.findings, [], "{kind}");
        assert_eq!((report.kind, report.files), (Some(kind), 4));
        // Six clusters for each large file, one for the small one, one for its directory, and FAT32's root.
        let used = 6 + 6 + 1 + 1 + u32::from(kind == FatKind::Fat32);
        assert_eq!(report.clusters - report.free, used, "{kind}");
    }
}

#[test]
fn broken_chains() {
    for kind in KINDS {
        let chain = |change: fn(&mut Bench, u32, u32)| {
            Bench::after(kind, |bench| {
                let (first, second) = (bench.cluster_of(FIRST), bench.cluster_of(SECOND));
                change(bench, first, second);
            })
        };
        let [first, second] = [FIRST, SECOND].map(|name| Bench::new(kind).cluster_of(name));
        let clusters = Bench::new(kind).geometry().clusters;
        assert_eq!(
            chain(|bench, first, _| bench.link(first + 2, first)),
            [Fault::Loop(first)]
        );
        assert_eq!(
            chain(|bench, first, second| bench.link(second + 2, first + 1)),
            [Fault::CrossLink(first + 1)]
        );
        let outside = chain(|bench, first, _| {
            let behind = bench.geometry().clusters + 2;
            bench.link(first, behind);
        });
        let next = clusters + 2;
        let fault = Fault::OutOfRange {
            cluster: first,
            next,
        };
        assert_eq!(outside, [fault]);
        assert_eq!(
            chain(|bench, _, second| bench.link(second + 1, 0)),
            [Fault::NotInUse(second + 1, "free")]
        );
        let short = chain(|bench, first, _| bench.link(first + 3, 0x0fff_ffff));
        let fault = Fault::TooShort {
            size: 3000,
            clusters: 4,
        };
        assert_eq!(short, [fault]);
        let long = Bench::after(kind, |bench| {
            let at = bench.entry(FIRST) + 28;
            bench.disk[at..at + 4].copy_from_slice(&100_u32.to_le_bytes());
        });
        let fault = Fault::TooLong {
            size: 100,
            clusters: 6,
        };
        assert_eq!(long, [fault]);
    }
}

#[test]
fn tables_and_free_space() {
    for kind in KINDS {
        let lost = Bench::after(kind, |bench| {
            let last = bench.geometry().clusters + 1;
            bench.link(last, 0x0fff_ffff);
        });
        let first = Bench::new(kind).geometry().clusters + 1;
        assert_eq!(lost[0], Fault::LostClusters { first, clusters: 1 });
        assert_eq!(lost.len(), if kind == FatKind::Fat32 { 2 } else { 1 });
        let differ = Bench::after(kind, |bench| {
            let geometry = bench.geometry();
            bench.disk[(START + geometry.table + geometry.table_bytes) as usize + 9] ^= 1;
        });
        assert!(
            matches!(differ[..], [Fault::TablesDiffer { entries: 1, .. }]),
            "{differ:?}"
        );
        let dirty = Bench::after(kind, |bench| {
            let at = START + bench.geometry().status.1;
            bench.disk[at as usize] |= 1;
        });
        assert_eq!(dirty, [Fault::Dirty]);
    }
    let info = |at: usize, value: u8| {
        Bench::after(FatKind::Fat32, |bench| {
            let info = bench.geometry().fat32.unwrap().free_info;
            bench.disk[START as usize + info as usize + at] = value;
        })
    };
    assert!(matches!(info(488, 7)[..], [Fault::FreeCount { .. }]));
    assert!(matches!(info(495, 7)[..], [Fault::NextFree(_)]));
    assert_eq!(info(484, 0), [Fault::FreeInfoSignature]);
    let backup = Bench::after(FatKind::Fat32, |bench| {
        bench.disk[START as usize + 6 * 512 + 3] ^= 1;
    });
    assert_eq!(backup, [Fault::BackupDiffers]);
}

#[test]
fn directories() {
    let entry = |name: &'static [u8; 11], change: fn(&mut [u8])| {
        Bench::after(FatKind::Fat16, |bench| {
            let at = bench.entry(name);
            change(&mut bench.disk[at..at + 32]);
        })
    };
    assert_eq!(entry(FIRST, |entry| entry[26] = 1), [Fault::Start(1)]);
    assert_eq!(
        entry(SUB, |entry| entry[26..28].fill(0)),
        [Fault::NoCluster]
    );
    assert_eq!(entry(SUB, |entry| entry[28] = 1), [Fault::DirectorySize(1)]);
    assert_eq!(
        entry(FIRST, |entry| entry[11] = 0x18),
        [Fault::Attributes(0x18)]
    );
    assert!(matches!(
        entry(FIRST, |entry| entry[2] = b'/')[..],
        [Fault::OrphanedLongName, Fault::Name(_)]
    ));
    assert_eq!(
        entry(SECOND, |entry| entry[..8].copy_from_slice(b"FIRST   ")),
        [Fault::OrphanedLongName, Fault::Duplicate]
    );
    assert_eq!(entry(b"..         ", |entry| entry[26] = 5), [Fault::Dots]);
    let behind = Bench::after(FatKind::Fat16, |bench| {
        let at = bench.entry(SUB) + 64;
        bench.disk[at..at + 11].copy_from_slice(b"GHOST      ");
    });
    assert_eq!(behind, [Fault::BehindEnd]);
    let inside = Bench::after(FatKind::Fat16, |bench| {
        // The file becomes a directory that is its own parent.
        let own = bench.cluster_of(SUB);
        let at = bench.entry(b"THIRD   BIN");
        bench.disk[at + 11] = 0x10;
        bench.disk[at + 26] = own as u8;
        bench.disk[at + 28] = 0;
    });
    assert_eq!(inside, [Fault::DirectoryLoop]);
}

#[test]
fn a_bomb_of_directories_ends() {
    // Every directory has sixteen entries that lead to the same cluster.
    let mut bench = Bench::new(FatKind::Fat16);
    let cluster = bench.cluster_of(SUB);
    let at = (START + bench.geometry().cluster_offset(cluster)) as usize;
    for (index, entry) in bench.disk[at..at + 512].chunks_mut(32).enumerate().skip(2) {
        entry[..11].copy_from_slice(b"BOMB    00 ");
        entry[8] = b'A' + index as u8;
        entry[11] = 0x10;
        entry[26] = cluster as u8;
    }
    let report = bench.check();
    assert!(report.files < 100 && report.damage().is_some());

    // A chain of directories, each in the one before.
    let mut disk = vec![0; 4 << 20];
    let window = 0..4 << 20;
    let format = FatFormat {
        kind: FatKind::Fat16,
        volume_id: 1,
        label: *b"TEST       ",
    };
    let volume = FatVolume::format(Cursor::new(&mut disk[..]), &window, &format).unwrap();
    let path = "d/".repeat(20) + "file";
    volume.write(&path, &b"deep"[..]).unwrap();
    volume.finish().unwrap();
    let report = check(Cursor::new(&mut disk[..]), &window).unwrap();
    assert_eq!(report.damage().unwrap().fault, Fault::TooDeep(16));
}

#[test]
fn places_are_bytes_of_the_disk() {
    let mut bench = Bench::new(FatKind::Fat16);
    let first = bench.cluster_of(FIRST);
    bench.link(first + 1, first);
    let report = bench.check();
    let at = START + 512 + 2 * u64::from(first + 1);
    assert_eq!(
        report.findings[0].to_string(),
        format!("byte {at}: /first.bin: its cluster chain comes back to cluster {first}")
    );
    let error = FatVolume::open(Cursor::new(&mut bench.disk[..]), &bench.window).err();
    assert_eq!(
        error.unwrap().to_string(),
        format!("the file system is damaged: {}", report.findings[0])
    );
}

#[test]
fn boot_sectors() {
    let set = |kind, at: usize, bytes: &'static [u8]| {
        let faults = Bench::after(kind, |bench| {
            let at = START as usize + at;
            bench.disk[at..at + bytes.len()].copy_from_slice(bytes);
        });
        faults.first().map(ToString::to_string).unwrap_or_default()
    };
    let texts = [
        (510, &[0, 0][..]),
        (3, b"EXFAT   "),
        (11, &[0, 16]),
        (13, &[0]),
        (13, &[3]),
        (14, &[0, 0]),
        (16, &[3]),
        (17, &[0, 0]),
        (19, &[0, 0]),
        (19, &[0xff, 0xff]),
        (21, &[0x12]),
        (22, &[0xff, 0xff]),
        (22, &[1, 0]),
        (32, &[1]),
    ]
    .map(|(at, bytes)| set(FatKind::Fat16, at, bytes));
    insta::assert_snapshot!(texts.join("\n"), @r"
    the boot sector does not end in 55 aa; is there a FAT file system at all?
    an exFAT file system, which neither firmware nor boot loader reads; make it FAT16
    sectors of 4096 bytes; an SD card has sectors of 512
    0 sectors in a cluster, which is no power of two
    3 sectors in a cluster, which is no power of two
    no reserved sectors: the boot sector would lie in the allocation table
    3 allocation tables; there may be 1 or 2
    0 entries in the fixed root directory
    the number of sectors must be given in exactly one field
    the file system has 65535 sectors and its partition 8192; was the partition made smaller?
    the media byte 0x12 is none of those defined
    tables and root directory fill the file system, no cluster is left
    8157 clusters, but the allocation tables have entries for 254
    the number of sectors must be given in exactly one field
    ");
    let texts = [
        (22, &[9, 0][..]),
        (36, &[0, 0, 0, 0]),
        (36, &[0xff, 0xff, 0xff, 0xff]),
        (40, &[0x80, 0]),
        (42, &[1, 0]),
        (44, &[1, 0, 0, 0]),
        (48, &[0, 0]),
        (50, &[0xff, 0]),
        (13, &[8]),
    ]
    .map(|(at, bytes)| set(FatKind::Fat32, at, bytes));
    insta::assert_snapshot!(texts.join("\n"), @r"
    0 entries in the fixed root directory
    allocation tables of 0 sectors
    allocation tables of 4294967295 sectors
    only one of the allocation tables is kept up to date, which boot loaders do not know of
    version 0x0001 of FAT32, which nobody knows
    it starts at cluster 1, which does not exist
    the free space information is said to be in sector 0, which is not a reserved one
    the copy of the boot sector is said to be in sector 255, which is not a reserved one
    10081 clusters make this FAT16, but the boot sector is laid out as FAT32: those who count the clusters read other files than those who look at the layout; format it as FAT16, or with 65525 or more clusters
    ");
}

#[test]
fn a_disk_that_ends_too_early_is_a_finding() {
    for length in [0, 100, 512, 600, 4000, 100_000, MIB - 1] {
        let mut bench = Bench::new(FatKind::Fat12);
        let disk = &mut bench.disk[..(START + length) as usize];
        let report = check(Cursor::new(disk), &bench.window).unwrap();
        assert_eq!(report.damage().unwrap().fault, Fault::Truncated, "{length}");
    }
}

#[test]
fn findings_are_bounded_and_damage_is_never_left_out() {
    let mut findings = Findings::new(0);
    for _ in 0..300 {
        findings.add(0, None, Fault::OrphanedLongName);
    }
    findings.add(0, None, Fault::CrossLink(5));
    findings.add(0, None, Fault::CrossLink(6));
    let (list, omitted) = findings.finish();
    assert_eq!((list.len(), omitted), (101, 201));
    assert_eq!(list[100].fault, Fault::CrossLink(5));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever passes the check can be listed, read, written to and checked again.
    #[test]
    fn what_passes_is_usable(changes in proptest::collection::vec((0_usize..40_000, any::<u8>()), 1..6), kind in 0..3_usize) {
        let mut bench = Bench::new(KINDS[kind]);
        for (at, byte) in changes {
            bench.disk[START as usize + at] = byte;
        }
        if bench.check().damage().is_none() {
            let volume = FatVolume::open(Cursor::new(&mut bench.disk[..]), &bench.window).unwrap();
            for (path, size) in volume.list().unwrap() {
                prop_assert_eq!(volume.read(&path, MIB).unwrap().len() as u64, size);
            }
            volume.write("sub/new.bin", &[9; 5000][..]).unwrap();
            volume.remove("first.bin").unwrap();
            volume.finish().unwrap();
            let after = bench.check();
            prop_assert!(after.damage().is_none(), "{:?}", after.findings);
        }
    }
}
