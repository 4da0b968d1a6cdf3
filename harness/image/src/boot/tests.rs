#[path = "cases.rs"]
mod cases;
#[path = "layouts.rs"]
mod layouts;

use tempfile::TempDir;

use super::partition::NO_MBR;
use super::*;
use crate::Sizes;
use crate::config_txt::{BoardModel, Hardware};
use crate::partitions::Scheme;
use crate::prebuilt::{self, PrebuiltSpec, SourceFile};
use crate::testing::{U_BOOT, device_tree};

const PI3B: Hardware = Hardware {
    model: BoardModel::Pi3B,
    serial: 0x1234_5678,
};

const FIRMWARE: [(&str, &[u8]); 3] = [
    ("bootcode.bin", b"rom"),
    ("start.elf", b"firmware"),
    ("fixup.dat", b"table"),
];
/// The least that starts a kernel called `k` in 64-bit mode with a console.
const BASE: &str = "kernel=k\narm_64bit=1\nenable_uart=1\n";

/// An image `disk.img` with this `config.txt` and these files besides the firmware's own.
fn built(
    config: &str,
    firmware: &[(&str, &[u8])],
    files: &[(&str, &[u8])],
    scheme: Scheme,
) -> TempDir {
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
    prebuilt::build(&spec, &directory.path().join("disk.img")).unwrap();
    directory
}

/// Starts such an image.
fn start_with(
    config: &str,
    firmware: &[(&str, &[u8])],
    files: &[(&str, &[u8])],
    scheme: Scheme,
) -> (TempDir, Result<FirmwareHandover, FirmwareError>) {
    let directory = built(config, firmware, files, scheme);
    let image = directory.path().join("disk.img");
    let result = start(&image, &PI3B, directory.path());
    (directory, result)
}

fn started(config: &str, files: &[(&str, &[u8])]) -> (TempDir, FirmwareHandover) {
    let (directory, result) = start_with(config, &FIRMWARE, files, Scheme::Mbr);
    (directory, result.unwrap())
}

fn refused(config: &str, files: &[(&str, &[u8])]) -> String {
    start_with(config, &FIRMWARE, files, Scheme::Mbr)
        .1
        .unwrap_err()
        .to_string()
}

fn tree() -> Vec<u8> {
    device_tree(PI3B.model.compatible())
}

#[test]
fn the_default_image_starts_u_boot_with_its_device_tree() {
    let other = device_tree(BoardModel::Pi3BPlus.compatible());
    let files: [(&str, &[u8]); 3] = [
        ("u-boot.bin", U_BOOT),
        ("bcm2837-rpi-3-b.dtb", &tree()),
        ("bcm2837-rpi-3-b-plus.dtb", &other),
    ];
    let (_directory, handover) = started(&prebuilt::default_config_txt(), &files);
    assert_eq!(
        (
            handover.kernel_name.as_str(),
            handover.device_tree_name.as_str()
        ),
        ("u-boot.bin", "bcm2837-rpi-3-b.dtb")
    );
    assert_eq!(std::fs::read(&handover.kernel).unwrap(), U_BOOT);
    assert_eq!(std::fs::read(&handover.device_tree).unwrap(), tree());
    assert_eq!(
        (handover.initramfs, handover.cmdline, handover.notes),
        (None, None, vec![])
    );
    assert_eq!(handover.uart, HeaderUart::Mini);
}

#[test]
fn without_names_the_firmware_has_its_own() {
    let mut files: Vec<(&str, &[u8])> = vec![
        ("kernel8.img", U_BOOT),
        ("cmdline.txt", b"console=ttyS1 quiet\nrest"),
    ];
    let tree = tree();
    files.push(("bcm2710-rpi-3-b.dtb", &tree));
    for config in ["enable_uart=1", "enable_uart=1\narm_64bit=1"] {
        let (_directory, handover) = started(config, &files);
        assert_eq!(
            (
                handover.kernel_name.as_str(),
                handover.device_tree_name.as_str()
            ),
            ("kernel8.img", "bcm2710-rpi-3-b.dtb")
        );
        assert_eq!(handover.cmdline.as_deref(), Some("console=ttyS1 quiet"));
    }
    // A 32-bit kernel comes first, unless the file says otherwise.
    files.push(("kernel7.img", &[0xb8, 0, 0, 0xea]));
    insta::assert_snapshot!(refused("enable_uart=1", &files), @"the board starts kernel7.img in 32-bit mode (there is no arm_64bit=1, and kernel7.img comes before kernel8.img), and it is code for 32-bit ARM; netboot images are for 64-bit ARM");
    let (_directory, handover) = started("enable_uart=1\narm_64bit=1", &files);
    assert_eq!(handover.kernel_name, "kernel8.img");
}

