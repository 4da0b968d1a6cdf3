//! Images that other tools made: read here, provisioned here, and then looked at by those tools again.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use shakedown_image::fat::{self, FatKind};
use shakedown_image::partitions::{Partition, Scheme};
use shakedown_image::script;
use shakedown_image::survey::Level;
use shakedown_image::{Disk, manifest};

use crate::memory;
use crate::ours::{accepted, mtools_read};
use crate::parts;
use crate::tools::{run, run_with, text, trial};

const MIB: u64 = 1 << 20;
/// What the check of a volume may take: its cache of 32 MiB, and a bit for every cluster.
const MEMORY: usize = 48 << 20;
const TOOLS: &[&str] = &[
    "sfdisk",
    "sgdisk",
    "mkfs.vfat",
    "fsck.vfat",
    "mcopy",
    "mmd",
    "mdel",
    "mkfs.ext4",
    "e2fsck",
    "dd",
];

/// How a table is written.
#[derive(Clone, Copy)]
enum Table {
    /// A script for `sfdisk`.
    Sfdisk(&'static str),
    /// Arguments of `sgdisk`, with spaces between them.
    Sgdisk(&'static [&'static str]),
}

/// A FAT file system and where it is, in MiB.
#[derive(Clone, Copy)]
struct Volume {
    start: u64,
    size: u64,
    /// Arguments of `mkfs.vfat`.
    options: &'static [&'static str],
    kind: FatKind,
}

/// How an image is made.
#[derive(Clone, Copy)]
struct Recipe {
    name: &'static str,
    /// MiB of the whole disk.
    size: u64,
    table: Table,
    scheme: Scheme,
    firmware: Volume,
    esp: Volume,
    /// Start and size in MiB of the cache partition.
    cache: Option<(u64, u64)>,
    /// Where iPXE is.
    ipxe: &'static str,
    /// Whether iPXE's file must be in many pieces.
    fragmented: bool,
}

const fn fat16(start: u64, size: u64) -> Volume {
    Volume {
        start,
        size,
        options: &["-F", "16"],
        kind: FatKind::Fat16,
    }
}

const THREE: &str = "label: dos\nstart=4MiB, size=64MiB, type=c\nstart=68MiB, size=64MiB, type=ef\nstart=132MiB, type=83\n";

const GPT: &str = "-n 1:4M:+64M -t 1:0700 -n 2:68M:+64M -t 2:ef00 -n 3:132M:+300M -t 3:8300";

/// The usual image; the recipes below differ from it.
const USUAL: Recipe = Recipe {
    name: "fat16",
    size: 512,
    table: Table::Sfdisk(THREE),
    scheme: Scheme::Mbr,
    firmware: fat16(4, 64),
    esp: fat16(68, 64),
    cache: Some((132, 380)),
    ipxe: "EFI/BOOT/BOOTAA64.EFI",
    fragmented: false,
};

