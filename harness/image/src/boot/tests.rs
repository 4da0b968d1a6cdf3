use tempfile::TempDir;

use super::*;
use crate::Sizes;
use crate::config_txt::BoardModel;
use crate::partitions::Scheme;
use crate::prebuilt::{self, PrebuiltSpec, SourceFile};

const PI3B: Hardware = Hardware {
    model: BoardModel::Pi3B,
    serial: 0x1234_5678,
};

const FIRMWARE: [(&str, &str); 3] = [
    ("bootcode.bin", "rom"),
    ("start.elf", "firmware"),
    ("fixup.dat", "table"),
];

/// Starts an image with this `config.txt` and these files besides the firmware's own.
fn start_with(
    config: &str,
    firmware: &[(&str, &str)],
    files: &[(&str, &str)],
    scheme: Scheme,
) -> (TempDir, Result<FirmwareHandover, FirmwareError>) {
    let directory = tempfile::tempdir().unwrap();
    let all = firmware.iter().chain(files).enumerate();
    let firmware_files = all.map(|(number, (path, contents))| {
        let source = directory.path().join(format!("source-{number}"));
        std::fs::write(&source, contents).unwrap();
        SourceFile::new(*path, source)
    });
    let spec = PrebuiltSpec {
        sizes: Sizes::SMALL,
        scheme,
        config_txt: config.into(),
        firmware_files: firmware_files.collect(),
        ..PrebuiltSpec::default()
    };
    let image = directory.path().join("disk.img");
    prebuilt::build(&spec, &image).unwrap();
    let result = start(&image, &PI3B, directory.path());
    (directory, result)
}

fn started(config: &str, files: &[(&str, &str)]) -> (TempDir, FirmwareHandover) {
    let (directory, result) = start_with(config, &FIRMWARE, files, Scheme::Mbr);
    (directory, result.unwrap())
}

fn refused(config: &str, files: &[(&str, &str)]) -> String {
    start_with(config, &FIRMWARE, files, Scheme::Mbr)
        .1
        .unwrap_err()
        .to_string()
}

#[test]
fn the_default_image_starts_u_boot_with_its_device_tree() {
    let files = [
        ("u-boot.bin", "U-Boot"),
        ("bcm2837-rpi-3-b.dtb", "tree of a 3B"),
        ("bcm2837-rpi-3-b-plus.dtb", "tree of a 3B+"),
    ];
    let (_directory, handover) = started(&prebuilt::default_config_txt(), &files);
    assert_eq!(
        (
            handover.kernel_name.as_str(),
            handover.device_tree_name.as_str()
        ),
        ("u-boot.bin", "bcm2837-rpi-3-b.dtb")
    );
    assert_eq!(std::fs::read(&handover.kernel).unwrap(), b"U-Boot");
    assert_eq!(
        std::fs::read(&handover.device_tree).unwrap(),
        b"tree of a 3B"
    );
    assert_eq!(
        (handover.initramfs, handover.cmdline, handover.notes),
        (None, None, vec![])
    );
}

#[test]
fn without_names_the_firmware_has_its_own() {
    let files = [
        ("kernel8.img", "64"),
        ("kernel7.img", "32"),
        ("bcm2710-rpi-3-b.dtb", "t"),
        ("cmdline.txt", "console=ttyS1 quiet\nrest"),
    ];
    let (_directory, handover) = started("arm_64bit=1", &files);
    assert_eq!(
        (
            handover.kernel_name.as_str(),
            handover.device_tree_name.as_str()
        ),
        ("kernel8.img", "bcm2710-rpi-3-b.dtb")
    );
    assert_eq!(handover.cmdline.as_deref(), Some("console=ttyS1 quiet"));
    let (_directory, handover) = started("", &files);
    assert_eq!(handover.kernel_name, "kernel7.img");
}

#[test]
fn a_prefix_counts_when_the_files_are_there() {
    let files = [
        ("kernel8.img", "old"),
        ("bcm2710-rpi-3-b.dtb", "old"),
        ("new/kernel8.img", "new"),
        ("new/bcm2710-rpi-3-b.dtb", "new"),
        ("new/cmdline.txt", "new"),
    ];
    let (_directory, handover) = started("arm_64bit=1\nos_prefix=new/", &files);
    assert_eq!(
        (handover.kernel_name.as_str(), handover.cmdline.as_deref()),
        ("new/kernel8.img", Some("new"))
    );
    let (_directory, handover) = started("arm_64bit=1\nos_prefix=gone/", &files);
    assert_eq!(handover.kernel_name, "kernel8.img");
    let (_directory, handover) =
        started("arm_64bit=1\nos_prefix=new/\nkernel=/kernel8.img", &files);
    assert_eq!(
        (
            handover.kernel_name.as_str(),
            handover.device_tree_name.as_str()
        ),
        ("kernel8.img", "new/bcm2710-rpi-3-b.dtb")
    );
}

