//! Boot partitions as distributions lay them out, and what a board makes of them. Written from their layout: the settings that count, and
//! files that have the marks of the real ones.

use std::collections::BTreeMap;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;

use super::*;
use crate::Disk;
use crate::source;
use crate::survey::{VerifyOptions, verify};

const LAYOUTS: &[(&str, &str)] = &[
    (
        "Raspberry Pi OS 12",
        include_str!("layouts/raspberry-pi-os-12.toml"),
    ),
    (
        "Raspberry Pi OS 11, 32 bits",
        include_str!("layouts/raspberry-pi-os-11-32-bit.toml"),
    ),
    ("Ubuntu 22.04", include_str!("layouts/ubuntu-22.04.toml")),
    (
        "Ubuntu 20.04",
        include_str!("layouts/ubuntu-20.04-u-boot.toml"),
    ),
    ("Alpine", include_str!("layouts/alpine.toml")),
    ("Fedora", include_str!("layouts/fedora.toml")),
    ("NixOS", include_str!("layouts/nixos.toml")),
    ("OpenWrt", include_str!("layouts/openwrt.toml")),
    (
        "the port of 2023",
        include_str!("layouts/port-of-2023.toml"),
    ),
    ("UEFI", include_str!("layouts/uefi.toml")),
];

/// A layout and what comes of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Layout {
    /// The file that is started.
    starts: Option<String>,
    /// The RAM file system that is handed over.
    initramfs: Option<String>,
    /// The rule that it breaks.
    refused: Option<String>,
    config: String,
    /// What a file is: a kind, or its contents.
    files: BTreeMap<String, String>,
}

/// An Image for 64-bit ARM, as far as its header.
fn image() -> Vec<u8> {
    let mut image = vec![0; 64];
    image[..2].copy_from_slice(b"MZ");
    image[0x38..0x3c].copy_from_slice(b"ARM\x64");
    image
}

fn contents(kind: &str) -> Vec<u8> {
    let tree = |model: BoardModel| device_tree(model.compatible());
    match kind {
        "arm64" => U_BOOT.to_vec(),
        "arm64 with a tree for a 3b+" => [U_BOOT, &tree(BoardModel::Pi3BPlus)].concat(),
        "arm32" => vec![0xb8, 0, 0, 0xea],
        "image" => image(),
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            std::io::Write::write_all(&mut encoder, &image()).unwrap();
            encoder.finish().unwrap()
        }
        "3b" => tree(BoardModel::Pi3B),
        "3b+" => tree(BoardModel::Pi3BPlus),
        text => text.as_bytes().to_vec(),
    }
}

#[test]
fn layouts_of_distributions_start_what_they_start_on_a_board() {
    let mut said = String::new();
    for (name, text) in LAYOUTS {
        let layout: Layout = toml::from_str(text).unwrap();
        let files: Vec<_> = layout
            .files
            .iter()
            .map(|(path, kind)| (path, contents(kind)))
            .collect();
        let files: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(path, c)| (path.as_str(), &c[..]))
            .collect();
        let directory = built(&layout.config, &FIRMWARE, &files, Scheme::Mbr);
        let disk = Disk::open(&directory.path().join("disk.img")).unwrap();
        for model in BoardModel::ALL {
            let hardware = Hardware {
                model: *model,
                serial: 1,
            };
            let found = evaluate(&disk, &hardware);
            let stops: Vec<_> = found
                .stops
                .iter()
                .map(|(_, error)| error.to_string())
                .collect();
            assert_eq!(
                stops.is_empty(),
                layout.refused.is_none(),
                "{name}: {stops:?}"
            );
            if layout.refused.is_none() {
                assert_eq!(found.kernel.map(|file| file.name), layout.starts, "{name}");
                assert_eq!(
                    found.initramfs.map(|file| file.name),
                    layout.initramfs,
                    "{name}"
                );
            }
            said.push_str(&format!("{name} on a {model}\n"));
            for line in stops.iter().chain(&found.notes) {
                said.push_str(&format!("    {line}\n"));
            }
        }
        let options = VerifyOptions {
            models: BoardModel::ALL,
            rom_reads_mbr_only: true,
            now: std::time::UNIX_EPOCH,
        };
        let opened = source::open(&directory.path().join("disk.img")).unwrap();
        let verified = verify(&opened, &options).unwrap();
        let broken = |rule: &String| verified.violations.iter().any(|v| v.rule == rule);
        assert!(
            layout.refused.as_ref().is_none_or(broken),
            "{name}: {:?}",
            verified.violations
        );
    }
    insta::assert_snapshot!("layouts", said);
}