const RECIPES: &[Recipe] = &[
    USUAL,
    Recipe {
        name: "clusters_of_4_kib",
        firmware: Volume {
            options: &["-F", "16", "-s", "8"],
            ..fat16(4, 64)
        },
        esp: Volume {
            options: &["-F", "16", "-s", "8"],
            ..fat16(68, 64)
        },
        ..USUAL
    },
    Recipe {
        name: "esp_fat12",
        table: Table::Sfdisk(
            "label: dos\nstart=4MiB, size=64MiB, type=c\nstart=68MiB, size=4MiB, type=ef\n",
        ),
        esp: Volume {
            start: 68,
            size: 4,
            options: &["-F", "12", "-s", "8"],
            kind: FatKind::Fat12,
        },
        cache: None,
        ..USUAL
    },
    Recipe {
        name: "fat32_on_8_gib",
        size: 8192,
        table: Table::Sfdisk(
            "label: dos\nstart=4MiB, size=512MiB, type=c\nstart=516MiB, size=512MiB, type=ef\nstart=1028MiB, type=83\n",
        ),
        firmware: Volume {
            start: 4,
            size: 512,
            options: &["-F", "32"],
            kind: FatKind::Fat32,
        },
        esp: Volume {
            start: 516,
            size: 512,
            options: &["-F", "32"],
            kind: FatKind::Fat32,
        },
        cache: Some((1028, 7164)),
        ..USUAL
    },
    Recipe {
        name: "esp_of_7_gib_with_the_smallest_clusters",
        size: 8192,
        table: Table::Sfdisk(
            "label: dos\nstart=4MiB, size=64MiB, type=c\nstart=68MiB, size=7168MiB, type=ef\n",
        ),
        esp: Volume {
            start: 68,
            size: 7168,
            options: &["-F", "32", "-s", "1"],
            kind: FatKind::Fat32,
        },
        cache: None,
        ..USUAL
    },
    Recipe {
        name: "esp_first",
        table: Table::Sfdisk(
            "label: dos\nstart=4MiB, size=64MiB, type=ef\nstart=68MiB, size=64MiB, type=c\nstart=132MiB, type=83\n",
        ),
        firmware: fat16(68, 64),
        esp: fat16(4, 64),
        ..USUAL
    },
    Recipe {
        name: "esp_last",
        table: Table::Sfdisk(
            "label: dos\nstart=4MiB, size=64MiB, type=c\nstart=68MiB, size=380MiB, type=83\nstart=448MiB, size=64MiB, type=ef\n",
        ),
        esp: fat16(448, 64),
        cache: Some((68, 380)),
        ..USUAL
    },
    Recipe {
        name: "esp_in_an_extended_partition",
        table: Table::Sfdisk(
            "label: dos\nstart=4MiB, size=64MiB, type=c\nstart=68MiB, type=5\n\
             start=70MiB, size=64MiB, type=ef\nstart=136MiB, size=300MiB, type=83\n",
        ),
        esp: fat16(70, 64),
        cache: Some((136, 300)),
        ..USUAL
    },
    Recipe {
        name: "gpt",
        table: Table::Sgdisk(&[GPT]),
        scheme: Scheme::Gpt,
        cache: Some((132, 300)),
        ..USUAL
    },
    Recipe {
        name: "hybrid",
        table: Table::Sgdisk(&[GPT, "-h 1:EE"]),
        scheme: Scheme::Hybrid,
        cache: Some((132, 300)),
        ..USUAL
    },
    Recipe {
        name: "ipxe_in_many_pieces",
        fragmented: true,
        ..USUAL
    },
    Recipe {
        name: "boot_script_starts_snp_efi",
        ipxe: "efi/tools/snp.efi",
        ..USUAL
    },
];

pub(crate) fn trials() -> Vec<Trial> {
    let trial_of = |recipe: &Recipe| {
        let recipe = *recipe;
        trial(&format!("foreign::{}", recipe.name), TOOLS, move || {
            provisioned(&recipe)
        })
    };
    RECIPES.iter().map(trial_of).collect()
}

/// Makes the image, reads it, provisions a copy, and shows that to the tools.
fn provisioned(recipe: &Recipe) {
    let directory = tempfile::tempdir().unwrap();
    let prebuilt = make(recipe, directory.path());
    let disk = Disk::open(&prebuilt).unwrap();
    assert_eq!(disk.table.faults, []);
    assert_eq!(disk.table.scheme, recipe.scheme);
    let esp = disk.esp().unwrap();
    assert_eq!(esp.bytes(), window(&recipe.esp));
    let firmware = partition_at(&disk, &recipe.firmware);
    is_read(&disk, firmware, &recipe.firmware, &parts::firmware_files());
    is_read(&disk, esp, &recipe.esp, &esp_files(recipe));

    let netboot = directory.path().join("netboot.img");
    parts::provision(&prebuilt, &netboot).unwrap();
    conforms(&prebuilt);
    conforms(&netboot);
    accepted(&netboot, directory.path());
    for (path, contents) in esp_files(recipe) {
        let read = mtools_read(&netboot, esp.bytes().start, path, directory.path());
        assert!(read == contents, "{path} has changed");
    }
    let written = mtools_read(
        &netboot,
        esp.bytes().start,
        script::FILE_NAME,
        directory.path(),
    );
    let expected = script::autoexec(&parts::boot_source(), None);
    assert_eq!(String::from_utf8(written).unwrap(), expected);
    only_changed_in(&prebuilt, &netboot, &esp.bytes());
    is_made_for_rom(&prebuilt, recipe.scheme);
}

