//! Makes a prebuilt image: firmware, boot loader and iPXE on a partitioned disk, without identity.
//!
//! Partition 1 (FAT16) is what the board's ROM and VideoCore firmware read, partition 2 (FAT16) is the EFI system partition,
//! partition 3 (ext4) is for boot2container's cache. Boards without such firmware have no partition for it; a ROM that reads a boot loader
//! from the bare disk finds it there. Equal inputs give equal bytes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::fat::{FatFormat, FatKind, FatVolume};
use super::guid::Guid;
use super::partitions::{SECTOR, Scheme};
use super::sparse::Output;
use super::{ImageError, Layout, Sizes, ext};

/// Where UEFI firmware looks for the boot loader of a removable disk on 64-bit ARM (UEFI specification, section 3.5.1.1); for others see
/// [`Architecture::efi_boot_file`](shakedown_base::architecture::Architecture::efi_boot_file).
pub const EFI_BOOT_FILE: &str = "EFI/BOOT/BOOTAA64.EFI";

/// What [`default_config_txt`] starts.
pub const BOOT_LOADER: &str = "u-boot.bin";

/// boot2container keeps container images in the file system with this label.
pub const CACHE_LABEL: &str = "B2C_CACHE";

/// A file of the host and its place in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path in the partition, separated by `/`.
    pub path: String,
    /// The file to copy.
    pub source: PathBuf,
}

impl SourceFile {
    /// `source`, to be copied to `path`.
    pub fn new(path: impl Into<String>, source: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            source: source.into(),
        }
    }
}

/// What is on the cache partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cache {
    /// Nothing: boot2container formats it on the first boot, if it does.
    #[default]
    Empty,
    /// An empty ext4 file system with the label that boot2container looks for.
    Ext4,
}

impl Cache {
    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Ext4 => "ext4",
        }
    }
}

/// What a prebuilt image is made of.
#[derive(Debug, Clone, Default)]
pub struct PrebuiltSpec {
    /// Sizes of disk and partitions.
    pub sizes: Sizes,
    /// The kind of partition table.
    pub scheme: Scheme,
    /// The disk's signature, from which the volumes have their serial numbers and a GPT its GUIDs.
    pub disk_signature: u32,
    /// Contents of `config.txt` on the firmware partition, where there is one.
    pub config_txt: String,
    /// The other files of the firmware partition: VideoCore firmware, boot loader, device trees.
    pub firmware_files: Vec<SourceFile>,
    /// The files of the EFI system partition: at least iPXE as the default boot loader, such as [`EFI_BOOT_FILE`].
    pub esp_files: Vec<SourceFile>,
    /// Files outside of the partitions, and the byte at which each begins.
    pub raw: Vec<(u64, PathBuf)>,
    /// What is on the cache partition.
    pub cache: Cache,
}

/// Makes the image `output`, replacing a file of that name at the very end.
///
/// # Errors
/// [`ImageError`] that names the file or partition concerned; `output` is then as it was.
pub fn build(spec: &PrebuiltSpec, output: &Path) -> Result<Layout, ImageError> {
    let layout = Layout::new(spec.sizes, spec.scheme)?;
    let image = Output::create(output, layout.disk, 0o666)?;
    let mut file = image.file();
    layout
        .table(spec.disk_signature)
        .write(&mut file)
        .map_err(ImageError::io("write", output))?;

    for (at, source) in &spec.raw {
        write_raw(file, *at, source, &layout, output)?;
    }
    let mut number = 1;
    if !layout.firmware.is_empty() {
        let firmware = format(file, &layout.firmware, spec, number, *b"FIRMWARE   ")
            .map_err(ImageError::fat(output, number))?;
        firmware
            .write("config.txt", spec.config_txt.as_bytes())
            .map_err(ImageError::fat(output, number))?;
        fill(firmware, &spec.firmware_files, output, number)?;
        number += 1;
    }

    let esp = format(file, &layout.esp, spec, number, *b"ESP        ")
        .map_err(ImageError::fat(output, number))?;
    fill(esp, &spec.esp_files, output, number)?;

    if spec.cache == Cache::Ext4 {
        let size = layout.cache.end - layout.cache.start;
        if size < ext::SMALLEST {
            let text = "a file system needs a cache partition of 16 MiB; make the disk larger, or leave it empty";
            return Err(ImageError::Sizes(text.into()));
        }
        let Guid(id) = Guid::derived(&format!(
            "shakedown {:08x} cache file system",
            spec.disk_signature
        ));
        ext::format(file, &layout.cache, CACHE_LABEL, id)
            .map_err(ImageError::io("write", output))?;
    }
    image.commit()?;
    Ok(layout)
}

