//! Which files the firmware loads, by the settings and by what is on the card.

use super::CONFIG_TXT;
use super::files::{BootPartition, Wanted};
use crate::config_txt::{Config, Hardware, Sourced};

/// With less `gpu_mem` than this, in MiB, the firmware is a cut-down one.
const CUT_DOWN_GPU_MEM: i64 = 32;
/// The kernel that is started in 64-bit mode by its name alone.
const KERNEL_64: &str = "kernel8.img";
/// Kernels of a Pi 3 in 32-bit mode, in the order in which they are looked for.
const KERNELS_32: [&str; 3] = ["kernel8-32.img", "kernel7.img", "kernel.img"];
/// The bit of `arm_control` that does what `arm_64bit=1` does.
const ARM_CONTROL_64: i64 = 0x200;

/// The mode of the processor that a kernel is started in, and what decides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mode {
    pub(super) is_64bit: bool,
    pub(super) reason: String,
}

/// The names that follow from the settings.
pub(super) struct Names {
    pub(super) prefix: String,
    pub(super) kernel: Wanted,
    pub(super) mode: Mode,
    pub(super) device_tree: Wanted,
}

/// The ROM loads `bootcode.bin`, which loads the firmware proper and its relocation table. `bootcode` is the configuration as
/// `bootcode.bin` reads it, which is without included files.
pub(super) fn firmware_files(bootcode: &Config) -> [Wanted; 3] {
    let suffix = match () {
        () if bootcode.is_set("start_debug") => "_db",
        () if bootcode.is_set("start_x") => "_x",
        () if is_cut_down(bootcode) => "_cd",
        () => "",
    };
    let rom = Wanted {
        name: "bootcode.bin".into(),
        reason: "the board's ROM loads it".into(),
    };
    let file = |key, default: String| Wanted::new(bootcode.other.get(key), key, &default);
    [
        rom,
        file("start_file", format!("start{suffix}.elf")),
        file("fixup_file", format!("fixup{suffix}.dat")),
    ]
}

/// Whether so little memory is set aside that only the cut-down firmware fits. Boards of the Pi 3 family have 1 GiB.
pub(super) fn is_cut_down(config: &Config) -> bool {
    let gpu_mem = config.gpu_mem_1024.or(config.gpu_mem);
    gpu_mem.is_some_and(|size| size < CUT_DOWN_GPU_MEM)
}

impl Names {
    /// What the firmware looks for on this partition.
    pub(super) fn new(
        boot: &BootPartition<'_>,
        config: &Config,
        hardware: &Hardware,
        notes: &mut Vec<String>,
    ) -> Self {
        let default_device_tree = |upstream| {
            let default = hardware.model.default_device_tree(upstream);
            Wanted::new(config.device_tree.as_ref(), "device_tree", default)
        };
        let device_tree = |prefix: &str| {
            let mainline = default_device_tree(config.upstream_kernel).prefixed(prefix);
            if boot.has(&mainline.name) {
                mainline
            } else {
                default_device_tree(false).prefixed(prefix)
            }
        };
        let kernel = |prefix: &str| {
            let (wanted, mode) = kernel(boot, config, prefix);
            (wanted.prefixed(prefix), mode)
        };
        let prefix = match (&config.os_prefix, config.upstream_kernel) {
            (Some(prefix), _) => &prefix.value,
            (None, true) => "upstream/",
            (None, false) => "",
        };
        // A prefix under which the files are not to be found counts for nothing.
        let wanted = [kernel(prefix).0, device_tree(prefix)];
        let missing = wanted.iter().find(|wanted| !boot.has(&wanted.name));
        let prefix = match missing {
            None => prefix,
            Some(missing) => {
                if let Some(setting) = config.os_prefix.as_ref().filter(|_| !prefix.is_empty()) {
                    notes.push(format!(
                        "{}: os_prefix={prefix} counts for nothing, since there is no {}",
                        setting.at, missing.name
                    ));
                }
                ""
            }
        };
        let (kernel, mode) = kernel(prefix);
        let device_tree = device_tree(prefix);
        let is_downstream =
            device_tree.name.rsplit('/').next() == Some(hardware.model.default_device_tree(false));
        if config.upstream_kernel && config.device_tree.is_none() && is_downstream {
            notes.push(format!(
                "{CONFIG_TXT}: with upstream_kernel=1 and {} the firmware applies the overlay `upstream`; here it is left out",
                device_tree.name
            ));
        }
        Self {
            prefix: prefix.into(),
            kernel,
            mode,
            device_tree,
        }
    }

