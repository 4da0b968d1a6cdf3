//! What a board makes of an image: the one evaluation that `verify`, `inspect` and a run share.

use shakedown_base::Untrusted;
use shakedown_base::encoding::is_utf16;

use super::files::{BootPartition, Wanted};
use super::kernel::{self, KernelKind};
use super::names::{self, Names};
use super::partition::{self, Boot};
use super::{
    CONFIG_TXT, FirmwareError, Foreign, TEXT_LIMIT, device_tree, embedded, overlays, settings,
};
use crate::config_txt::{self, Conditions, Config, Hardware, Sourced};
use crate::{Disk, LIMITS};

/// The UART on the board's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderUart {
    /// The mini UART, ttyS1 of a mainline kernel: a Pi 3's default.
    Mini,
    /// The PL011, ttyAMA0: with the overlay `disable-bt` or `miniuart-bt`.
    Pl011,
}

/// Where the firmware would stop, or what would be wrong with what it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// At the search for its partition.
    Partition,
    /// At the file that names another partition.
    Autoboot,
    /// At its own files.
    Start,
    /// At its settings.
    Config,
    /// At the boot loader.
    Kernel,
    /// At a RAM file system for it.
    Initramfs,
    /// At the kernel's command line.
    CommandLine,
    /// The boot loader is not started in 64-bit mode, or is not made for it.
    Mode,
    /// At the device tree.
    DeviceTree,
    /// The serial console does not work.
    Console,
    /// The board would go on, and the emulation does not.
    Emulation,
}

/// A file that the firmware loads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFile {
    /// Its path on the firmware partition.
    pub name: String,
    /// What the kernel gets of it: unpacked, with overlays, joined.
    pub contents: Vec<u8>,
}

/// What a board makes of an image.
#[derive(Debug)]
pub struct Evaluation {
    /// The number of the partition that `config.txt` is read from.
    pub partition: Option<u32>,
    /// The settings that apply to the board.
    pub config: Option<Config>,
    /// The boot loader or kernel.
    pub kernel: Option<BootFile>,
    /// The device tree, with the overlays that apply.
    pub device_tree: Option<BootFile>,
    /// The initial RAM file systems, joined.
    pub initramfs: Option<BootFile>,
    /// The kernel's command line, one line.
    pub cmdline: Option<String>,
    /// The UART on the board's header.
    pub uart: HeaderUart,
    /// Everything that would stop the board, or the emulation, in the firmware's order.
    pub stops: Vec<(Stage, FirmwareError)>,
    /// What the firmware passes over in silence, and what the emulation leaves out; for people to read.
    pub notes: Vec<String>,
}

/// Evaluates what the firmware of `hardware` does with an image. The image is only read.
#[must_use]
pub fn evaluate(disk: &Disk, hardware: &Hardware) -> Evaluation {
    let mut evaluation = Evaluation {
        partition: None,
        config: None,
        kernel: None,
        device_tree: None,
        initramfs: None,
        cmdline: None,
        uart: HeaderUart::Mini,
        stops: Vec::new(),
        notes: Vec::new(),
    };
    match partition::find(disk, hardware, &mut evaluation.notes) {
        Ok(boot) => evaluation.partition(&boot, hardware),
        Err(stop) => evaluation.stops.push(stop),
    }
    for note in &mut evaluation.notes {
        *note = Untrusted::new(std::mem::take(note)).to_string();
    }
    evaluation
}

impl Evaluation {
    fn partition(&mut self, boot: &Boot<'_>, hardware: &Hardware) {
        let at = boot.partition();
        self.partition = Some(at.number);
        let Some((bootcode, config)) = self.checked(Stage::Config, configs(at, hardware)) else {
            return;
        };
        let [rom, start, fixup] = names::firmware_files(&bootcode);
        self.firmware_file(&boot.rom, &rom);
        for wanted in [start, fixup] {
            self.firmware_file(at, &wanted);
        }
        self.settings(&bootcode, &config);
        let names = Names::new(at, &config, hardware, &mut self.notes);
        self.kernel(at, &names, &config);
        self.device_tree(at, &names, &config, hardware);
        if !config.enable_uart && self.uart == HeaderUart::Mini {
            self.stops.push((Stage::Console, FirmwareError::NoConsole));
        }
        let joined = joined(at, &names.initramfs(at, &config));
        self.initramfs = self.checked(Stage::Initramfs, joined).flatten();
        let wanted = names.cmdline(&config);
        let text = at.read_optional(&wanted.name, TEXT_LIMIT);
        let text = self.checked(Stage::CommandLine, text).flatten();
        self.cmdline = text.and_then(|text| self.cmdline(&wanted.name, &text));
        self.config = Some(config);
    }

    /// The value, or nothing and one stop more.
    fn checked<T>(&mut self, stage: Stage, result: Result<T, FirmwareError>) -> Option<T> {
        result.map_err(|error| self.stops.push((stage, error))).ok()
    }

