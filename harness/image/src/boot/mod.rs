//! The stand-in for the VideoCore: finds what `config.txt` makes the board start, and takes it out of the image.
//!
//! QEMU begins where the firmware ends. This stage reads the first FAT partition as ROM, `bootcode.bin` and `start.elf` do, and
//! stops where they would: at a file that is not there. It runs once before each power-on; the image is only read.
//! Source: Raspberry Pi documentation, "config.txt", section "Boot options", and "Raspberry Pi boot sequence".

pub mod device_tree;
mod error;
mod survey;

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::config_txt::{self, Config, DeviceTreeSetting, Hardware, Sourced};
use crate::fat::{FatError, FatVolume};
use crate::partitions::{Partition, Scheme};
use crate::{Disk, ImageError, LIMITS};

pub use error::FirmwareError;
pub use survey::{Stop, Survey, survey};

/// The firmware's start-up file.
pub(crate) const CONFIG_TXT: &str = "config.txt";
/// Text files larger than this are no configuration.
const TEXT_LIMIT: u64 = 64 * 1024;
/// With this `gpu_mem` or less, in MiB, the firmware is a cut-down one.
const CUT_DOWN_GPU_MEM: u32 = 16;
/// What is to be said about a disk whose firmware partition is in its GPT alone.
const NO_MBR: &str = "the disk has a GPT and no MBR beside it that names a FAT partition: the ROM of a real Raspberry Pi 3 reads MBR \
    entries only and would not find this image; build it with `--table hybrid`. Here the first FAT partition of the GPT is taken";
/// Overlays that concern parts which the emulated board does not have, and which nothing on the way to a container needs.
const HARMLESS_OVERLAYS: &[&str] = &["vc4-kms-v3d", "vc4-fkms-v3d", "disable-wifi"];

/// What the firmware hands over, as files of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareHandover {
    /// The boot loader or kernel.
    pub kernel: PathBuf,
    /// Its name on the firmware partition.
    pub kernel_name: String,
    /// The device tree, as it is in the image.
    pub device_tree: PathBuf,
    /// Its name on the firmware partition.
    pub device_tree_name: String,
    /// The initial RAM file system, joined of all files that are named.
    pub initramfs: Option<PathBuf>,
    /// The kernel's command line, one line.
    pub cmdline: Option<String>,
    /// The settings that led here.
    pub config: Config,
    /// What the real firmware does and this stage does not, or what it passes over in silence; for people to read.
    pub notes: Vec<String>,
}

/// Does what the firmware of `hardware` would do with `image`, and leaves kernel, device tree and initramfs in `directory`.
///
/// # Errors
/// [`FirmwareError`], which says where the real firmware would have stopped.
pub fn start(
    image: &Path,
    hardware: &Hardware,
    directory: &Path,
) -> Result<FirmwareHandover, FirmwareError> {
    let disk = Disk::open(image)?;
    let mut notes = Vec::new();
    let partition = boot_partition(&disk, &mut notes)?;
    let boot = BootPartition {
        image,
        number: partition.number,
        volume: disk.volume(partition)?,
    };
    let config = boot.config(hardware)?;
    for wanted in firmware_files(&config) {
        boot.read(&wanted)?;
    }
    notes.extend(
        config
            .notes
            .iter()
            .map(|note| format!("{}: {}", note.at, note.value)),
    );
    check_unsupported(&config, &mut notes)?;

    let names = boot.names(&config, hardware)?;
    let kernel = boot.extract(&names.kernel, directory, "kernel")?;
    let device_tree = boot.extract(&names.device_tree, directory, "device-tree.dtb")?;
    let initramfs = boot.extract_initramfs(&names, &config, directory)?;
    let cmdline = boot.cmdline(&names, &config)?;
    Ok(FirmwareHandover {
        kernel,
        kernel_name: names.kernel.name,
        device_tree,
        device_tree_name: names.device_tree.name,
        initramfs,
        cmdline,
        config,
        notes,
    })
}

/// What is to be said of an image that starts here and would not on a real Raspberry Pi 3.
#[must_use]
pub fn warning(disk: &Disk) -> Option<&'static str> {
    let table = &disk.table;
    (table.scheme != Scheme::Mbr && table.mbr_firmware().is_none()).then_some(NO_MBR)
}