/// `verify` and a start are the same evaluation: what one calls broken, the other refuses.
#[test]
fn verify_and_start_agree_on_sixty_images() {
    let configs = [
        BASE,
        "kernel=k\narm_64bit=1",
        "kernel=k\nenable_uart=1",
        "\u{feff}arm_64bit=1\nkernel=k\nenable_uart=1",
        "kernel=k\rarm_64bit=1\r",
        "kernel=k # x\narm_64bit=1\nenable_uart=1",
        "kernel=k\narm_64bit=1\nenable_uart=1\ndtoverlay=disable-bt",
        "kernel=k\narm_64bit=1\ndtoverlay=disable-bt",
        "kernel=k\narm_64bit=1\nenable_uart=1\ninitramfs i 0",
        "kernel=k\narm_64bit=1\nenable_uart=1\ngpu_mem=16",
        "kernel=k\narm_64bit=1\nenable_uart=1\narmstub=s",
        "[pi3",
    ];
    let (tree, other) = (
        device_tree(PI3B.model.compatible()),
        device_tree("pine64,pine64"),
    );
    let fillings: [Vec<(&str, &[u8])>; 5] = [
        vec![("k", U_BOOT), ("bcm2710-rpi-3-b.dtb", &tree)],
        vec![("k", U_BOOT), ("bcm2710-rpi-3-b.dtb", &other)],
        vec![
            ("k", &[0xb8, 0, 0, 0xea]),
            ("bcm2710-rpi-3-b.dtb", &tree),
            ("i", b"i"),
        ],
        vec![
            ("bcm2710-rpi-3-b.dtb", &tree),
            ("start_cd.elf", b"s"),
            ("fixup_cd.dat", b"f"),
        ],
        vec![
            ("k", U_BOOT),
            ("overlays/disable-bt.dtbo", &tree),
            ("i", b"i"),
            ("bcm2710-rpi-3-b.dtb", &tree),
        ],
    ];
    let options = VerifyOptions {
        models: &[BoardModel::Pi3B],
        rom_reads_mbr_only: true,
        now: std::time::UNIX_EPOCH,
    };
    let (mut images, mut started) = (0, 0);
    for config in configs {
        for files in &fillings {
            let directory = built(config, &FIRMWARE, files, Scheme::Mbr);
            let image = directory.path().join("disk.img");
            let verified = verify(&source::open(&image).unwrap(), &options).unwrap();
            // R-FW-2 and R-FW-8 are about the file system and U-Boot.
            let of_start =
                |rule: &str| rule.starts_with("R-FW-") && !matches!(rule, "R-FW-2" | "R-FW-8");
            let broken: Vec<_> = verified
                .violations
                .iter()
                .filter(|v| of_start(v.rule))
                .collect();
            let result = start(&image, &PI3B, directory.path());
            match &result {
                Ok(_) => assert!(broken.is_empty(), "{config:?}: {broken:?}"),
                Err(error) => assert!(
                    broken.iter().any(|v| v.what.contains(&error.to_string())),
                    "{config:?}: {error}, and {broken:?}"
                ),
            }
            images += 1;
            started += usize::from(result.is_ok());
        }
    }
    println!("{images} images, of which a board starts {started}");
    assert!(images == 60 && (5..30).contains(&started), "{started}");
}