/// The `config.txt` of a prebuilt image for Raspberry Pi 3B and 3B+.
#[must_use]
pub fn default_config_txt() -> String {
    format!(
        "\
# Read by the VideoCore firmware, which starts U-Boot; U-Boot starts iPXE from the EFI system partition.
arm_64bit=1
kernel={BOOT_LOADER}

# The mini UART's baud rate follows the core clock. This turns the UART on and fixes that clock
# (core_freq=250), without which its output is garbled.
enable_uart=1

# U-Boot and Linux are mainline, so are the device trees. A 3B+ reads the lines of [pi3], too.
[pi3]
device_tree=bcm2837-rpi-3-b.dtb
[pi3+]
device_tree=bcm2837-rpi-3-b-plus.dtb
[all]
"
    )
}

/// Copies a file to a place between the MBR and the first partition.
fn write_raw(
    image: &File,
    at: u64,
    source: &Path,
    layout: &Layout,
    output: &Path,
) -> Result<(), ImageError> {
    let contents = std::fs::read(source).map_err(ImageError::io("read", source))?;
    let first = match layout.firmware.is_empty() {
        true => layout.esp.start,
        false => layout.firmware.start,
    };
    let end = u64::try_from(contents.len())
        .ok()
        .and_then(|size| at.checked_add(size));
    if at < SECTOR || layout.has_gpt() || end.is_none_or(|end| end > first) {
        let text = format!(
            "{} does not fit between partition table and first partition",
            source.display()
        );
        return Err(ImageError::Sizes(text));
    }
    let written: io::Result<()> = image.write_all_at(&contents, at);
    written.map_err(ImageError::io("write", output))
}

fn format<'a>(
    image: &'a File,
    window: &Range<u64>,
    spec: &PrebuiltSpec,
    number: u32,
    label: [u8; 11],
) -> Result<FatVolume<&'a File>, super::fat::FatError> {
    let format = FatFormat {
        // FAT16 for both: there are boards that do not read FAT32.
        kind: FatKind::Fat16,
        volume_id: spec.disk_signature.wrapping_add(number),
        label,
    };
    FatVolume::format(image, window, &format)
}