    /// A file of the firmware itself, which is not started here.
    fn firmware_file(&mut self, at: &BootPartition<'_>, wanted: &Wanted) {
        let contents = self.checked(Stage::Start, at.read(wanted));
        if let Some(kind) = contents.and_then(|contents| Foreign::of_firmware(&contents)) {
            let file = wanted.name.clone();
            let error = FirmwareError::NotFirmware { file, kind };
            self.stops.push((Stage::Start, error));
        }
    }

    /// The first line of the file, which is all that the firmware takes.
    fn cmdline(&mut self, name: &str, text: &[u8]) -> Option<String> {
        let what = match text {
            text if is_utf16(text) => Some("is UTF-16, and the kernel reads ASCII"),
            [0xef, 0xbb, 0xbf, ..] => Some(
                "begins with a byte order mark, which the kernel takes for part of the first word",
            ),
            _ => None,
        };
        if let Some(what) = what {
            let note = format!("{name} {what}: save it as UTF-8 without a byte order mark");
            self.notes.push(note);
        }
        let text = String::from_utf8_lossy(text);
        let line = text.lines().next().unwrap_or_default();
        let line = line.trim_ascii().to_owned();
        (!line.is_empty()).then_some(line)
    }

    fn refuse(&mut self, what: &str, Sourced { at, .. }: &Sourced<String>) {
        let error = FirmwareError::Unsupported {
            what: what.into(),
            reason: at.to_string(),
        };
        self.stops.push((Stage::Emulation, error));
    }

    /// What must be said of settings, and those that no emulation here follows.
    fn settings(&mut self, bootcode: &Config, config: &Config) {
        let notes = config.notes.iter();
        self.notes
            .extend(notes.map(|note| format!("{}: {}", note.at, note.value)));
        self.notes.extend(settings::notes(config));
        if names::is_cut_down(config) && !names::is_cut_down(bootcode) {
            self.notes.push(
                "gpu_mem below 32 stands in an included file, which bootcode.bin does not read: it loads the full firmware, which may \
                 not start with so little memory"
                    .into(),
            );
        }
        if let Some(stub) = &config.armstub {
            self.refuse(&format!("the ARM stub {}", stub.value), stub);
        }
        for (key, what) in [
            ("kernel_old", "a kernel at address 0"),
            ("boot_ramdisk", "a boot.img in place of files"),
        ] {
            if let Some(setting) = config.other.get(key).filter(|_| config.is_set(key)) {
                self.refuse(what, setting);
            }
        }
        if let Some(setting) = config.other.get("arm_control") {
            let note = format!(
                "{}: arm_control is deprecated; arm_64bit=1 does the same",
                setting.at
            );
            self.notes.push(note);
        }
        if let Some(Sourced { value, at }) = &config.initramfs
            && let Some(address) = value.address
        {
            let note = format!(
                "{at}: the emulator has its own address for RAM file systems, not {address:#x}"
            );
            self.notes.push(note);
        }
    }

    fn kernel(&mut self, at: &BootPartition<'_>, names: &Names, config: &Config) {
        let Some(mut contents) = self.checked(Stage::Kernel, at.read(&names.kernel)) else {
            return;
        };
        let name = names.kernel.name.clone();
        let mut kind = KernelKind::of(&contents);
        if kind == KernelKind::Gzip {
            let unpacked = kernel::unpack(&contents).map_err(|what| FirmwareError::NotAKernel {
                file: name.clone(),
                kind,
                what,
            });
            let Some(unpacked) = self.checked(Stage::Kernel, unpacked) else {
                return;
            };
            kind = KernelKind::of(&unpacked);
            contents = unpacked;
            self.notes.push(format!(
                "{name} is a gzip archive, which firmware of 2021 and later unpacks; here it is unpacked too"
            ));
        }
        if !kind.is_startable() || kind == KernelKind::Gzip {
            let what = "it starts an Image for 64-bit ARM, or code as it is".into();
            let file = name.clone();
            let error = FirmwareError::NotAKernel { file, kind, what };
            self.stops.push((Stage::Kernel, error));
        } else if !names.mode.is_64bit || kind == KernelKind::Arm32 {
            let error = FirmwareError::Mode {
                file: name.clone(),
                kind,
                mode: if names.mode.is_64bit {
                    "64-bit"
                } else {
                    "32-bit"
                },
                reason: names.mode.reason.clone(),
            };
            self.stops.push((Stage::Mode, error));
        } else if kind == KernelKind::Unknown {
            self.notes.push(format!(
                "{name} is {kind}; whether it is code for 64-bit ARM cannot be told"
            ));
        }
        if let Some(setting) = config.other.get("kernel_address") {
            match kind {
                KernelKind::Arm64Image => self.notes.push(format!(
                    "{}: the emulator loads {name} where its header wants it, not at {}",
                    setting.at, setting.value
                )),
                _ if config.number("kernel_address") == Some(0x8_0000) => {}
                _ => self.refuse(&format!("a kernel at address {}", setting.value), setting),
            }
        }
        self.kernel = Some(BootFile { name, contents });
    }

