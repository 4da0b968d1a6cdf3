//! The settings that matter for starting a kernel, typed; all others as text.

use std::collections::BTreeMap;

use super::filter::parse_number;
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
    /// `arm_64bit`: the kernel is started in 64-bit mode.
    pub arm_64bit: bool,
    /// `enable_uart`: the mini UART is on, and the core clock fixed so that its baud rate stays right.
    pub enable_uart: bool,
    /// `upstream_kernel`: mainline names of device trees, and `os_prefix=upstream/`.
    pub upstream_kernel: bool,
    /// `core_freq` in MHz.
    pub core_freq: Option<u32>,
    /// `gpu_mem` in MiB.
    pub gpu_mem: Option<u32>,
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
    /// A setting of [`Config::other`] that is a flag: whether it is there and not 0.
    #[must_use]
    pub fn is_set(&self, key: &str) -> bool {
        let value = self
            .other
            .get(key)
            .and_then(|setting| parse_number(&setting.value));
        value.is_some_and(|value| value != 0)
    }

    pub(super) fn set(&mut self, key: &str, value: &str, at: Location) -> Result<(), ConfigError> {
        let text = || {
            Some(Sourced {
                value: value.to_owned(),
                at: at.clone(),
            })
        };
        let number = || {
            parse_number(value).ok_or_else(|| ConfigError::NotANumber {
                at: at.clone(),
                key: key.into(),
                value: value.into(),
            })
        };
        match key {
            "arm_64bit" => self.arm_64bit = number()? != 0,
            "enable_uart" => self.enable_uart = number()? != 0,
            "upstream_kernel" => self.upstream_kernel = number()? != 0,
            "core_freq" => self.core_freq = Some(number()?),
            "gpu_mem" => self.gpu_mem = Some(number()?),
            "kernel" => self.kernel = text(),
            "device_tree" => self.device_tree = text(),
            "armstub" => self.armstub = text(),
            "cmdline" => self.cmdline = text(),
            "os_prefix" => self.os_prefix = text(),
            "ramfsfile" => self.set_initramfs_files(value, None, at),
            "dtoverlay" | "device_tree_overlay" => {
                self.add_device_tree_setting(DeviceTreeSetting::Overlay(value.into()), at)
            }
            "dtparam" | "device_tree_param" => {
                self.add_device_tree_setting(DeviceTreeSetting::Parameter(value.into()), at)
            }
            _ => {
                if key.contains(char::is_whitespace) {
                    let text =
                        format!("no setting is called `{key}`; take the spaces before = away");
                    self.notes.push(Sourced {
                        value: text,
                        at: at.clone(),
                    });
                }
                self.other
                    .extend(text().map(|setting| (key.into(), setting)));
            }
        }
        Ok(())
    }

    pub(super) fn set_initramfs(
        &mut self,
        arguments: &str,
        at: Location,
    ) -> Result<(), ConfigError> {
        let mut words = arguments.split_whitespace();
        let address = match (words.next(), words.next()) {
            (Some(files), None | Some("followkernel" | "0")) => Some((files, None)),
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
