#[path = "tests/hostile.rs"]
mod hostile;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::Sizes;
use crate::fat::FatVolume;
use crate::partitions::Scheme;
use crate::prebuilt::{self, Cache, PrebuiltSpec, SourceFile};
use crate::script::{BootSource, Identity};
use crate::survey::inspect::inspect;
use crate::testing::{PKI, U_BOOT, UNKNOWN_CA, device_tree};
use crate::{provision, source};

/// A board of today with a ROM that reads every table.
const ANY: VerifyOptions<'_> = VerifyOptions {
    models: BoardModel::ALL,
    rom_reads_mbr_only: false,
    now: UNIX_EPOCH,
};

/// An EFI program that calls itself iPXE.
fn ipxe(machine: u16, features: &str) -> Vec<u8> {
    let mut file = vec![0; 256];
    file[..2].copy_from_slice(b"MZ");
    file[0x3c] = 0x80;
    file[0x80..0x84].copy_from_slice(b"PE\0\0");
    file[0x84..0x86].copy_from_slice(&machine.to_le_bytes());
    file[0x98..0x9a].copy_from_slice(&[0x0b, 0x02]);
    file.extend(
        format!("\0iPXE\0\0{features}\0ipxe,1,iPXE,ipxe.efi,1.21.1+git,https://ipxe.org\n").bytes(),
    );
    file
}

/// An image and what it is made of.
struct Bench {
    directory: tempfile::TempDir,
    spec: PrebuiltSpec,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut bench = Self {
            spec: PrebuiltSpec {
                sizes: Sizes {
                    disk: 512 << 20,
                    firmware: 4 << 20,
                    esp: 4 << 20,
                },
                config_txt: prebuilt::default_config_txt(),
                cache: Cache::Ext4,
                ..PrebuiltSpec::default()
            },
            directory,
        };
        for (path, contents) in [
            ("bootcode.bin", "first"),
            ("start.elf", "second"),
            ("fixup.dat", "table"),
        ] {
            bench.firmware(path, contents.as_bytes());
        }
        bench.firmware("u-boot.bin", U_BOOT);
        for model in BoardModel::ALL {
            let tree = device_tree(model.compatible());
            bench.firmware(model.default_device_tree(true), &tree);
        }
        bench.esp(prebuilt::EFI_BOOT_FILE, &ipxe(0xaa64, "DNS\0HTTPS\0"));
        bench
    }

    fn source(&self, contents: &[u8]) -> PathBuf {
        let (_, path) = tempfile::NamedTempFile::new_in(&self.directory)
            .unwrap()
            .keep()
            .unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// Puts a file onto the firmware partition, in place of one of the same name.
    fn firmware(&mut self, path: &str, contents: &[u8]) {
        let file = SourceFile::new(path, self.source(contents));
        self.spec.firmware_files.retain(|f| f.path != path);
        self.spec.firmware_files.push(file);
    }

    /// The same on the EFI system partition.
    fn esp(&mut self, path: &str, contents: &[u8]) {
        let file = SourceFile::new(path, self.source(contents));
        self.spec.esp_files.retain(|f| f.path != path);
        self.spec.esp_files.push(file);
    }

    fn prebuilt(&self) -> PathBuf {
        let path = self.directory.path().join("prebuilt.img");
        prebuilt::build(&self.spec, &path).unwrap();
        path
    }

    fn netboot(&self, boot: &BootSource) -> PathBuf {
        let path = self.directory.path().join("netboot.img");
        let source = source::open(&self.prebuilt()).unwrap();
        provision::provision(&source, boot, None, &path).unwrap();
        path
    }
}

fn boot() -> BootSource {
    BootSource::Https {
        server: "https://boot.example".parse().unwrap(),
        identity: Some(Identity {
            certificate: PKI.client.certificate_der().to_vec(),
            private_key: PKI.client.key_pkcs8_der().secret_pkcs8_der().to_vec(),
        }),
        trusted_ca: PKI.authority.certificate_der().to_vec(),
    }
}