#[test]
fn upstream_names_come_first_and_the_others_after() {
    let files = [
        ("k", "k"),
        ("bcm2710-rpi-3-b.dtb", "t"),
        ("bcm2837-rpi-3-b.dtb", "t"),
    ];
    let (_directory, handover) = started("kernel=k\nupstream_kernel=1", &files);
    assert_eq!(handover.device_tree_name, "bcm2837-rpi-3-b.dtb");
    let (_directory, handover) = started("kernel=k\nupstream_kernel=1", &files[..2]);
    assert_eq!(handover.device_tree_name, "bcm2710-rpi-3-b.dtb");
}

#[test]
fn included_files_and_several_ram_file_systems_are_read() {
    let files = [
        ("more.txt", "kernel=k\ninitramfs a,b followkernel\n"),
        ("k", "k"),
        ("a", "one"),
        ("b", "two"),
        ("bcm2710-rpi-3-b.dtb", "t"),
    ];
    let (_directory, handover) = started("include more.txt\n", &files);
    assert_eq!(
        std::fs::read(handover.initramfs.unwrap()).unwrap(),
        b"onetwo"
    );
    assert_eq!(handover.config.kernel.unwrap().at.to_string(), "more.txt:1");
}

#[test]
fn a_missing_file_stops_the_board() {
    let tree = ("bcm2710-rpi-3-b.dtb", "t");
    insta::assert_snapshot!(refused("\nkernel=u-boot.bin", &[tree]), @"partition 1 has no u-boot.bin (config.txt:2: kernel=u-boot.bin); the real firmware would stop here");
    insta::assert_snapshot!(refused("kernel=k\ndevice_tree=my.dtb", &[("k", "k"), tree]), @"partition 1 has no my.dtb (config.txt:2: device_tree=my.dtb); the real firmware would stop here");
    insta::assert_snapshot!(refused("kernel=k", &[("k", "k")]), @"partition 1 has no bcm2710-rpi-3-b.dtb (the default, as config.txt has no device_tree=); the real firmware would stop here");
    insta::assert_snapshot!(refused("kernel=k", &[("k", ""), tree]), @"k in partition 1 is empty (config.txt:1: kernel=k); the real firmware would stop here");
    insta::assert_snapshot!(refused("gpu_mem=16", &[]), @"partition 1 has no start_cd.elf (the default, as config.txt has no start_file=); the real firmware would stop here");
    for (missing, (name, _)) in FIRMWARE.iter().enumerate() {
        let mut firmware = FIRMWARE.to_vec();
        firmware.remove(missing);
        let (_directory, result) =
            start_with("kernel=k", &firmware, &[("k", "k"), tree], Scheme::Mbr);
        let error = result.unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn what_is_not_emulated_is_refused_with_its_line() {
    let files = [("k", "k"), ("bcm2710-rpi-3-b.dtb", "t")];
    insta::assert_snapshot!(refused("kernel=k\ndtoverlay=miniuart-bt", &files), @"config.txt:2: the device tree overlay miniuart-bt is not emulated; take the line out to run this image here");
    assert!(
        refused("kernel=k\narmstub=x.bin", &files).starts_with("config.txt:2: the ARM stub x.bin")
    );
    assert!(
        refused("kernel=k\ndevice_tree=", &files)
            .starts_with("config.txt:2: starting a kernel without")
    );
    let (_directory, handover) = started(
        "kernel=k\ndtparam=audio=on\ndtoverlay=vc4-kms-v3d\n[pi4]\ndtoverlay=dwc2",
        &files,
    );
    assert_eq!(
        handover.notes,
        ["config.txt:2: dtparam=audio=on is not applied"]
    );
}

#[test]
fn a_disk_that_the_rom_could_not_read_is_noted() {
    let files = [("k", "k"), ("bcm2710-rpi-3-b.dtb", "t")];
    let notes = |scheme| {
        let (_directory, result) = start_with("kernel=k", &FIRMWARE, &files, scheme);
        result.unwrap().notes
    };
    assert_eq!(notes(Scheme::Gpt), [NO_MBR]);
    assert_eq!(notes(Scheme::Hybrid), [""; 0]);
}

#[test]
fn an_image_without_firmware_partition_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("disk.img");
    std::fs::write(&image, [0; 4096]).unwrap();
    let error = start(&image, &PI3B, directory.path()).unwrap_err();
    assert!(error.to_string().contains("no partition table"), "{error}");
}