#[test]
fn a_command_line_in_another_encoding_is_told() {
    let tree = tree();
    let with = |cmdline: &[u8]| {
        let files: [(&str, &[u8]); 3] = [
            ("k", U_BOOT),
            ("bcm2710-rpi-3-b.dtb", &tree),
            ("cmdline.txt", cmdline),
        ];
        started(BASE, &files).1.notes.join("\n")
    };
    assert_eq!(with(b"quiet\n"), "");
    let utf16: Vec<u8> = "\u{feff}quiet\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(with(&utf16).starts_with("cmdline.txt is UTF-16"));
    assert!(with(&utf16[2..]).starts_with("cmdline.txt is UTF-16"));
    assert!(with(b"\xef\xbb\xbfquiet").starts_with("cmdline.txt begins with a byte order mark"));
}

#[test]
fn a_prefix_counts_when_the_files_are_there() {
    let tree = tree();
    let files: [(&str, &[u8]); 5] = [
        ("kernel8.img", U_BOOT),
        ("bcm2710-rpi-3-b.dtb", &tree),
        ("new/kernel8.img", U_BOOT),
        ("new/bcm2710-rpi-3-b.dtb", &tree),
        ("new/cmdline.txt", b"new"),
    ];
    let with = |config: &str| started(&format!("arm_64bit=1\nenable_uart=1\n{config}"), &files);
    let (_directory, handover) = with("os_prefix=new/");
    assert_eq!(
        (handover.kernel_name.as_str(), handover.cmdline.as_deref()),
        ("new/kernel8.img", Some("new"))
    );
    let (_directory, handover) = with("os_prefix=gone/");
    assert_eq!(handover.kernel_name, "kernel8.img");
    assert_eq!(
        handover.notes,
        ["config.txt:3: os_prefix=gone/ counts for nothing, since there is no gone/kernel8.img"]
    );
    let (_directory, handover) = with("os_prefix=new/\nkernel=/kernel8.img");
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
    let tree = tree();
    let files: [(&str, &[u8]); 3] = [
        ("k", U_BOOT),
        ("bcm2710-rpi-3-b.dtb", &tree),
        ("bcm2837-rpi-3-b.dtb", &tree),
    ];
    let config = format!("{BASE}upstream_kernel=1");
    let (_directory, handover) = started(&config, &files);
    assert_eq!(handover.device_tree_name, "bcm2837-rpi-3-b.dtb");
    let (_directory, handover) = started(&config, &files[..2]);
    assert_eq!(handover.device_tree_name, "bcm2710-rpi-3-b.dtb");
    assert!(
        handover.notes[0].contains("overlay `upstream`"),
        "{:?}",
        handover.notes
    );
}

#[test]
fn ram_file_systems_are_joined_and_handed_over() {
    let tree = tree();
    let files: Vec<(&str, &[u8])> = vec![
        (
            "more.txt",
            b"kernel=kernel8.img\ninitramfs a,b followkernel\n",
        ),
        ("kernel8.img", U_BOOT),
        ("initramfs8", b"auto"),
        ("a", b"one"),
        ("b", b"two"),
        ("bcm2710-rpi-3-b.dtb", &tree),
    ];
    let initramfs = |config: &str| {
        let (_directory, handover) = started(config, &files);
        handover.initramfs.map(|path| std::fs::read(path).unwrap())
    };
    let base = "enable_uart=1\n";
    assert_eq!(
        initramfs(&format!("{base}include more.txt\n")).unwrap(),
        b"onetwo"
    );
    assert_eq!(
        initramfs(&format!("{base}auto_initramfs=1")).unwrap(),
        b"auto"
    );
    assert_eq!(
        initramfs(&format!("{base}auto_initramfs=1\ninitramfs a 0")).unwrap(),
        b"one"
    );
    assert_eq!(initramfs(&format!("{base}auto_initramfs=0")), None);
    assert_eq!(initramfs(&format!("{base}initramfs=a 0")), None);
    let twice = refused(&format!("{base}initramfs a,b,A 0"), &files);
    assert_eq!(
        twice,
        "config.txt:2: initramfs A: A is named more than once"
    );
}