/// The ROM of a Raspberry Pi 3 wants an MBR entry with a FAT type. sgdisk has none to give; what the rule says to do helps.
fn is_made_for_rom(image: &Path, scheme: Scheme) {
    assert_eq!(parts::is_found_by_rom(image), scheme == Scheme::Mbr);
    if scheme == Scheme::Hybrid {
        let remedy = [
            "-q",
            "--label-nested",
            "dos",
            "--part-type",
            text(image),
            "1",
            "c",
        ];
        run("sfdisk", &remedy);
        assert!(parts::is_found_by_rom(image));
        conforms(image);
    }
}

/// No rule of the specification that binds is broken.
fn conforms(image: &Path) {
    let broken = parts::violations(image).unwrap();
    let binding: Vec<_> = broken.iter().filter(|v| v.level == Level::Must).collect();
    assert!(binding.is_empty(), "{}: {binding:#?}", image.display());
}

fn window(volume: &Volume) -> Range<u64> {
    volume.start * MIB..(volume.start + volume.size) * MIB
}

fn partition_at<'a>(disk: &'a Disk, volume: &Volume) -> &'a Partition {
    let mut all = disk.table.partitions.iter();
    all.find(|p| p.bytes() == window(volume)).unwrap()
}

fn esp_files(recipe: &Recipe) -> Vec<(&'static str, Vec<u8>)> {
    let mut files = vec![(recipe.ipxe, parts::ipxe(parts::AARCH64, 300_000))];
    if recipe.ipxe != USUAL.ipxe {
        let manifest = format!("specification = 1\nipxe = \"/{}\"\n", recipe.ipxe);
        files.push((manifest::FILE_NAME, manifest.into_bytes()));
        files.push(("boot.scr", boot_script(recipe.ipxe)));
    }
    files
}

/// The volume has no finding at all, and its files are what was put in.
fn is_read(disk: &Disk, partition: &Partition, volume: &Volume, files: &[(&str, Vec<u8>)]) {
    let check = || fat::check(disk.file(), &partition.bytes()).unwrap();
    let (report, memory) = memory::peak(check);
    assert!(memory < MEMORY, "the check takes {memory} bytes");
    assert_eq!(report.findings, []);
    assert_eq!(report.kind, Some(volume.kind));
    let volume = disk.volume(partition).unwrap();
    for (path, contents) in files {
        let read = volume.read(path, 1 << 20).unwrap();
        assert!(read == *contents, "{path} is read as something else");
    }
}

/// Outside of `window` two images are the same. Of large ones the first GiB is compared.
fn only_changed_in(one: &Path, other: &Path, window: &Range<u64>) {
    let sizes = [one, other].map(|path| path.metadata().unwrap().len());
    assert_eq!(sizes[0], sizes[1]);
    let mut files = [one, other].map(|path| File::open(path).unwrap());
    let mut buffers = [vec![0; MIB as usize], vec![0; MIB as usize]];
    for start in (0..sizes[0].min(1 << 30)).step_by(MIB as usize) {
        for (file, buffer) in files.iter_mut().zip(&mut buffers) {
            file.read_exact(buffer).unwrap();
        }
        let inside = window.contains(&start);
        assert!(inside || buffers[0] == buffers[1], "differ at byte {start}");
    }
}