/// The same with another CA that iPXE trusts.
fn boot_trusting(trusted_ca: &[u8]) -> BootSource {
    match boot() {
        BootSource::Https {
            server, identity, ..
        } => BootSource::Https {
            server,
            identity,
            trusted_ca: trusted_ca.to_vec(),
        },
        BootSource::Dhcp => unreachable!("it is by HTTPS"),
    }
}

fn verified(image: &Path, options: &VerifyOptions<'_>) -> Verification {
    verify(&source::open(image).unwrap(), options).unwrap()
}

fn rules(image: &Path) -> Vec<&'static str> {
    let violations = verified(image, &ANY).violations;
    violations.iter().map(|violation| violation.rule).collect()
}

/// Writes a file onto the EFI system partition of an image.
fn put(image: &Path, path: &str, contents: &[u8]) {
    let window = Disk::open(image).unwrap().esp().unwrap().bytes();
    let file = File::options().read(true).write(true).open(image).unwrap();
    let volume = FatVolume::open(&file, &window).unwrap();
    volume.write(path, contents).unwrap();
    volume.finish().unwrap();
}

fn script(image: &Path) -> String {
    let disk = Disk::open(image).unwrap();
    let volume = disk.volume(disk.esp().unwrap()).unwrap();
    String::from_utf8(volume.read("autoexec.ipxe", 1 << 20).unwrap()).unwrap()
}

#[test]
fn images_made_here_conform() {
    let mut bench = Bench::new();
    for scheme in [Scheme::Mbr, Scheme::Gpt, Scheme::Hybrid] {
        bench.spec.scheme = scheme;
        let prebuilt = verified(&bench.prebuilt(), &ANY);
        assert_eq!(
            (prebuilt.kind, prebuilt.violations),
            (Some(ImageKind::Prebuilt), vec![])
        );
        for boot in [boot(), BootSource::Dhcp] {
            let netboot = verified(&bench.netboot(&boot), &ANY);
            assert_eq!(
                (netboot.kind, netboot.violations),
                (Some(ImageKind::Netboot), vec![])
            );
        }
    }
}