#[test]
fn a_missing_file_stops_the_board() {
    let tree = tree();
    let tree: (&str, &[u8]) = ("bcm2710-rpi-3-b.dtb", &tree);
    let k: (&str, &[u8]) = ("k", U_BOOT);
    let refused = |more: &str, files: &[(&str, &[u8])]| refused(&format!("{BASE}{more}"), files);
    insta::assert_snapshot!(refused("kernel=u-boot.bin", &[tree]), @"partition 1 has no u-boot.bin (config.txt:4: kernel=u-boot.bin); the real firmware would stop here");
    insta::assert_snapshot!(refused("device_tree=my.dtb", &[k, tree]), @"partition 1 has no my.dtb (config.txt:4: device_tree=my.dtb), and k brings no device tree of its own; the board would start it without one");
    insta::assert_snapshot!(refused("", &[k]), @"partition 1 has no bcm2710-rpi-3-b.dtb (the default, as config.txt has no device_tree=), and k brings no device tree of its own; the board would start it without one");
    insta::assert_snapshot!(refused("", &[("k", b""), tree]), @"k in partition 1 is empty (config.txt:1: kernel=k); the real firmware would stop here");
    insta::assert_snapshot!(refused("gpu_mem=31", &[]), @"partition 1 has no start_cd.elf (the default, as config.txt has no start_file=); the real firmware would stop here");
    insta::assert_snapshot!(refused("gpu_mem=64\ngpu_mem_1024=16", &[]), @"partition 1 has no start_cd.elf (the default, as config.txt has no start_file=); the real firmware would stop here");
    for (missing, (name, _)) in FIRMWARE.iter().enumerate() {
        let mut firmware = FIRMWARE.to_vec();
        firmware.remove(missing);
        let (_directory, result) = start_with(BASE, &firmware, &[k, tree], Scheme::Mbr);
        let error = result.unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn bootcode_reads_no_included_files() {
    let tree = tree();
    let files: [(&str, &[u8]); 3] = [
        ("k", U_BOOT),
        ("bcm2710-rpi-3-b.dtb", &tree),
        ("extra.txt", b"gpu_mem=16\n"),
    ];
    let (_directory, handover) = started(&format!("{BASE}include extra.txt"), &files);
    assert!(
        handover.notes[0].contains("bootcode.bin does not read"),
        "{:?}",
        handover.notes
    );
}

#[test]
fn the_kernel_is_looked_at() {
    let tree = tree();
    let zipped = |contents: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, contents).unwrap();
        encoder.finish().unwrap()
    };
    let with = |config: &str, kernel: &[u8]| {
        let files: [(&str, &[u8]); 2] = [("k", kernel), ("bcm2710-rpi-3-b.dtb", &tree)];
        let (_directory, result) = start_with(config, &FIRMWARE, &files, Scheme::Mbr);
        result.map(|handover| (std::fs::read(handover.kernel).unwrap(), handover.notes))
    };
    let (kernel, notes) = with(BASE, &zipped(U_BOOT)).unwrap();
    assert_eq!(kernel, U_BOOT);
    assert!(notes[0].contains("gzip"), "{notes:?}");
    let refused = |config: &str, kernel: &[u8]| with(config, kernel).unwrap_err().to_string();
    insta::assert_snapshot!(refused("kernel=k\nenable_uart=1", U_BOOT), @"the board starts k in 32-bit mode (there is no arm_64bit=1), and it is code for 64-bit ARM; a board that is started so says nothing at all");
    insta::assert_snapshot!(refused(BASE, &[0xb8, 0, 0, 0xea]), @"the board starts k in 64-bit mode (arm_64bit=1), and it is code for 32-bit ARM; a board that is started so says nothing at all");
    insta::assert_snapshot!(refused(BASE, b"\x7fELF"), @"k is an ELF file, which the firmware does not start: it starts an Image for 64-bit ARM, or code as it is");
    insta::assert_snapshot!(refused(BASE, &zipped(&zipped(U_BOOT))), @"k is a gzip archive, which the firmware does not start: it starts an Image for 64-bit ARM, or code as it is");
    insta::assert_snapshot!(refused(BASE, &zipped(U_BOOT)[..20]), @"k is a gzip archive, which the firmware does not start: it cannot be unpacked: incomplete deflate stream");
    let (_, notes) = with("kernel=k\narm_control=0x200\nenable_uart=1", U_BOOT).unwrap();
    assert!(notes[0].contains("deprecated"), "{notes:?}");
    let (_, notes) = with(BASE, b"\x01who knows").unwrap();
    assert_eq!(
        notes,
        ["k is of no kind that is known here; whether it is code for 64-bit ARM cannot be told"]
    );
}

