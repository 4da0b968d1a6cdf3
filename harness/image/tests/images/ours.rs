//! What this project writes, looked at by other tools.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use libtest_mimic::Trial;
use shakedown_image::fat::{FatFormat, FatKind, FatVolume};
use shakedown_image::partitions::Scheme;
use shakedown_image::prebuilt::{self, Cache, PrebuiltSpec};
use shakedown_image::{Disk, Sizes, ext};

use crate::parts;
use crate::tools::{run, text, trial};

const MIB: u64 = 1 << 20;

pub(crate) fn trials() -> Vec<Trial> {
    let schemes = [Scheme::Mbr, Scheme::Gpt, Scheme::Hybrid].map(|scheme| {
        let name = format!("ours::image_with_{}", scheme.name());
        trial(
            &name,
            &["sfdisk", "sgdisk", "fsck.vfat", "mcopy", "e2fsck"],
            move || image(scheme),
        )
    });
    let kinds = [
        (FatKind::Fat12, 2),
        (FatKind::Fat16, 64),
        (FatKind::Fat32, 64),
        (FatKind::Fat32, 8192),
    ]
    .map(|(kind, mib)| {
        let name = format!("ours::volume_{kind}_{mib}_mib").to_lowercase();
        trial(&name, &["fsck.vfat", "mcopy"], move || {
            volume(kind, mib * MIB)
        })
    });
    let caches = [16, 124, 128, 132, 892, 3 << 10, 64 << 10].map(|mib| {
        let name = format!("ours::ext4_{mib}_mib");
        trial(&name, &["e2fsck", "dumpe2fs"], move || ext4(mib * MIB))
    });
    let trials = schemes.into_iter().chain(kinds);
    trials.chain(caches).collect()
}

/// A prebuilt image and a netboot image made of it.
fn image(scheme: Scheme) {
    let directory = tempfile::tempdir().unwrap();
    let spec = PrebuiltSpec {
        raw: vec![],
        sizes: Sizes {
            disk: 256 * MIB,
            firmware: 32 * MIB,
            esp: 32 * MIB,
        },
        scheme,
        disk_signature: 0x5eed_0000,
        config_txt: prebuilt::default_config_txt(),
        firmware_files: parts::sources(directory.path(), &parts::firmware_files()[1..]),
        esp_files: parts::sources(directory.path(), &parts::esp_files()),
        cache: Cache::Ext4,
    };
    let [prebuilt, netboot] =
        ["prebuilt.img", "netboot.img"].map(|name| directory.path().join(name));
    prebuilt::build(&spec, &prebuilt).unwrap();
    parts::provision(&prebuilt, &netboot).unwrap();
    for image in [&prebuilt, &netboot] {
        accepted(image, directory.path());
        assert_eq!(parts::is_found_by_rom(image), scheme != Scheme::Gpt);
    }
}

/// Every tool finds the image in order.
pub(crate) fn accepted(image: &Path, directory: &Path) {
    let disk = Disk::open(image).unwrap();
    table_accepted(image, disk.table.scheme);
    for partition in &disk.table.partitions {
        let window = partition.bytes();
        if partition.kind.is_linux() {
            let at = format!("{}?offset={}", text(image), window.start);
            run("e2fsck", &["-f", "-n", &at]);
        } else if partition.kind.is_fat() || partition.kind.is_esp() {
            volume_accepted(image, &window, directory);
        }
    }
}

fn table_accepted(image: &Path, scheme: Scheme) {
    let verified = run("sfdisk", &["--verify", text(image)]);
    assert!(
        verified.contains("No errors detected"),
        "sfdisk: {verified}"
    );
    if scheme != Scheme::Mbr {
        let verified = run("sgdisk", &["-v", text(image)]);
        assert!(verified.contains("No problems found"), "sgdisk: {verified}");
    }
}