    fn device_tree(
        &mut self,
        at: &BootPartition<'_>,
        names: &Names,
        config: &Config,
        hardware: &Hardware,
    ) {
        if let Some(setting) = config.device_tree.as_ref().filter(|s| s.value.is_empty()) {
            return self.refuse("starting a kernel without a device tree", setting);
        }
        let wanted = &names.device_tree;
        let name = wanted.name.clone();
        let read = match at.read_at_most(wanted, LIMITS.small_file) {
            Err(FirmwareError::Missing { .. }) => return self.embedded(at, wanted, hardware),
            read => self.checked(Stage::DeviceTree, read),
        };
        let Some(mut contents) = read else { return };
        let size = device_tree::whole(&contents).len();
        if size < contents.len() {
            let behind = contents.len() - size;
            self.notes.push(format!(
                "{name}: {behind} bytes follow the {size} that the device tree has by its header; they are passed over"
            ));
            contents.truncate(size);
        }
        let board = hardware.model.compatible();
        let found = device_tree::parse(&contents).map(|tree| device_tree::compatible(&tree));
        let found = found.map_err(|source| FirmwareError::DeviceTree {
            file: name.clone(),
            source,
        });
        let Some(found) = self.checked(Stage::DeviceTree, found) else {
            return;
        };
        if !found.iter().any(|name| name == board) {
            let error = FirmwareError::OtherBoard {
                file: name.clone(),
                found: match found.is_empty() {
                    true => "missing".into(),
                    false => found.join(", "),
                },
                model: hardware.model,
                expected: board,
            };
            self.stops.push((Stage::DeviceTree, error));
        }
        let applied = overlays::apply(at, config, &names.prefix, contents, &mut self.notes);
        self.uart = applied.uart;
        let refused = applied.refused.into_iter();
        self.stops
            .extend(refused.map(|error| (Stage::Emulation, error)));
        self.device_tree = Some(BootFile {
            name,
            contents: applied.tree,
        });
    }

    /// A boot loader may bring its own device tree; U-Boot for one board does.
    fn embedded(&mut self, at: &BootPartition<'_>, wanted: &Wanted, hardware: &Hardware) {
        let kernel = self.kernel.as_ref();
        let tree = kernel.and_then(|kernel| embedded::find(&kernel.contents));
        let name = kernel
            .map_or("the boot loader", |kernel| &kernel.name)
            .to_owned();
        match tree {
            Some((tree, model)) => {
                let other = match model == hardware.model {
                    true => String::new(),
                    false => format!(", though it is that of a {model}"),
                };
                self.notes.push(format!(
                    "there is no {} ({}); the one in {name} takes its place{other}",
                    wanted.name, wanted.reason
                ));
                self.device_tree = Some(BootFile {
                    name: format!("{name} (its own device tree)"),
                    contents: tree.to_vec(),
                });
            }
            None => {
                let error = FirmwareError::NoDeviceTree {
                    partition: at.number,
                    file: wanted.name.clone(),
                    reason: wanted.reason.clone(),
                    kernel: name,
                };
                self.stops.push((Stage::DeviceTree, error));
            }
        }
    }
}

/// The configuration as `bootcode.bin` reads it, without included files, and as `start.elf` does.
fn configs(at: &BootPartition<'_>, hardware: &Hardware) -> Result<(Config, Config), FirmwareError> {
    let conditions = Conditions {
        hardware: *hardware,
        partition: at.number,
    };
    // Without the file the firmware goes by its defaults.
    let text = at
        .read_optional(CONFIG_TXT, TEXT_LIMIT)?
        .unwrap_or_default();
    let mut include = |name: &str| {
        let text = at.read_optional(name, TEXT_LIMIT);
        let text = text.map_err(|error| error.to_string())?;
        text.ok_or_else(|| "it does not exist".into())
    };
    let failed = |source| FirmwareError::Config {
        partition: at.number,
        file: CONFIG_TXT,
        source,
    };
    let bootcode = config_txt::parse(&text, CONFIG_TXT, &conditions, &mut |_| None);
    let config = config_txt::parse_including(&text, CONFIG_TXT, &conditions, &mut include);
    Ok((bootcode.map_err(failed)?, config.map_err(failed)?))
}

fn joined(at: &BootPartition<'_>, all: &[Wanted]) -> Result<Option<BootFile>, FirmwareError> {
    let mut joined = BootFile {
        name: String::new(),
        contents: Vec::new(),
    };
    for (index, wanted) in all.iter().enumerate() {
        let before = all.get(..index).unwrap_or_default();
        if before
            .iter()
            .any(|b| b.name.eq_ignore_ascii_case(&wanted.name))
        {
            return Err(FirmwareError::Twice {
                file: wanted.name.clone(),
                reason: wanted.reason.clone(),
            });
        }
        joined.contents.extend(at.read_initramfs(wanted)?);
        if index != 0 {
            joined.name.push(',');
        }
        joined.name.push_str(&wanted.name);
    }
    Ok((!all.is_empty()).then_some(joined))
}