#[test]
fn what_a_download_left_is_no_program() {
    let tree = tree();
    let with = |kernel: &[u8]| {
        let files: [(&str, &[u8]); 2] = [("k", kernel), ("bcm2710-rpi-3-b.dtb", &tree)];
        refused(BASE, &files)
    };
    let rest =
        "which the firmware does not start: it starts an Image for 64-bit ARM, or code as it is";
    let cases: [(&[u8], &str); 7] = [
        (b"<!DOCTYPE html>404", "a web page (HTML)"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "a Git LFS pointer in place of the file itself",
        ),
        (b"404: Not Found", "text"),
        (b"\xfd7zXZ\0\0\x04", "an xz archive"),
        (&[0; 600], "a file of zeros"),
        (&[0xff; 600], "a file of bytes 0xff"),
        (b"x", "shorter than one instruction"),
    ];
    for (kernel, kind) in cases {
        assert_eq!(with(kernel), format!("k is {kind}, {rest}"));
    }
    let files: [(&str, &[u8]); 2] = [("k", U_BOOT), ("bcm2710-rpi-3-b.dtb", &tree)];
    for damaged in 0..FIRMWARE.len() {
        let mut firmware = FIRMWARE;
        firmware[damaged].1 = b"<html>404</html>";
        let error = start_with(BASE, &firmware, &files, Scheme::Mbr)
            .1
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{} is a web page (HTML), no firmware of the board; the real firmware would stop here",
                FIRMWARE[damaged].0
            )
        );
    }
}

#[test]
fn bytes_behind_a_device_tree_are_passed_over() {
    let tree = tree();
    let longer = [&tree[..], b"behind"].concat();
    let files: [(&str, &[u8]); 2] = [("k", U_BOOT), ("bcm2710-rpi-3-b.dtb", &longer)];
    let (_directory, handover) = started(BASE, &files);
    assert_eq!(std::fs::read(&handover.device_tree).unwrap(), tree);
    assert!(
        handover.notes[0].contains("6 bytes follow"),
        "{:?}",
        handover.notes
    );
}

#[test]
fn a_file_that_cannot_be_included_is_noted_with_its_line() {
    let tree = tree();
    let files: [(&str, &[u8]); 3] = [
        ("k", U_BOOT),
        ("bcm2710-rpi-3-b.dtb", &tree),
        ("folder.txt/file", b"x"),
    ];
    let config = format!("{BASE}include folder.txt\ninclude gone.txt\ninclude=gone.txt\n");
    let (_directory, handover) = started(&config, &files);
    let [directory, gone, equals] = &handover.notes[..] else {
        panic!("{:?}", handover.notes);
    };
    assert!(
        directory.starts_with("config.txt:4: folder.txt is not included: partition 1: cannot read"),
        "{directory}"
    );
    assert_eq!(
        gone,
        "config.txt:5: gone.txt is not included: it does not exist"
    );
    assert!(
        equals.starts_with("config.txt:6: `include` takes a space"),
        "{equals}"
    );
}

