//! Recognises images of operating systems, which have no iPXE: somebody who gives one wants to hear that, not what it lacks.

use std::fs::File;

use super::boot::KernelKind;
use super::fat::FatVolume;
use super::home::loader_name;
use super::partitions::Partition;
use super::prebuilt::EFI_BOOT_FILE;
use super::{Disk, LIMITS};

/// Text files larger than this are none of these.
const TEXT: u64 = 64 << 10;
/// Kernels that the firmware starts without a boot loader.
const KERNELS: [&str; 4] = ["kernel8.img", "kernel7.img", "vmlinuz", "boot/vmlinuz-rpi"];

/// An operating system's image in one line; `None` for what does not look like one.
#[must_use]
pub fn describe(disk: &Disk) -> Option<String> {
    let volumes = disk.table.find(|kind| kind.is_fat() || kind.is_esp());
    let signs: Vec<_> = volumes
        .take(8)
        .filter_map(|partition| sign(disk, partition))
        .collect();
    (!signs.is_empty()).then(|| {
        format!(
            "this is an operating system's image without iPXE ({}): it boots itself, and not from a boot server; nothing of it can be tried here",
            signs.join(", ")
        )
    })
}

fn sign(disk: &Disk, partition: &Partition) -> Option<String> {
    let volume = disk.volume(partition).ok()?;
    let number = partition.number;
    if let Some(root) = root(&volume) {
        return Some(format!("cmdline.txt in partition {number} has {root}"));
    }
    for folder in ["extlinux", "boot/extlinux"] {
        let path = format!("{folder}/extlinux.conf");
        if volume.has_file(&path) {
            return Some(format!("partition {number} has {path}"));
        }
    }
    let kernel = KERNELS.iter().find(|name| {
        let file = volume.read(name, LIMITS.program).unwrap_or_default();
        matches!(
            KernelKind::of(&file),
            KernelKind::Arm64Image | KernelKind::Arm32 | KernelKind::Gzip
        )
    });
    if let Some(kernel) = kernel {
        return Some(format!("partition {number} has the kernel {kernel}"));
    }
    let loader = volume.read(EFI_BOOT_FILE, LIMITS.program).ok()?;
    let loader = loader_name(&loader)?;
    Some(format!("partition {number} has {loader}"))
}

/// The word of a kernel's command line that names its root file system, as far as it is plain.
fn root(volume: &FatVolume<&File>) -> Option<String> {
    let text = volume.read("cmdline.txt", TEXT).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let word = text
        .split_whitespace()
        .find(|word| word.starts_with("root="))?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "=/-_.:".contains(c);
    (word.len() <= 80 && word.chars().all(is_plain)).then(|| word.to_owned())
}