    /// The RAM file systems, in the order in which they are joined.
    pub(super) fn initramfs(&self, boot: &BootPartition<'_>, config: &Config) -> Vec<Wanted> {
        if let Some(setting) = &config.initramfs {
            let files = setting.value.files.iter();
            let wanted = files.map(|file| Wanted {
                name: file.clone(),
                reason: format!("{}: initramfs {file}", setting.at),
            });
            return wanted.map(|wanted| wanted.prefixed(&self.prefix)).collect();
        }
        // Named after the kernel, as in kernel8.img and initramfs8; taken only if it is there.
        let auto = config.other.get("auto_initramfs");
        let auto = auto.filter(|_| config.is_set("auto_initramfs"));
        let name = auto.and_then(|Sourced { at, .. }| {
            let (folder, base) = match self.kernel.name.rsplit_once('/') {
                Some((folder, base)) => (format!("{folder}/"), base),
                None => (String::new(), self.kernel.name.as_str()),
            };
            let version = base.strip_prefix("kernel")?.strip_suffix(".img")?;
            Some(Wanted {
                name: format!("{folder}initramfs{version}"),
                reason: format!("{at}: auto_initramfs=1"),
            })
        });
        name.into_iter()
            .filter(|wanted| boot.has(&wanted.name))
            .collect()
    }

    /// The file with the command line.
    pub(super) fn cmdline(&self, config: &Config) -> Wanted {
        Wanted::new(config.cmdline.as_ref(), "cmdline", "cmdline.txt").prefixed(&self.prefix)
    }
}

/// The kernel before a prefix, and the mode that it is started in.
fn kernel(boot: &BootPartition<'_>, config: &Config, prefix: &str) -> (Wanted, Mode) {
    let mode = |is_64bit, reason: &str| Mode {
        is_64bit,
        reason: reason.into(),
    };
    let control = config.number("arm_control").unwrap_or_default();
    let forced = match config.arm_64bit {
        Some(true) => Some("arm_64bit=1"),
        _ if control & ARM_CONTROL_64 != 0 => Some("arm_control=0x200"),
        _ => None,
    };
    if let Some(setting) = &config.kernel {
        let base = setting.value.rsplit('/').next();
        let mode = match (forced, config.arm_64bit) {
            (Some(reason), _) => mode(true, reason),
            (None, _) if base == Some(KERNEL_64) => mode(true, "by the name kernel8.img"),
            (None, Some(_)) => mode(false, "arm_64bit=0"),
            (None, None) => mode(false, "there is no arm_64bit=1"),
        };
        return (Wanted::new(Some(setting), "kernel", ""), mode);
    }
    let default = |name| Wanted::new(None, "kernel", name);
    let has = |name: &&&str| boot.has(&format!("{prefix}{name}"));
    match (forced, config.arm_64bit) {
        (Some(reason), _) => (default(KERNEL_64), mode(true, reason)),
        (None, Some(_)) => {
            let found = KERNELS_32.iter().find(has).unwrap_or(&KERNELS_32[1]);
            (default(found), mode(false, "arm_64bit=0"))
        }
        (None, None) => match KERNELS_32.iter().find(has) {
            Some(found) => {
                let reason =
                    format!("there is no arm_64bit=1, and {found} comes before {KERNEL_64}");
                (default(found), mode(false, &reason))
            }
            None => (default(KERNEL_64), mode(true, "there is no 32-bit kernel")),
        },
    }
}