#[test]
fn the_device_tree_is_looked_at() {
    let with = |tree: &[u8], kernel: &[u8]| {
        let files: [(&str, &[u8]); 2] = [("k", kernel), ("bcm2710-rpi-3-b.dtb", tree)];
        let files = if tree.is_empty() {
            &files[..1]
        } else {
            &files[..]
        };
        let (_directory, result) = start_with(BASE, &FIRMWARE, files, Scheme::Mbr);
        result.map(|handover| std::fs::read(handover.device_tree).unwrap())
    };
    let refused = |tree: &[u8]| with(tree, U_BOOT).unwrap_err().to_string();
    insta::assert_snapshot!(refused(&device_tree("pine64,pine64")), @"bcm2710-rpi-3-b.dtb is the device tree of another board: its `compatible` is pine64,pine64, brcm,bcm2837, and a Raspberry Pi 3B is raspberrypi,3-model-b");
    insta::assert_snapshot!(refused(&device_tree("raspberrypi,3-model-b-plus")), @"bcm2710-rpi-3-b.dtb is the device tree of another board: its `compatible` is raspberrypi,3-model-b-plus, brcm,bcm2837, and a Raspberry Pi 3B is raspberrypi,3-model-b");
    assert!(refused(b"no tree").starts_with("bcm2710-rpi-3-b.dtb: not a device tree blob"));
    // A boot loader for one board brings its own.
    let own = [U_BOOT, b"\xd0\x0d\xfe\xed nothing", &tree()].concat();
    assert_eq!(with(&[], &own).unwrap(), tree());
}

#[test]
fn overlays_are_applied_as_far_as_they_fit() {
    let overlay = |target: &str| {
        use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};
        let mut tree = DeviceTree::new();
        let mut fragment = DeviceTreeNode::new_unchecked("fragment@0");
        let path = format!("{target}\0");
        fragment.add_property(DeviceTreeProperty::new_unchecked(
            "target-path",
            path.as_bytes(),
        ));
        let mut inner = DeviceTreeNode::new_unchecked("__overlay__");
        inner.add_property(DeviceTreeProperty::new_unchecked("applied", ""));
        fragment.add_child(inner);
        tree.root.add_child(fragment);
        tree.to_dtb()
    };
    let (tree, fits, stray) = (tree(), overlay("/chosen"), overlay("/nowhere"));
    let files: Vec<(&str, &[u8])> = vec![
        ("k", U_BOOT),
        ("bcm2710-rpi-3-b.dtb", &tree),
        ("overlays/disable-bt.dtbo", &fits),
        ("overlays/miniuart-bt.dtbo", &stray),
        ("overlays/other.dtbo", &fits),
        ("overlays/noise.dtbo", b"noise"),
    ];
    let with = |overlay: &str| {
        let (_directory, handover) = started(&format!("{BASE}dtoverlay={overlay}"), &files);
        let tree = std::fs::read(&handover.device_tree).unwrap();
        let applied = tree.windows(7).any(|bytes| bytes == b"applied");
        (handover.uart, applied, handover.notes)
    };
    for name in ["disable-bt", "pi3-disable-bt"] {
        assert_eq!(with(name), (HeaderUart::Pl011, true, vec![]));
    }
    assert_eq!(with("other"), (HeaderUart::Mini, true, vec![]));
    assert_eq!(
        with("vc4-kms-v3d,cma-128"),
        (HeaderUart::Mini, false, vec![])
    );
    let said = ["miniuart-bt", "noise", "gone"].map(|name| {
        let (uart, applied, notes) = with(name);
        assert!(uart == HeaderUart::Mini && !applied, "{name}");
        notes.join("\n")
    });
    insta::assert_snapshot!(said.join("\n"), @r"
    config.txt:4: the overlay overlays/miniuart-bt.dtbo does not fit the device tree (target node not found in base tree: '/nowhere'); the firmware goes on without it
    config.txt:4: the overlay overlays/noise.dtbo does not fit the device tree (not a device tree blob: Invalid FDT length at offset 0); the firmware goes on without it
    config.txt:4: there is no overlays/gone.dtbo; the firmware goes on without the overlay
    ");
    let parameters = refused(&format!("{BASE}dtoverlay=other,x=1"), &files);
    insta::assert_snapshot!(parameters, @"config.txt:4: the device tree overlay other with parameters is not emulated; take the line out to run this image here");
}