/// The first FAT partition, as the ROM finds it. Faults that it does not see, since it reads four entries and no more, are notes.
fn boot_partition<'a>(
    disk: &'a Disk,
    notes: &mut Vec<String>,
) -> Result<&'a Partition, FirmwareError> {
    let faults = disk.table.faults.iter();
    notes.extend(faults.map(|fault| format!("the partition table is faulty: {fault}")));
    notes.extend(warning(disk).map(str::to_owned));
    let missing = || ImageError::NoPartition {
        path: disk.path().into(),
        what: "FAT partition for the firmware (type 0x0c or 0x0e in an MBR)",
    };
    Ok(disk.table.firmware().ok_or_else(missing)?)
}

/// A file on the firmware partition, and what asks for it.
#[derive(Debug)]
struct Wanted {
    name: String,
    reason: String,
}

impl Wanted {
    /// The file that `setting` names, or else `default`.
    fn new(setting: Option<&Sourced<String>>, key: &str, default: &str) -> Self {
        match setting {
            Some(setting) => Self {
                name: setting.value.clone(),
                reason: format!("{}: {key}={}", setting.at, setting.value),
            },
            None => Self {
                name: default.into(),
                reason: format!("the default, as {CONFIG_TXT} has no {key}="),
            },
        }
    }

    /// The same with `prefix` in front, which absolute names do without.
    fn prefixed(self, prefix: &str) -> Self {
        let name = match self.name.strip_prefix('/') {
            Some(absolute) => absolute.to_owned(),
            None => format!("{prefix}{}", self.name),
        };
        Self { name, ..self }
    }
}

/// The names that follow from the settings.
struct Names {
    prefix: String,
    kernel: Wanted,
    device_tree: Wanted,
}

impl Names {
    /// The RAM file systems, in the order in which they are joined.
    fn initramfs(&self, config: &Config) -> Vec<Wanted> {
        let Some(setting) = &config.initramfs else {
            return Vec::new();
        };
        let files = setting.value.files.iter();
        let wanted = files.map(|file| Wanted {
            name: file.clone(),
            reason: format!("{}: initramfs {file}", setting.at),
        });
        wanted.map(|wanted| wanted.prefixed(&self.prefix)).collect()
    }
}

struct BootPartition<'a> {
    image: &'a Path,
    number: u32,
    volume: FatVolume<&'a File>,
}