/// `fsck.vfat` finds nothing to do. It knows only volumes that have a file of their own.
pub(crate) fn volume_accepted(image: &Path, window: &Range<u64>, directory: &Path) {
    let volume = directory.join("volume");
    let (input, output) = (
        format!("if={}", text(image)),
        format!("of={}", text(&volume)),
    );
    let (skip, count) = (
        format!("skip={}", window.start),
        format!("count={}", window.end - window.start),
    );
    run(
        "dd",
        &[
            &input,
            &output,
            &skip,
            &count,
            "bs=1M",
            "iflag=skip_bytes,count_bytes",
            "conv=sparse",
        ],
    );
    let checked = run("fsck.vfat", &["-n", "-v", text(&volume)]);
    for complaint in [
        "differ",
        "not set",
        "Reclaimed",
        "wrong",
        "bad",
        "Dirty",
        "dirty",
        "Leaving",
    ] {
        assert!(!checked.contains(complaint), "fsck.vfat: {checked}");
    }
}

/// The contents of a file, read by mtools.
pub(crate) fn mtools_read(image: &Path, start: u64, path: &str, directory: &Path) -> Vec<u8> {
    let out = directory.join("from-mtools");
    let at = format!("{}@@{start}", text(image));
    run(
        "mcopy",
        &["-n", "-o", "-i", &at, &format!("::/{path}"), text(&out)],
    );
    std::fs::read(out).unwrap()
}

/// An ext4 file system. What was never written of its inode table is not missed, whatever is there.
fn ext4(size: u64) {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    let file = File::create_new(&image).unwrap();
    file.set_len(size).unwrap();
    ext::format(&file, &(0..size), "B2C_CACHE", *b"0123456789abcdef").unwrap();
    let blocks = file.metadata().unwrap().blocks();
    assert!(blocks * 512 < size / 100, "{blocks} blocks are not sparse");

    let said = run("dumpe2fs", &[text(&image)]);
    for wanted in [
        "Filesystem volume name:   B2C_CACHE",
        "Filesystem state:         clean",
        "Journal features:         (none)",
    ] {
        assert!(said.contains(wanted), "no {wanted:?} in {said}");
    }
    let unwritten = said
        .lines()
        .find_map(|line| line.split_once("Inode table at "))
        .unwrap()
        .1;
    let last = unwritten.split(['-', ' ']).nth(1).unwrap();
    let last: u64 = last.parse().unwrap();
    file.write_all_at(&[0xa5; 4096], last * 4096).unwrap();
    run("e2fsck", &["-f", "-n", text(&image)]);
}

/// Files written, replaced and removed in a volume of our own.
fn volume(kind: FatKind, size: u64) {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    let window = MIB..MIB + size;
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&image)
        .unwrap();
    file.set_len(window.end).unwrap();
    let format = FatFormat {
        kind,
        volume_id: 0x1234_5678,
        label: *b"SHAKEDOWN  ",
    };
    let volume = FatVolume::format(&file, &window, &format).unwrap();
    let contents: Vec<u8> = (0..30_000_u32).map(|n| (n % 241) as u8).collect();
    for number in 0..40 {
        let path = format!("many files/a file with a long name, number {number}.bin");
        volume.write(&path, &contents[..number * 700]).unwrap();
    }
    volume.finish().unwrap();

    // Every other one goes, so that the next file is in pieces.
    let volume = FatVolume::open(&file, &window).unwrap();
    for number in (0..40).step_by(2) {
        let path = format!("many files/a file with a long name, number {number}.bin");
        volume.remove(&path).unwrap();
    }
    let long = contents.repeat(12);
    volume.write("deep/er/still/LARGE.BIN", &long[..]).unwrap();
    volume
        .write(
            "many files/a file with a long name, number 5.bin",
            &b"new"[..],
        )
        .unwrap();
    volume.finish().unwrap();

    volume_accepted(&image, &window, directory.path());
    let read = |path: &str| mtools_read(&image, MIB, path, directory.path());
    assert!(read("deep/er/still/LARGE.BIN") == long);
    assert!(read("many files/a file with a long name, number 39.bin") == contents[..39 * 700]);
    assert_eq!(
        read("many files/a file with a long name, number 5.bin"),
        b"new"
    );
}