#[test]
fn all_violations_are_found_at_once() {
    let mut bench = Bench::new();
    bench.spec.scheme = Scheme::Gpt;
    bench.spec.config_txt = "kernel=u-boot.bin\n[pi3+]\ndevice_tree=gone.dtb\n".into();
    bench
        .spec
        .firmware_files
        .retain(|file| file.path != "bootcode.bin");
    bench.firmware("bcm2710-rpi-3-b.dtb", b"no tree");
    bench.esp(prebuilt::EFI_BOOT_FILE, b"GRUB");
    bench.esp("netboot-image.toml", b"specification = 7");
    bench.esp("ubootefi.var", b"damaged");
    bench.esp("EFI/BOOT/autoexec.ipxe", b"#!ipxe");
    let image = bench.prebuilt();
    let backup = (512 << 20) - 512;
    File::options()
        .write(true)
        .open(&image)
        .unwrap()
        .write_all_at(b"x", backup)
        .unwrap();
    let options = VerifyOptions {
        rom_reads_mbr_only: true,
        ..ANY
    };
    let found = verified(&image, &options);
    assert!(!found.conforms());
    let lines: Vec<_> = found.violations.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    R-TABLE-5 byte 536870400: the backup GPT is damaged: no header; write the backup GPT again at the end of the disk: sgdisk -e
    R-ROM-1 byte 446: there is only a GPT, and the board's ROM reads an MBR and nothing else; name the firmware partition in the MBR too, with a FAT type: build with --table mbr or --table hybrid; or sgdisk -h 1:EE IMAGE, and, since sgdisk gives it type 0x07, sfdisk --label-nested dos --part-type IMAGE 1 c
    R-FW-3 partition 1, /bootcode.bin: for Raspberry Pi 3B: partition 1 has no bootcode.bin (the board's ROM loads it); the real firmware would stop here; copy bootcode.bin and the start and fixup files from the firmware release
    R-FW-9 partition 1, /u-boot.bin: for Raspberry Pi 3B: the board starts u-boot.bin in 32-bit mode (there is no arm_64bit=1), and it is code for 64-bit ARM; a board that is started so says nothing at all; put arm_64bit=1 into config.txt, and start a program for 64-bit ARM
    R-FW-6 partition 1, /bcm2710-rpi-3-b.dtb: for Raspberry Pi 3B: bcm2710-rpi-3-b.dtb: not a device tree blob: Invalid FDT length at offset 0; copy the board's device tree, or name it in config.txt under the board's filter
    R-FW-7 partition 1, /config.txt: for Raspberry Pi 3B: nothing turns the serial console on and fixes its clock; put enable_uart=1 into config.txt
    R-FW-3 partition 1, /bootcode.bin: for Raspberry Pi 3B+: partition 1 has no bootcode.bin (the board's ROM loads it); the real firmware would stop here; copy bootcode.bin and the start and fixup files from the firmware release
    R-FW-9 partition 1, /u-boot.bin: for Raspberry Pi 3B+: the board starts u-boot.bin in 32-bit mode (there is no arm_64bit=1), and it is code for 64-bit ARM; a board that is started so says nothing at all; put arm_64bit=1 into config.txt, and start a program for 64-bit ARM
    R-FW-6 partition 1, /gone.dtb: for Raspberry Pi 3B+: partition 1 has no gone.dtb (config.txt:3: device_tree=gone.dtb), and u-boot.bin brings no device tree of its own; the board would start it without one; copy the board's device tree, or name it in config.txt under the board's filter
    R-FW-7 partition 1, /config.txt: for Raspberry Pi 3B+: nothing turns the serial console on and fixes its clock; put enable_uart=1 into config.txt
    R-MAN-1 partition 2, /netboot-image.toml: it keeps to version 7 of the specification, and only version 1 is known; correct netboot-image.toml, or remove it
    R-IPXE-5 partition 2, /EFI/BOOT/autoexec.ipxe: iPXE looks for its script in its own folder first; remove the script beside iPXE, which would run in place of /autoexec.ipxe; provisioning does
    R-IPXE-2 partition 2, /EFI/BOOT/BOOTAA64.EFI: it is no EFI program (PE32+); take iPXE's EFI build for 64-bit ARM: bin-arm64-efi
    R-IPXE-3 partition 2, /EFI/BOOT/BOOTAA64.EFI: it is GRUB, and no iPXE is on the partition; put iPXE itself where the image says it is
    R-VAR-1 partition 2, /ubootefi.var: not an EFI variable file of U-Boot; remove ubootefi.var, or write it again; U-Boot ignores one like this
    ");
    let json = serde_json::to_value(&found).unwrap();
    let violation = &json["violations"][0];
    assert_eq!(
        (
            violation["rule"].as_str(),
            violation["place"]["byte"].as_u64()
        ),
        (Some("R-TABLE-5"), Some(backup))
    );
}

#[test]
fn what_is_wrong_with_a_prebuilt_image_is_told_by_its_rule() {
    type Change = fn(&mut Bench);
    let cases: &[(Change, &[&str])] = &[
        (|b| b.firmware("fixup.dat", b""), &["R-FW-3"]),
        (
            |b| b.spec.config_txt.push_str("arm_64bit=yes\n"),
            &["R-FW-9", "R-FW-9"],
        ),
        (
            |b| b.spec.config_txt.push_str("[pi3\n"),
            &["R-FW-4", "R-FW-4"],
        ),
        (
            |b| b.firmware("u-boot.bin", b"\x7fELF"),
            &["R-FW-5", "R-FW-5"],
        ),
        (
            |b| b.firmware("u-boot.bin", &[0xb8, 0, 0, 0xea]),
            &["R-FW-9", "R-FW-9"],
        ),
        (
            |b| {
                let tree = device_tree(BoardModel::Pi3B.compatible());
                b.firmware("bcm2837-rpi-3-b-plus.dtb", &tree);
            },
            &["R-FW-6"],
        ),
        (
            |b| b.spec.config_txt.push_str("armstub=x.bin\n"),
            &["R-FW-10", "R-FW-10"],
        ),
        (|b| b.firmware("u-boot.bin", b""), &["R-FW-5", "R-FW-5"]),
        (
            |b| b.spec.config_txt.push_str("initramfs gone\n"),
            &["R-FW-5", "R-FW-5"],
        ),
        (
            |b| b.firmware("bcm2837-rpi-3-b-plus.dtb", b"text"),
            &["R-FW-6"],
        ),
        (
            |b| b.spec.config_txt.push_str("[pi3+]\nenable_uart=0\n"),
            &["R-FW-7"],
        ),
        (
            |b| {
                b.spec
                    .config_txt
                    .push_str("enable_uart=0\ndtoverlay=disable-bt\n");
                b.firmware("overlays/disable-bt.dtbo", &device_tree("brcm,bcm2835"));
            },
            &[],
        ),
        (
            // The firmware goes on without an overlay that is not there, and so without a console.
            |b| {
                b.spec
                    .config_txt
                    .push_str("enable_uart=0\ndtoverlay=disable-bt\n")
            },
            &["R-FW-7", "R-FW-7"],
        ),
        (|b| b.spec.esp_files.clear(), &["R-IPXE-1"]),
        (|b| b.esp(prebuilt::EFI_BOOT_FILE, b""), &["R-IPXE-1"]),
        (
            |b| b.esp(prebuilt::EFI_BOOT_FILE, &ipxe(0x8664, "HTTPS\0")),
            &["R-IPXE-2"],
        ),
        (
            |b| b.esp("netboot-image.toml", b"specification = 1\nipxe = \"/a/b\""),
            &["R-IPXE-1"],
        ),
        (
            |b| {
                b.esp("netboot-image.toml", b"specification = 1\nipxe = \"/a/b\"");
                b.esp("a/b", &ipxe(0xaa64, ""));
            },
            &[],
        ),
        (|b| b.esp("netboot-image.toml", b"ipxe = 3"), &["R-MAN-1"]),
        (|b| b.spec.sizes.disk = 128 << 20, &["R-CACHE-2"]),
        (|b| b.spec.cache = Cache::Empty, &["R-CACHE-3"]),
        (|b| b.esp("full", &vec![1; 4_100_000]), &["R-ESP-3"]),
    ];
    for (number, (change, expected)) in cases.iter().enumerate() {
        let mut bench = Bench::new();
        change(&mut bench);
        let mut found = rules(&bench.prebuilt());
        // Both boards stumble over the same file.
        if number == 0 {
            found.dedup();
        }
        assert_eq!(&found, expected, "case {number}");
    }
}

/// What a rule says to do fits the file that is at fault.
#[test]
fn remedies_are_for_the_file_that_is_at_fault() {
    type Change = fn(&mut Bench);
    let cases: &[(Change, &str, &str)] = &[
        (
            |b| b.firmware("autoboot.txt", b"[all]\rboot_partition=2\r"),
            "R-FW-4",
            "correct autoboot.txt",
        ),
        (
            |b| b.firmware("autoboot.txt", b"[all\n"),
            "R-FW-4",
            "correct autoboot.txt",
        ),
        (
            |b| b.firmware("autoboot.txt", b"b\0o\0o\0t\0=\0"),
            "R-FW-4",
            "correct autoboot.txt",
        ),
        (
            |b| b.firmware("autoboot.txt/file", b"x"),
            "R-FW-4",
            "correct autoboot.txt",
        ),
        (
            |b| b.firmware("autoboot.txt", b"boot_partition=9\n"),
            "R-FW-1",
            "let boot_partition in autoboot.txt",
        ),
        (
            |b| b.spec.config_txt.push_str("initramfs gone\n"),
            "R-FW-5",
            "copy each initramfs",
        ),
        (
            |b| b.firmware("cmdline.txt/file", b"x"),
            "R-FW-5",
            "let the file of the command line",
        ),
        (
            |b| b.firmware("uboot.env/file", b"x"),
            "R-FW-8",
            "write uboot.env again",
        ),
        (
            |b| {
                b.spec.config_txt.push_str("include more.txt\n");
                b.firmware("more.txt", b"[pi3\n");
            },
            "R-FW-4",
            "correct the file that config.txt includes",
        ),
        (
            |b| b.firmware("u-boot.bin", b"<html>"),
            "R-FW-5",
            "download the boot loader again",
        ),
        (
            |b| b.firmware("u-boot.bin", b"404: Not Found"),
            "R-FW-5",
            "copy the boot loader",
        ),
        (
            |b| b.firmware("start.elf", &[0; 512]),
            "R-FW-3",
            "copy bootcode.bin",
        ),
        (
            |b| b.esp("ubootefi.var/file", b"x"),
            "R-VAR-1",
            "remove ubootefi.var",
        ),
        (
            |b| b.esp("netboot-image.toml/file", b"x"),
            "R-MAN-1",
            "correct netboot-image.toml",
        ),
    ];
    for (number, (change, rule, remedy)) in cases.iter().enumerate() {
        let mut bench = Bench::new();
        change(&mut bench);
        let found = verified(&bench.prebuilt(), &ANY).violations;
        assert!(!found.is_empty(), "case {number}");
        for violation in found {
            assert_eq!(&violation.rule, rule, "case {number}: {violation}");
            assert!(violation.remedy.starts_with(remedy), "{violation}");
        }
    }
}

#[test]
fn an_empty_image_is_called_empty() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let found = verified(file.path(), &ANY).violations;
    insta::assert_snapshot!(found[0], @"R-DISK-1 byte 0: the image is empty: it has 0 bytes; get the image again; it was cut off or is no disk image");
}

#[test]
fn a_partition_that_is_not_looked_into_is_called_so() {
    let bench = Bench::new();
    let shown = |image: &Path| inspect(&source::open(image).unwrap()).unwrap().to_string();
    let image = bench.prebuilt();
    let write = |bytes: &[u8], at| {
        let file = File::options().write(true).open(&image).unwrap();
        file.write_all_at(bytes, at).unwrap();
    };
    // The EFI system partition gets a type that no FAT has.
    write(&[0x83], 446 + 16 + 4);
    assert!(shown(&image).contains("no ext2, ext3 or ext4; no other file system is looked for"));
    write(&[0xef], 446 + 16 + 4);
    write(&[0; 512], 8 << 20);
    assert!(shown(&image).contains("no FAT file system that can be read"));
    // The third partition ends behind the disk.
    write(&[0xff, 0xff, 0xff, 0], 446 + 32 + 12);
    assert!(shown(&image).contains("not looked into, since the partition table is faulty"));
}

/// A boot script of U-Boot with this text: the header of 64 bytes and the text's length are not looked at.
fn boot_script(text: &str) -> Vec<u8> {
    [&[0x27, 0x05, 0x19, 0x56][..], &[0; 68], text.as_bytes()].concat()
}

/// An image with one FAT partition and no EFI system partition.
fn without_esp(bench: &mut Bench) -> PathBuf {
    bench.spec.esp_files.clear();
    let image = bench.prebuilt();
    let esp_type = 446 + 16 + 4;
    let file = File::options().write(true).open(&image).unwrap();
    file.write_all_at(&[0x83], esp_type).unwrap();
    image
}

#[test]
fn images_that_boot_by_a_script_of_their_own_are_accepted_and_named() {
    let mut bench = Bench::new();
    let script = "load mmc 0:1 ${kernel_addr_r} efi/tools/snp.efi\nbootefi ${kernel_addr_r}\n";
    bench.firmware("boot.scr", &boot_script(script));
    bench.firmware("efi/tools/snp.efi", &ipxe(0xaa64, "DNS\0HTTPS\0"));
    let image = without_esp(&mut bench);
    let found = verified(&image, &ANY);
    assert_eq!(
        (found.kind, found.violations),
        (Some(ImageKind::Prebuilt), vec![])
    );
    insta::assert_snapshot!(found.notes.join("\n"), @"it boots by a script of its own: iPXE is /efi/tools/snp.efi, started by boot.scr; without an EFI system partition U-Boot keeps no EFI variables, so that iPXE can be given no trust: boots over HTTP by DHCP can be tried, boots over HTTPS cannot");
    let shown = inspect(&source::open(&image).unwrap()).unwrap();
    assert_eq!(shown.ipxe.unwrap().path, "/efi/tools/snp.efi");

    // Without EFI variables there is no trust, but DHCP needs none.
    let output = bench.directory.path().join("netboot.img");
    let given = source::open(&image).unwrap();
    let refused = provision::provision(&given, &boot(), None, &output).unwrap_err();
    assert!(
        refused.to_string().contains("no EFI system partition"),
        "{refused}"
    );
    provision::provision(&given, &BootSource::Dhcp, None, &output).unwrap();
    let netboot = verified(&output, &ANY);
    assert_eq!(
        (netboot.kind, netboot.violations),
        (Some(ImageKind::Netboot), vec![])
    );
}

#[test]
fn another_loader_in_front_of_ipxe_is_named() {
    let mut bench = Bench::new();
    bench.esp(
        prebuilt::EFI_BOOT_FILE,
        &[&ipxe(0xaa64, "")[..128], b"GRUB"].concat(),
    );
    let found = verified(&bench.prebuilt(), &ANY);
    let what: Vec<_> = found
        .violations
        .iter()
        .map(|v| format!("{} {}", v.rule, v.what))
        .collect();
    assert!(
        what.contains(&"R-IPXE-3 it is GRUB, and no iPXE is on the partition".into()),
        "{what:?}"
    );
    bench.esp("EFI/ipxe/snp.efi", &ipxe(0xaa64, "DNS\0HTTPS\0"));
    let found = verified(&bench.prebuilt(), &ANY);
    assert_eq!(found.violations, []);
    assert!(
        found.notes[0].contains("/EFI/ipxe/snp.efi, behind GRUB"),
        "{:?}",
        found.notes
    );
}

#[test]
fn an_operating_systems_image_is_called_one() {
    let mut bench = Bench::new();
    bench.firmware(
        "cmdline.txt",
        b"console=serial0,115200 root=PARTUUID=5671f673-02 rootwait",
    );
    let image = without_esp(&mut bench);
    let found = verified(&image, &ANY);
    assert!(found.violations.iter().any(|v| v.rule == "R-ESP-1"));
    insta::assert_snapshot!(found.notes.join("\n"), @"this is an operating system's image without iPXE (cmdline.txt in partition 1 has root=PARTUUID=5671f673-02): it boots itself, and not from a boot server; nothing of it can be tried here");
    let shown = inspect(&source::open(&image).unwrap()).unwrap();
    assert!(
        shown
            .problems
            .iter()
            .any(|line| line.contains("operating system"))
    );
}

#[test]
fn what_is_wrong_with_a_partition_table_is_told_by_its_rule() {
    let entry = |number: u64| 446 + 16 * (number - 1);
    let esp_type = entry(2) + 4;
    let cases: &[(u64, &[u8], &[&str])] = &[
        (510, &[0], &["R-TABLE-1"]),
        // Its iPXE is found all the same; see `images_that_boot_by_a_script_of_their_own`.
        (esp_type, &[0x0c], &[]),
        (
            entry(3) + 4,
            &[0xef],
            &["R-ESP-1", "R-CACHE-1", "R-CACHE-2"],
        ),
        (entry(1) + 4, &[0x83], &["R-FW-1"]),
        (entry(3) + 12, &[0xff, 0xff, 0xff, 0], &["R-TABLE-2"]),
        (entry(3) + 8, &[1], &["R-TABLE-2", "R-TABLE-7", "R-CACHE-3"]),
        (4 << 20, &[0; 512], &["R-FW-1"]),
        (8 << 20, &[0; 512], &["R-ESP-2"]),
    ];
    let bench = Bench::new();
    for (at, bytes, expected) in cases {
        let image = bench.prebuilt();
        let file = File::options().write(true).open(&image).unwrap();
        file.write_all_at(bytes, *at).unwrap();
        assert_eq!(&rules(&image), expected, "byte {at}");
    }
    let image = bench.prebuilt();
    let file = File::options().write(true).open(&image).unwrap();
    file.set_len((512 << 20) - 1).unwrap();
    assert_eq!(rules(&image), ["R-DISK-1", "R-TABLE-2"]);
}

#[test]
fn what_is_wrong_with_an_identity_is_told_by_its_rule() {
    let bench = Bench::new();
    let netboot = bench.netboot(&boot());
    let good = script(&netboot);
    let with_script = |text: &str| {
        put(&netboot, "autoexec.ipxe", text.as_bytes());
        rules(&netboot)
    };
    let key = hex::encode(PKI.client.key_pkcs8_der().secret_pkcs8_der());
    let unknown = hex::encode(UNKNOWN_CA.key_pkcs8_der().secret_pkcs8_der());
    assert_eq!(
        with_script(good.trim_start_matches("#!ipxe\n")),
        ["R-SCRIPT-1"]
    );
    assert_eq!(
        with_script(&good.replace("ping ", "sleep 5 ||\nping ")),
        ["R-SCRIPT-2"]
    );
    assert_eq!(with_script(&good.replace(&key, &unknown)), ["R-ID-2"]);
    assert_eq!(with_script(&good.replace(&key, &key[..100])), ["R-ID-1"]);
    assert_eq!(with_script(&good.replace(&key, "no hex")), ["R-ID-1"]);
    assert_eq!(
        with_script(&good.replace("set cert", "set tree")),
        ["R-ID-1"]
    );
    assert_eq!(with_script(&good), [""; 0]);

    put(&netboot, "copy.txt", &key.as_bytes()[1000..1500]);
    assert_eq!(rules(&netboot), ["R-ID-4"]);
    put(&netboot, "copy.txt", b"");
    let later = VerifyOptions {
        now: UNIX_EPOCH + Duration::from_secs(140 * 365 * 86_400),
        ..ANY
    };
    let late = verified(&netboot, &later).violations;
    assert_eq!(
        late.iter().map(|v| v.rule).collect::<Vec<_>>(),
        ["R-ID-3", "R-TRUST-2"]
    );
}

#[test]
fn what_is_wrong_with_trust_is_told_by_its_rule() {
    let mut bench = Bench::new();
    let trusting = |der: &[u8], bench: &Bench| rules(&bench.netboot(&boot_trusting(der)));
    assert_eq!(trusting(b"no certificate", &bench), ["R-TRUST-1"]);
    assert_eq!(
        trusting(PKI.client.certificate_der(), &bench),
        ["R-TRUST-1"]
    );
    let mut params = rcgen::CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let young = params
        .self_signed(&rcgen::KeyPair::generate().unwrap())
        .unwrap();
    // rcgen's own choice is an ECDSA key, which iPXE does not know.
    assert_eq!(trusting(young.der(), &bench), ["R-TRUST-1", "R-TRUST-2"]);

    let netboot = bench.netboot(&boot());
    put(&netboot, "ubootefi.var", b"");
    assert_eq!(rules(&netboot), ["R-VAR-1", "R-TRUST-1"]);
    bench.esp(prebuilt::EFI_BOOT_FILE, &ipxe(0xaa64, "HTTP\0"));
    assert_eq!(rules(&bench.netboot(&boot())), ["R-IPXE-4"]);
}

#[test]
fn an_inspection_shows_everything_but_the_key() {
    let bench = Bench::new();
    let netboot = bench.netboot(&boot());
    let found = inspect(&source::open(&netboot).unwrap()).unwrap();
    let text = found.to_string();
    let json = serde_json::to_string(&found).unwrap();
    // The first quarter of a key is in its certificate, too.
    let key = PKI.client.key_pkcs8_der().secret_pkcs8_der();
    let private = &key[key.len().div_ceil(4)..];
    for shown in [&text, &json] {
        for known in [
            "1.21.1+git",
            "HTTPS",
            "U-Boot 2025.01 (today)",
            "bcm2837-rpi-3-b-plus.dtb",
            "https://boot.example",
            &PKI.client.fingerprint().to_string(),
            "/config.txt",
            "enable_uart=1",
        ] {
            assert!(shown.contains(known), "{known} in {shown}");
        }
        for piece in private.chunks_exact(16) {
            assert!(!shown.contains(&hex::encode(piece)));
        }
    }
    assert_eq!(found.problems, [""; 0]);
    let prebuilt = inspect(&source::open(&bench.prebuilt()).unwrap()).unwrap();
    assert!(prebuilt.netboot.is_none() && prebuilt.to_string().contains("no boot script"));
}
