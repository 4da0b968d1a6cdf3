//! The rules R-FW: what ROM and VideoCore want of the firmware partition.

use std::fs::File;

use super::{Findings, VerifyOptions, volume};
use crate::boot::{self, CONFIG_TXT, Stop};
use crate::config_txt::{BoardModel, Config, DeviceTreeSetting, Hardware};
use crate::fat::{FatKind, FatVolume};
use crate::netboot::optional;
use crate::partitions::Partition;
use crate::survey::rules;
use crate::survey::violation::Place;
use crate::{Disk, uboot_env};

/// A flattened device tree begins with this (Devicetree Specification 0.4, section 5.2).
const DEVICE_TREE_MAGIC: &[u8] = &[0xd0, 0x0d, 0xfe, 0xed];
/// Overlays that give the good UART to the console, in place of `enable_uart=1`.
const UART_OVERLAYS: &[&str] = &[
    "disable-bt",
    "miniuart-bt",
    "pi3-disable-bt",
    "pi3-miniuart-bt",
];

pub(super) fn check(disk: &Disk, options: &VerifyOptions<'_>, found: &mut Findings) {
    let Some(partition) = disk.table.firmware() else {
        found.add(rules::FW_1, Place::byte(446), "no partition has a FAT type");
        return;
    };
    let Some(volume) = volume::open(disk, partition, rules::FW_1, found) else {
        return;
    };
    if volume.kind() != FatKind::Fat16 {
        let what = format!("the file system is {}", volume.kind());
        found.add(rules::FW_2, Place::partition(partition), what);
    }
    check_environment(&volume, partition, found);
    for model in options.models {
        check_model(disk, partition, *model, found);
    }
}

/// The environment that U-Boot takes from the firmware partition, where there is one.
fn check_environment(volume: &FatVolume<&File>, partition: &Partition, found: &mut Findings) {
    let file = match optional(volume, uboot_env::FILE_NAME) {
        Ok(file) => file,
        Err(error) => {
            found.add(rules::FAT_1, Place::partition(partition), error);
            return;
        }
    };
    if let Some(Err(error)) = file.as_deref().map(uboot_env::decode) {
        let place = Place::file(partition, uboot_env::FILE_NAME);
        found.add(rules::FW_8, place, error);
    }
}

fn check_model(disk: &Disk, partition: &Partition, model: BoardModel, found: &mut Findings) {
    let hardware = Hardware { model, serial: 0 };
    let survey = boot::survey(disk, &hardware);
    for (stop, error) in &survey.stops {
        let rule = match stop {
            Stop::Partition => rules::FW_1,
            Stop::Start => rules::FW_3,
            Stop::Config => rules::FW_4,
            Stop::Kernel => rules::FW_5,
            Stop::DeviceTree => rules::FW_6,
        };
        let place = match error.file() {
            Some(file) => Place::file(partition, file),
            None => Place::partition(partition),
        };
        found.add(rule, place, format!("for {model}: {error}"));
    }
    if let Some((name, tree)) = &survey.device_tree
        && !tree.starts_with(DEVICE_TREE_MAGIC)
    {
        let place = Place::file(partition, name);
        found.add(
            rules::FW_6,
            place,
            format!("for {model}: this is no device tree"),
        );
    }
    if let Some(config) = &survey.config
        && !has_console(config)
    {
        let place = Place::file(partition, CONFIG_TXT);
        let what = format!("for {model}: nothing turns the serial console on and fixes its clock");
        found.add(rules::FW_7, place, what);
    }
}

fn has_console(config: &Config) -> bool {
    let is_overlay = |setting: &DeviceTreeSetting| match setting {
        DeviceTreeSetting::Overlay(text) => {
            let name = text.split([',', ':']).next().unwrap_or_default();
            UART_OVERLAYS.contains(&name)
        }
        DeviceTreeSetting::Parameter(_) => false,
    };
    config.enable_uart
        || config
            .device_tree_settings
            .iter()
            .any(|setting| is_overlay(&setting.value))
}
