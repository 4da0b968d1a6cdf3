//! Single settings from real `config.txt` files, right and wrong, and how the firmware of both boards follows each.

use super::*;
use crate::Disk;

/// What makes an image start with U-Boot and a console, less the mode of the processor.
const REST: &str = "kernel=u-boot.bin\nenable_uart=1\n[pi3]\ndevice_tree=bcm2837-rpi-3-b.dtb\n[pi3+]\ndevice_tree=bcm2837-rpi-3-b-plus.dtb\n[all]\n";

/// A `config.txt` that starts, with some lines more.
fn with(more: &str) -> String {
    format!("arm_64bit=1\n{REST}{more}\n")
}

fn cases() -> Vec<(&'static str, String)> {
    let instead = |old: &str, new: &str| with("").replace(old, new);
    let padding = "x".repeat(98);
    vec![
        ("arm_control", format!("arm_control=0x200\n{REST}")),
        ("autoboot.txt", with("")),
        (
            "bookworm",
            with(
                "dtparam=audio=on\ncamera_auto_detect=1\nauto_initramfs=1\ndtoverlay=vc4-kms-v3d\nmax_framebuffers=2\narm_boost=1\n[cm4]\notg_mode=1\n[cm5]\ndtoverlay=dwc2,dr_mode=host\n[all]",
            ),
        ),
        (
            "boot-partition-filter",
            with(
                "[boot_partition=1]\ncmdline=cmdline-a.txt\n[boot_partition=2]\ncmdline=cmdline-b.txt\n[all]",
            ),
        ),
        (
            "caps",
            with("Kernel=other.bin\n[PI3]\nkernel=other2.bin\n[all]"),
        ),
        ("cr-only", with("").replace('\n', "\r")),
        ("disable-bt", with("dtoverlay=disable-bt")),
        ("dtoverlay-upstream", with("dtoverlay=upstream")),
        (
            "enable_uart-true",
            instead("enable_uart=1", "enable_uart=true"),
        ),
        (
            "gpu_mem_1024-16",
            with("gpu_mem_256=16\ngpu_mem_512=16\ngpu_mem_1024=16"),
        ),
        (
            "hdmi-filter",
            with("[HDMI:0]\nhdmi_group=2\n[all]\n[none]\nkernel=nothing.img\n[all]"),
        ),
        ("include-gpu_mem", with("include extra.txt")),
        ("initramfs-0x", with("initramfs=initrd.img followkernel")),
        (
            "initramfs-followkernel",
            with("initramfs initrd.img followkernel\n[all]\nramfsaddr=-1"),
        ),
        (
            "inline-comment",
            instead("arm_64bit=1", "arm_64bit=1 # 64 bit")
                .replace("enable_uart=1", "enable_uart=1 # console"),
        ),
        ("kernel-gzip", instead("u-boot.bin", "u-boot.gz")),
        (
            "long-comment",
            format!("# {padding}kernel=evil.bin\n{}", with("")),
        ),
        ("negative", with("over_voltage=-2\ncore_freq=-1")),
        ("no-64bit", REST.to_owned()),
        ("os_prefix-missing", with("os_prefix=current/")),
        (
            "pi3-disable-bt",
            instead("enable_uart=1\n", "") + "dtoverlay=pi3-disable-bt\n",
        ),
        (
            "quoted",
            with("force_turbo=1\" other text\ncore_freq=250 MHz"),
        ),
        (
            "slash-kernel",
            instead("kernel=", "kernel=/").replace("device_tree=", "device_tree=/"),
        ),
        ("space-eq", with("gpu_mem = 16")),
        (
            "ubuntu",
            with(
                "cmdline=cmdline.txt\n[pi4]\nmax_framebuffers=2\n[all]\ndtparam=i2c_arm=on\ndtparam=spi=on\n[pi3+]\ndtoverlay=vc4-kms-v3d,cma-128\n[pi02]\ndtoverlay=vc4-kms-v3d,cma-128\n[all]",
            ),
        ),
        ("utf8-bom", format!("\u{feff}{}", with(""))),
        ("kernel8-by-name", REST.replace("u-boot.bin", "kernel8.img")),
        ("include-large", with("include large.txt")),
        (
            "newer-filters",
            with(
                "[partition=2]\nkernel=other.bin\n[pi3]\nkernel=other.bin\n[all]\n[boot_arg1=5]\nkernel=other.bin\n[all]",
            ),
        ),
        (
            "utf16",
            with("")
                .encode_utf16()
                .flat_map(|unit| char::from_u32(unit.into()))
                .flat_map(|c| [c, '\0'])
                .collect(),
        ),
    ]
}

/// The snapshot says for every case and board what starts and with which files, or why nothing starts, and which notes the user reads.
#[test]
fn settings_of_people_are_followed_as_the_firmware_follows_them() {
    let trees = BoardModel::ALL.iter().map(|model| {
        (
            model.default_device_tree(true),
            device_tree(model.compatible()),
        )
    });
    let trees: Vec<_> = trees.collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, U_BOOT).unwrap();
    let packed = encoder.finish().unwrap();
    let overlay = dtoolkit::model::DeviceTree::new().to_dtb();
    let large = b"# nothing\n".repeat(7000);
    let mut said = String::new();
    for (name, config) in cases() {
        let mut files: Vec<(&str, &[u8])> = vec![
            ("u-boot.bin", U_BOOT),
            ("u-boot.gz", &packed),
            ("other.bin", b"other"),
            ("initrd.img", b"initrd"),
            ("extra.txt", b"gpu_mem=16\n"),
            ("cmdline-a.txt", b"a"),
            ("cmdline-b.txt", b"b"),
            ("overlays/disable-bt.dtbo", &overlay),
            ("start_cd.elf", b"cut down"),
            ("fixup_cd.dat", b"cut down"),
        ];
        match name {
            "kernel8-by-name" => files.push(("kernel8.img", U_BOOT)),
            "include-large" => files.push(("large.txt", &large)),
            _ => {}
        }
        if name == "autoboot.txt" {
            files.push((
                "autoboot.txt",
                b"[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n",
            ));
        }
        files.extend(trees.iter().map(|(path, tree)| (*path, &tree[..])));
        let directory = built(&config, &FIRMWARE, &files, Scheme::Mbr);
        let disk = Disk::open(&directory.path().join("disk.img")).unwrap();
        for model in BoardModel::ALL {
            let hardware = Hardware {
                model: *model,
                serial: 1,
            };
            let found = evaluate(&disk, &hardware);
            let name_of = |file: &Option<BootFile>| {
                file.as_ref()
                    .map_or("nothing".into(), |file| file.name.clone())
            };
            said.push_str(&format!("{name} on a {model}: "));
            match &found.stops[..] {
                [] => said.push_str(&format!(
                    "{}, {}, initramfs {}, command line {:?}, {:?} UART",
                    name_of(&found.kernel),
                    name_of(&found.device_tree),
                    name_of(&found.initramfs),
                    found.cmdline.unwrap_or_default(),
                    found.uart
                )),
                stops => {
                    let stops: Vec<_> = stops.iter().map(|(_, error)| error.to_string()).collect();
                    said.push_str(&format!("refused: {}", stops.join("; ")));
                }
            }
            said.push('\n');
            for note in &found.notes {
                let note = note.replace(&*directory.path().to_string_lossy(), "FOLDER");
                said.push_str(&format!("    {note}\n"));
            }
        }
    }
    insta::assert_snapshot!("cases", said);
}