impl BootPartition<'_> {
    fn config(&self, hardware: &Hardware) -> Result<Config, FirmwareError> {
        // Without the file the firmware goes by its defaults.
        let text = self
            .read_optional(CONFIG_TXT, TEXT_LIMIT)?
            .unwrap_or_default();
        let mut include = |name: &str| self.volume.read(name, TEXT_LIMIT).ok();
        config_txt::parse(&text, CONFIG_TXT, hardware, &mut include).map_err(|source| {
            FirmwareError::Config {
                partition: self.number,
                source,
            }
        })
    }

    fn names(&self, config: &Config, hardware: &Hardware) -> Result<Names, FirmwareError> {
        if let Some(setting) = &config.device_tree
            && setting.value.is_empty()
        {
            return Err(unsupported(
                "starting a kernel without a device tree",
                &setting.at.to_string(),
            ));
        }
        let default_kernel = if config.arm_64bit {
            "kernel8.img"
        } else {
            "kernel7.img"
        };
        let kernel = || Wanted::new(config.kernel.as_ref(), "kernel", default_kernel);
        let default_device_tree = |upstream| {
            Wanted::new(
                config.device_tree.as_ref(),
                "device_tree",
                hardware.model.default_device_tree(upstream),
            )
        };
        let device_tree = |prefix: &str| {
            let mainline = default_device_tree(config.upstream_kernel).prefixed(prefix);
            if self.volume.has_file(&mainline.name) {
                mainline
            } else {
                default_device_tree(false).prefixed(prefix)
            }
        };
        let prefix = match (&config.os_prefix, config.upstream_kernel) {
            (Some(prefix), _) => &prefix.value,
            (None, true) => "upstream/",
            (None, false) => "",
        };
        // A prefix under which the files are not to be found counts for nothing.
        let found = |wanted: &Wanted| self.volume.has_file(&wanted.name);
        let usable = found(&kernel().prefixed(prefix)) && found(&device_tree(prefix));
        let prefix = if usable { prefix } else { "" };
        Ok(Names {
            prefix: prefix.into(),
            kernel: kernel().prefixed(prefix),
            device_tree: device_tree(prefix),
        })
    }

    fn extract(
        &self,
        wanted: &Wanted,
        directory: &Path,
        name: &str,
    ) -> Result<PathBuf, FirmwareError> {
        let contents = self.read(wanted)?;
        write(directory.join(name), &contents)
    }

    fn extract_initramfs(
        &self,
        names: &Names,
        config: &Config,
        directory: &Path,
    ) -> Result<Option<PathBuf>, FirmwareError> {
        let wanted = names.initramfs(config);
        if wanted.is_empty() {
            return Ok(None);
        }
        let mut joined = Vec::new();
        for wanted in &wanted {
            joined.extend(self.read(wanted)?);
        }
        write(directory.join("initramfs"), &joined).map(Some)
    }

    /// The command line; the firmware does without when the file is not there.
    fn cmdline(&self, names: &Names, config: &Config) -> Result<Option<String>, FirmwareError> {
        let wanted =
            Wanted::new(config.cmdline.as_ref(), "cmdline", "cmdline.txt").prefixed(&names.prefix);
        let text = self.read_optional(&wanted.name, TEXT_LIMIT)?;
        let first_line = text.map(|text| {
            String::from_utf8_lossy(&text)
                .lines()
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        });
        Ok(first_line.filter(|line| !line.is_empty()))
    }

    fn read(&self, wanted: &Wanted) -> Result<Vec<u8>, FirmwareError> {
        match self.read_optional(&wanted.name, LIMITS.program)? {
            None => Err(FirmwareError::Missing {
                partition: self.number,
                file: wanted.name.clone(),
                reason: wanted.reason.clone(),
            }),
            Some(contents) if contents.is_empty() => Err(FirmwareError::Empty {
                partition: self.number,
                file: wanted.name.clone(),
                reason: wanted.reason.clone(),
            }),
            Some(contents) => Ok(contents),
        }
    }

    fn read_optional(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, FirmwareError> {
        match self.volume.read(name, limit) {
            Ok(contents) => Ok(Some(contents)),
            Err(FatError::NotFound(_)) => Ok(None),
            Err(error) => Err(ImageError::fat(self.image, self.number)(error).into()),
        }
    }
}

/// The ROM loads `bootcode.bin`, which loads the firmware proper and its relocation table.
fn firmware_files(config: &Config) -> [Wanted; 3] {
    let suffix = match config {
        _ if config.is_set("start_debug") => "_db",
        _ if config.is_set("start_x") => "_x",
        Config {
            gpu_mem: Some(size),
            ..
        } if *size <= CUT_DOWN_GPU_MEM => "_cd",
        _ => "",
    };
    let rom = Wanted {
        name: "bootcode.bin".into(),
        reason: "the board's ROM loads it".into(),
    };
    let file = |key, default: String| Wanted::new(config.other.get(key), key, &default);
    [
        rom,
        file("start_file", format!("start{suffix}.elf")),
        file("fixup_file", format!("fixup{suffix}.dat")),
    ]
}

/// Refuses what would make the emulated board start something else than the real one.
fn check_unsupported(config: &Config, notes: &mut Vec<String>) -> Result<(), FirmwareError> {
    if let Some(stub) = &config.armstub {
        return Err(unsupported(
            &format!("the ARM stub {}", stub.value),
            &stub.at.to_string(),
        ));
    }
    for Sourced { value, at } in &config.device_tree_settings {
        match value {
            DeviceTreeSetting::Overlay(overlay) => {
                let name = overlay.split([',', ':']).next().unwrap_or_default();
                if !name.is_empty() && !HARMLESS_OVERLAYS.contains(&name) {
                    return Err(unsupported(
                        &format!("the device tree overlay {name}"),
                        &at.to_string(),
                    ));
                }
            }
            DeviceTreeSetting::Parameter(parameter) => {
                notes.push(format!("{at}: dtparam={parameter} is not applied"))
            }
        }
    }
    Ok(())
}

fn unsupported(what: &str, reason: &str) -> FirmwareError {
    FirmwareError::Unsupported {
        what: what.into(),
        reason: reason.into(),
    }
}

fn write(path: PathBuf, contents: &[u8]) -> Result<PathBuf, FirmwareError> {
    match std::fs::write(&path, contents) {
        Ok(()) => Ok(path),
        Err(source) => Err(FirmwareError::Write { path, source }),
    }
}

#[cfg(test)]
mod tests;