fn make(recipe: &Recipe, directory: &Path) -> PathBuf {
    let image = directory.join("prebuilt.img");
    File::create(&image)
        .unwrap()
        .set_len(recipe.size * MIB)
        .unwrap();
    match recipe.table {
        Table::Sfdisk(script) => {
            run_with("sfdisk", &["-q", text(&image)], script);
        }
        Table::Sgdisk(arguments) => {
            let arguments = arguments.iter().flat_map(|words| words.split(' '));
            let arguments: Vec<&str> = arguments.chain([text(&image)]).collect();
            run("sgdisk", &arguments);
        }
    }
    for volume in [&recipe.firmware, &recipe.esp] {
        let sectors = (volume.start * MIB / 512).to_string();
        let blocks = (volume.size * 1024).to_string();
        let place = ["--offset", &sectors, "-h", &sectors, text(&image), &blocks];
        run("mkfs.vfat", &[volume.options, &place].concat());
    }
    fill(
        &image,
        &recipe.firmware,
        &parts::firmware_files(),
        directory,
    );
    if recipe.fragmented {
        leave_gaps(&image, &recipe.esp, directory);
    }
    fill(&image, &recipe.esp, &esp_files(recipe), directory);
    if let Some((start, size)) = recipe.cache {
        let offset = format!("offset={}", start * MIB);
        let size = format!("{size}M");
        run(
            "mkfs.ext4",
            &[
                "-q",
                "-F",
                "-L",
                "B2C_CACHE",
                "-E",
                &offset,
                text(&image),
                &size,
            ],
        );
    }
    image
}

/// Copies files into a volume with mtools.
fn fill(image: &Path, volume: &Volume, files: &[(&str, Vec<u8>)], directory: &Path) {
    let at = format!("{}@@{}", text(image), volume.start * MIB);
    let source = directory.join("source");
    let mut made: Vec<&str> = Vec::new();
    for (path, contents) in files {
        let ends = path.match_indices('/').map(|(end, _)| end);
        for folder in ends.map(|end| &path[..end]) {
            if !made.contains(&folder) {
                run("mmd", &["-i", &at, &format!("::/{folder}")]);
                made.push(folder);
            }
        }
        std::fs::write(&source, contents).unwrap();
        run("mcopy", &["-i", &at, text(&source), &format!("::/{path}")]);
    }
}

/// Fills a volume with small files and removes every other one.
fn leave_gaps(image: &Path, volume: &Volume, directory: &Path) {
    let at = format!("{}@@{}", text(image), volume.start * MIB);
    let sources: Vec<PathBuf> = (0..120)
        .map(|number| directory.join(format!("gap{number:03}.bin")))
        .collect();
    for source in &sources {
        std::fs::write(source, [7; 5000]).unwrap();
    }
    let sources: Vec<&str> = sources.iter().map(|path| text(path)).collect();
    run("mcopy", &[&["-i", &at], &sources[..], &["::/"]].concat());
    let gaps: Vec<String> = (0..120)
        .step_by(2)
        .map(|number| format!("::/gap{number:03}.bin"))
        .collect();
    let gaps: Vec<&str> = gaps.iter().map(String::as_str).collect();
    run("mdel", &[&["-i", &at], &gaps[..]].concat());
}

/// A script for U-Boot that loads and starts an EFI binary, in U-Boot's legacy image format: a header of 64 bytes with two
/// checksums, and the length of the text in front of it.
fn boot_script(ipxe: &str) -> Vec<u8> {
    let text = format!(
        "load ${{devtype}} ${{devnum}}:${{distro_bootpart}} ${{kernel_addr_r}} {ipxe}\nbootefi ${{kernel_addr_r}} ${{fdtcontroladdr}}\n"
    );
    let mut data = (text.len() as u32).to_be_bytes().to_vec();
    data.extend([0; 4]);
    data.extend(text.as_bytes());
    let mut header = [0_u8; 64];
    header[..4].copy_from_slice(&0x2705_1956_u32.to_be_bytes());
    header[12..16].copy_from_slice(&(data.len() as u32).to_be_bytes());
    header[24..28].copy_from_slice(&crc32fast::hash(&data).to_be_bytes());
    // Linux, 64-bit ARM, a script, not compressed.
    header[28..32].copy_from_slice(&[5, 22, 6, 0]);
    let sum = crc32fast::hash(&header);
    header[4..8].copy_from_slice(&sum.to_be_bytes());
    [&header[..], &data].concat()
}