/// Copies `files` into the volume and completes it.
fn fill(
    volume: FatVolume<&File>,
    files: &[SourceFile],
    output: &Path,
    partition: u32,
) -> Result<(), ImageError> {
    let failed = ImageError::fat(output, partition);
    for SourceFile { path, source } in files {
        let contents = File::open(source).map_err(ImageError::io("open", source))?;
        volume.write(path, contents).map_err(&failed)?;
    }
    volume.finish().map_err(&failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::Disk;
    use crate::config_txt::{self, BoardModel, Conditions, Hardware};

    fn spec(directory: &Path) -> PrebuiltSpec {
        let source = directory.join("source");
        std::fs::write(&source, vec![0x5a; 100_000]).unwrap();
        PrebuiltSpec {
            sizes: Sizes {
                disk: 64 << 20,
                firmware: 8 << 20,
                esp: 8 << 20,
            },
            scheme: Scheme::Mbr,
            disk_signature: 0x5eed_0000,
            config_txt: default_config_txt(),
            firmware_files: vec![
                SourceFile::new("start.elf", &source),
                SourceFile::new("overlays/a.dtbo", &source),
            ],
            esp_files: vec![SourceFile::new(EFI_BOOT_FILE, &source)],
            raw: vec![],
            cache: Cache::Ext4,
        }
    }

    #[test]
    fn a_board_without_firmware_files_has_its_boot_loader_before_the_partitions() {
        let directory = tempfile::tempdir().unwrap();
        let mut spec = spec(directory.path());
        let loader = spec.esp_files[0].source.clone();
        spec.sizes.firmware = 0;
        spec.raw = vec![(8 << 10, loader)];
        let path = directory.path().join("card.img");
        build(&spec, &path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[8 << 10..][..100_000], [0x5a; 100_000]);
        let disk = Disk::open(&path).unwrap();
        let [esp, cache] = &disk.table.partitions[..] else {
            panic!("{:?}", disk.table)
        };
        assert!(esp.kind.is_esp() && cache.kind.is_linux());
        assert_eq!(esp.bytes().start, 4 << 20);

        spec.raw[0].0 = (4 << 20) - 1;
        let error = build(&spec, &path).unwrap_err().to_string();
        assert!(error.contains("does not fit"), "{error}");
        spec.raw[0].0 = 8 << 10;
        spec.scheme = Scheme::Gpt;
        assert!(build(&spec, &path).is_err(), "a GPT lies there");
    }

    #[test]
    fn an_image_has_its_partitions_and_files_and_is_reproducible() {
        let directory = tempfile::tempdir().unwrap();
        let spec = spec(directory.path());
        let paths = ["one.img", "two.img"].map(|name| directory.path().join(name));
        for path in &paths {
            build(&spec, path).unwrap();
        }
        let bytes = std::fs::read(&paths[0]).unwrap();
        assert!(
            bytes == std::fs::read(&paths[1]).unwrap(),
            "two builds differ"
        );
        assert!(
            paths[0].metadata().unwrap().blocks() * 512 < 4 << 20,
            "the image is not sparse"
        );

        let disk = Disk::open(&paths[0]).unwrap();
        let [firmware, esp, cache] = &disk.table.partitions[..] else {
            panic!("{:?}", disk.table)
        };
        assert!(firmware.kind.is_fat() && esp.kind.is_esp() && cache.kind.is_linux());
        let files = |partition| {
            let volume = disk.volume(partition).unwrap();
            assert_eq!(volume.kind(), FatKind::Fat16);
            volume
                .list()
                .unwrap()
                .into_iter()
                .map(|(path, _)| path)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            files(firmware),
            ["/config.txt", "/start.elf", "/overlays/a.dtbo"]
        );
        assert_eq!(files(esp), ["/EFI/BOOT/BOOTAA64.EFI"]);
        let label = ext::read(disk.file(), &cache.bytes()).unwrap().label;
        assert_eq!(label, CACHE_LABEL);
    }

    #[test]
    fn failures_name_the_file_and_leave_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("out.img");
        let good = spec(directory.path());
        let before = std::fs::read_dir(&directory).unwrap().count();
        let failure = |change: &dyn Fn(&mut PrebuiltSpec)| {
            let mut spec = good.clone();
            change(&mut spec);
            build(&spec, &output).unwrap_err().to_string()
        };
        assert!(
            failure(&|spec| spec.esp_files.push(SourceFile::new("x", "/nonexistent/x")))
                .contains("/nonexistent/x")
        );
        let full = failure(&|spec| {
            spec.firmware_files = (0..100)
                .map(|n| SourceFile::new(format!("{n}.bin"), &spec.firmware_files[0].source))
                .collect()
        });
        assert!(
            full.contains("partition 1") && full.contains(".bin"),
            "{full}"
        );
        let cache = failure(&|spec| spec.sizes.esp = 52 << 20);
        assert!(cache.contains("no room"), "{cache}");
        let cache = failure(&|spec| spec.sizes.esp = 44 << 20);
        assert!(cache.contains("16 MiB"), "{cache}");
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), before);
    }

    #[test]
    fn both_boards_find_their_device_tree() {
        let text = default_config_txt();
        assert!(
            text.lines()
                .all(|line| line.starts_with('#') || line.len() <= 98)
        );
        for (model, device_tree) in [
            (BoardModel::Pi3B, "bcm2837-rpi-3-b.dtb"),
            (BoardModel::Pi3BPlus, "bcm2837-rpi-3-b-plus.dtb"),
        ] {
            let conditions = Conditions {
                hardware: Hardware { model, serial: 1 },
                partition: 1,
            };
            let config =
                config_txt::parse(text.as_bytes(), "config.txt", &conditions, &mut |_| None)
                    .unwrap();
            assert!(
                config.arm_64bit == Some(true) && config.enable_uart && config.notes.is_empty()
            );
            assert_eq!(config.kernel.unwrap().value, BOOT_LOADER);
            assert_eq!(config.device_tree.unwrap().value, device_tree);
        }
    }
}
