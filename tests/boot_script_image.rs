//! An image that boots by a script of U-Boot, as the iPXE port of 2023 published its own: one FAT16 partition with firmware, U-Boot, `boot.scr` and
//! iPXE as `efi/tools/snp.efi`; no EFI system partition, no cache.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use shakedown_harness::image::fat::{FatFormat, FatKind, FatVolume};
use shakedown_harness::image::partitions::SECTOR;
use shakedown_harness::image::prebuilt::EFI_BOOT_FILE;
use shakedown_harness::image::{Disk, uboot_env};

/// Where the partition begins, and the size of the card, in sectors.
const FIRST: u32 = 2048;
const CARD: u32 = 64 << 11;
/// FAT16 with LBA.
const FAT16: u8 = 0x0e;
/// What U-Boot runs. It knows the card as `mmc 0`.
const SCRIPT: &str =
    "load mmc 0:1 ${kernel_addr_r} efi/tools/snp.efi\nbootefi ${kernel_addr_r} ${fdt_addr}\n";
/// The largest file of the firmware.
const LARGEST: u64 = 16 << 20;

/// Writes such an image, made of the files of a prebuilt one.
pub(crate) fn write(prebuilt: &Path, output: &Path) -> Result<()> {
    let disk = Disk::open(prebuilt)?;
    let firmware = disk.table.partitions.first().context("no partition")?;
    let firmware = disk.volume(firmware)?;
    let ipxe = disk.volume(disk.esp()?)?.read(EFI_BOOT_FILE, LARGEST)?;

    let mut card = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(output)?;
    card.set_len(u64::from(CARD) * SECTOR)?;
    card.write_all(&boot_record())?;
    let window = u64::from(FIRST) * SECTOR..u64::from(CARD) * SECTOR;
    let format = FatFormat {
        kind: FatKind::Fat16,
        volume_id: 0x2023_0301,
        label: *b"BOOT       ",
    };
    let volume = FatVolume::format(&mut card, &window, &format)?;
    for (path, _) in firmware.list()? {
        // The script is found by U-Boot's own environment.
        if path != uboot_env::FILE_NAME {
            volume.write(&path, &firmware.read(&path, LARGEST)?[..])?;
        }
    }
    volume.write("efi/tools/snp.efi", &ipxe[..])?;
    volume.write("boot.scr", &script_image()[..])?;
    volume.finish()?;
    Ok(())
}

/// A master boot record with one partition, which is not active.
fn boot_record() -> [u8; 512] {
    let mut record = [0; 512];
    let sectors = CARD - FIRST;
    record[446 + 4] = FAT16;
    record[446 + 8..446 + 12].copy_from_slice(&FIRST.to_le_bytes());
    record[446 + 12..446 + 16].copy_from_slice(&sectors.to_le_bytes());
    record[510..].copy_from_slice(&[0x55, 0xaa]);
    record
}

/// The script with U-Boot's header (include/image.h): magic, checksum of the header, time, size, addresses, checksum of the data, Linux, ARM64,
/// script, not compressed, name. The data is a table of lengths that ends with 0, and the text.
fn script_image() -> Vec<u8> {
    let length = u32::try_from(SCRIPT.len()).unwrap_or_default();
    let data = [&length.to_be_bytes()[..], &[0; 4], SCRIPT.as_bytes()].concat();
    let mut header = [0; 64];
    header[..4].copy_from_slice(&0x2705_1956_u32.to_be_bytes());
    let size = u32::try_from(data.len()).unwrap_or_default();
    header[12..16].copy_from_slice(&size.to_be_bytes());
    header[24..28].copy_from_slice(&crc32fast::hash(&data).to_be_bytes());
    header[28..32].copy_from_slice(&[5, 22, 6, 0]);
    header[32..36].copy_from_slice(b"boot");
    let checksum = crc32fast::hash(&header).to_be_bytes();
    header[4..8].copy_from_slice(&checksum);
    [&header[..], &data].concat()
}
