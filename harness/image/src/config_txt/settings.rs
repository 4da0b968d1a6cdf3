//! The settings that matter for starting a kernel, typed; all others as text.

use std::collections::BTreeMap;

use super::number::{leading, parse_number};
use super::{ConfigError, Location};

/// A value and the line that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it was set.
    pub at: Location,
}

/// A change to the device tree, in the order of the file, which matters: parameters belong to the overlay before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceTreeSetting {
    /// `dtoverlay=NAME[,PARAMETERS]`; empty ends the parameters of the last overlay.
    Overlay(String),
    /// `dtparam=PARAMETERS`.
    Parameter(String),
}

/// Initial RAM file systems, joined in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initramfs {
    /// File names, at least one.
    pub files: Vec<String>,
    /// Where to load them; `None` stands for behind the kernel.
    pub address: Option<u32>,
}

/// The settings that apply to a board. Of a setting that is given twice the last one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// `arm_64bit`: whether the kernel is started in 64-bit mode, where the file says so.
    pub arm_64bit: Option<bool>,
    /// `enable_uart`: the mini UART is on, and the core clock fixed so that its baud rate stays right.
    pub enable_uart: bool,
    /// `upstream_kernel`: mainline names of device trees, and `os_prefix=upstream/`.
    pub upstream_kernel: bool,
    /// `core_freq` in MHz.
    pub core_freq: Option<i64>,
    /// `gpu_mem` in MiB.
    pub gpu_mem: Option<i64>,
    /// `gpu_mem_1024` in MiB, which counts in place of `gpu_mem` on a board of 1 GiB.
    pub gpu_mem_1024: Option<i64>,
    /// `kernel`: the file to start.
    pub kernel: Option<Sourced<String>>,
    /// `device_tree`: the file to pass; the empty name means that none is passed.
    pub device_tree: Option<Sourced<String>>,
    /// `armstub`: the file to run before the kernel.
    pub armstub: Option<Sourced<String>>,
    /// `initramfs`, or `ramfsfile`.
    pub initramfs: Option<Sourced<Initramfs>>,
    /// `cmdline`: the file with the kernel's command line.
    pub cmdline: Option<Sourced<String>>,
    /// `os_prefix`: stands in front of the names of kernel, device tree, initramfs and command line.
    pub os_prefix: Option<Sourced<String>>,
    /// `dtoverlay` and `dtparam`.
    pub device_tree_settings: Vec<Sourced<DeviceTreeSetting>>,
    /// Every other setting.
    pub other: BTreeMap<String, Sourced<String>>,
    /// What the firmware passes over in silence, and a reader should know.
    pub notes: Vec<Sourced<String>>,
}

impl Config {
    /// A setting of [`Config::other`] as a number.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<i64> {
        let setting = self.other.get(key)?;
        Some(leading(&setting.value).map_or(0, |(number, _)| number))
    }

    /// A setting of [`Config::other`] that is a flag: whether it is there and not 0.
    #[must_use]
    pub fn is_set(&self, key: &str) -> bool {
        self.number(key).is_some_and(|number| number != 0)
    }

    pub(super) fn set(&mut self, key: &str, value: &str, at: Location) {
        if key.contains(|c: char| c.is_ascii_whitespace()) {
            let text = format!("no setting is called `{key}`; take the spaces before = away");
            return self.note(at, text);
        }
        let text = || {
            Some(Sourced {
                value: value.to_owned(),
                at: at.clone(),
            })
        };
        match key {
            "arm_64bit" => self.arm_64bit = Some(self.read_number(key, value, &at) != 0),
            "enable_uart" => self.enable_uart = self.read_number(key, value, &at) != 0,
            "upstream_kernel" => self.upstream_kernel = self.read_number(key, value, &at) != 0,
            "core_freq" => self.core_freq = Some(self.read_number(key, value, &at)),
            "gpu_mem" => self.gpu_mem = Some(self.read_number(key, value, &at)),
            "gpu_mem_1024" => self.gpu_mem_1024 = Some(self.read_number(key, value, &at)),
            "kernel" => self.kernel = self.read_name(text()),
            "device_tree" => self.device_tree = self.read_name(text()),
            "armstub" => self.armstub = self.read_name(text()),
            "cmdline" => self.cmdline = self.read_name(text()),
            "os_prefix" => self.os_prefix = self.read_name(text()),
            "ramfsfile" => self.set_initramfs_files(value, None, at),
            "initramfs" | "include" => {
                let text = format!(
                    "`{key}` takes a space in place of =; the firmware loads nothing for this line"
                );
                self.note(at, text);
            }
            "dtoverlay" | "device_tree_overlay" => {
                self.add_device_tree_setting(DeviceTreeSetting::Overlay(value.into()), at)
            }
            "dtparam" | "device_tree_param" => {
                self.add_device_tree_setting(DeviceTreeSetting::Parameter(value.into()), at)
            }
            _ => {
                self.other
                    .extend(text().map(|setting| (key.into(), setting)));
            }
        }
    }

    /// A number as the firmware reads it, with a note when that may not be what was meant.
    fn read_number(&mut self, key: &str, value: &str, at: &Location) -> i64 {
        let (number, note) = match leading(value) {
            Some((number, "")) => return number,
            Some((number, rest)) => (
                number,
                format!("the firmware reads {key}={number} and passes over `{rest}`"),
            ),
            None => (
                0,
                format!("`{value}` is no number, the firmware reads {key}=0"),
            ),
        };
        self.note(at.clone(), note);
        number
    }

    /// A file's name, with a note when that may not be what was meant.
    fn read_name(&mut self, setting: Option<Sourced<String>>) -> Option<Sourced<String>> {
        let Sourced { value, at } = setting.as_ref()?;
        let what = match value {
            value if value.contains('#') => "comments stand on lines of their own; this one is",
            value if value.contains(['"', '\'']) => "quotes are",
            value if value.starts_with(|c: char| c.is_ascii_whitespace()) => "spaces behind = are",
            _ => return setting,
        };
        let text = format!("{what} part of the name `{value}`");
        self.note(at.clone(), text);
        setting
    }

    fn note(&mut self, at: Location, value: String) {
        self.notes.push(Sourced { value, at });
    }

    pub(super) fn set_initramfs(
        &mut self,
        arguments: &str,
        at: Location,
    ) -> Result<(), ConfigError> {
        let mut words = arguments.split_ascii_whitespace();
        let address = match (words.next(), words.next()) {
            (Some(files), None | Some("followkernel" | "0" | "-1")) => Some((files, None)),
            (Some(files), Some(address)) => {
                parse_number(address).map(|address| (files, Some(address)))
            }
            (None, _) => None,
        };
        let Some((files, address)) = address else {
            return Err(ConfigError::Initramfs { at });
        };
        self.set_initramfs_files(files, address, at);
        Ok(())
    }

    fn set_initramfs_files(&mut self, files: &str, address: Option<u32>, at: Location) {
        let files: Vec<String> = files
            .split(',')
            .filter(|file| !file.is_empty())
            .map(str::to_owned)
            .collect();
        let value = Initramfs { files, address };
        self.initramfs = (!value.files.is_empty()).then_some(Sourced { value, at });
    }

    fn add_device_tree_setting(&mut self, value: DeviceTreeSetting, at: Location) {
        self.device_tree_settings.push(Sourced { value, at });
    }
}