#[test]
fn what_is_not_emulated_is_refused_with_its_line() {
    let tree = tree();
    let files: [(&str, &[u8]); 2] = [("k", U_BOOT), ("bcm2710-rpi-3-b.dtb", &tree)];
    let refused = |more: &str| refused(&format!("{BASE}{more}"), &files);
    insta::assert_snapshot!(refused("armstub=x.bin"), @"config.txt:4: the ARM stub x.bin is not emulated; take the line out to run this image here");
    assert!(refused("device_tree=").starts_with("config.txt:4: starting a kernel without"));
    assert!(refused("kernel_address=0x1000000").starts_with("config.txt:4: a kernel at address"));
    assert!(refused("kernel_old=1").starts_with("config.txt:4: a kernel at address 0"));
    let config = format!("{BASE}dtparam=audio=on\nkernel_address=0x80000\n[pi4]\nkernel_old=1");
    let (_directory, handover) = started(&config, &files);
    assert_eq!(
        handover.notes,
        ["config.txt:4: dtparam=audio=on is not applied"]
    );
}

#[test]
fn a_board_without_a_console_is_refused() {
    let tree = tree();
    let files: [(&str, &[u8]); 2] = [("k", U_BOOT), ("bcm2710-rpi-3-b.dtb", &tree)];
    for config in [
        "kernel=k\narm_64bit=1",
        "kernel=k\narm_64bit=1\nenable_uart=true",
    ] {
        let error = refused(config, &files);
        assert_eq!(
            error,
            "nothing turns the serial console on and fixes its clock"
        );
    }
}

#[test]
fn autoboot_leads_to_another_partition() {
    let tree = tree();
    let with = |autoboot: &str| {
        let files: [(&str, &[u8]); 3] = [
            ("k", U_BOOT),
            ("bcm2710-rpi-3-b.dtb", &tree),
            ("autoboot.txt", autoboot.as_bytes()),
        ];
        let (_directory, result) = start_with(BASE, &FIRMWARE, &files, Scheme::Mbr);
        result
            .map(|handover| handover.notes)
            .map_err(|error| error.to_string())
    };
    assert_eq!(with("[tryboot]\nboot_partition=3\n"), Ok(vec![]));
    assert_eq!(with("boot_partition=1\nboot_partition=0"), Ok(vec![]));
    let notes = with("[pi3]\nboot_partition=9\n").unwrap();
    assert!(notes[0].starts_with("autoboot.txt:1: autoboot.txt has the filters"));
    // The EFI system partition is FAT, and nothing that could be started from is on it.
    let error = with("[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n");
    assert_eq!(
        error.unwrap_err(),
        "partition 2 has no start.elf (the default, as config.txt has no start_file=); the real firmware would stop here"
    );
    for partition in ["3", "9", "-1", "4294967297", "99999999999999999999"] {
        let error = with(&format!("boot_partition={partition}")).unwrap_err();
        let expected = format!("autoboot.txt names partition {partition}: ");
        assert!(error.starts_with(&expected), "{error}");
    }
    assert_eq!(
        with("boot_partition=1abc\njust words\nkernel8=k").unwrap(),
        [
            "autoboot.txt:2: the line `just words` is no setting",
            "autoboot.txt:3: autoboot.txt has no setting `kernel8`",
            "autoboot.txt:1: the firmware reads boot_partition=1 of `1abc`",
            "autoboot.txt sends the board to partition 1, whose config.txt counts"
        ]
    );
}

#[test]
fn a_disk_that_the_rom_could_not_read_is_noted() {
    let tree = tree();
    let files: [(&str, &[u8]); 2] = [("k", U_BOOT), ("bcm2710-rpi-3-b.dtb", &tree)];
    let notes = |scheme| {
        let (_directory, result) = start_with(BASE, &FIRMWARE, &files, scheme);
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
