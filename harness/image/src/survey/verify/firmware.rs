//! The rules R-FW: what ROM and VideoCore want of the firmware partition.

use std::fs::File;

use super::{Findings, VerifyOptions, volume};
use crate::boot::{self, Stage};
use crate::config_txt::{BoardModel, Hardware};
use crate::fat::{FatKind, FatVolume};
use crate::home::optional;
use crate::partitions::Partition;
use crate::survey::rules::{self, Rule};
use crate::survey::violation::Place;
use crate::{Disk, uboot_env};

pub(super) fn check(disk: &Disk, options: &VerifyOptions<'_>, found: &mut Findings) {
    let Some(partition) = disk.table.firmware() else {
        // A board whose firmware is not on the disk has no such partition.
        if !options.models.is_empty() {
            found.add(rules::FW_1, Place::byte(446), "no partition has a FAT type");
        }
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
        Err(error) => return found.unreadable(rules::FW_8, partition, uboot_env::FILE_NAME, error),
    };
    if let Some(Err(error)) = file.as_deref().map(uboot_env::decode) {
        let place = Place::file(partition, uboot_env::FILE_NAME);
        found.add(rules::FW_8, place, error);
    }
}

/// The rule that is broken by what stops a board at a stage.
fn rule_of(stage: Stage) -> Rule {
    match stage {
        Stage::Partition => rules::FW_1,
        Stage::Start => rules::FW_3,
        Stage::Config => rules::FW_4,
        Stage::Autoboot => rules::FW_4.with("correct autoboot.txt, or remove it"),
        Stage::Kernel => rules::FW_5,
        Stage::Initramfs => {
            rules::FW_5.with("copy each initramfs to the name that config.txt gives, and name it once; or take the line out")
        }
        Stage::CommandLine => {
            rules::FW_5.with("let the file of the command line be a text file of 64 KiB at most, or remove it")
        }
        Stage::DeviceTree => rules::FW_6,
        Stage::Console => rules::FW_7,
        Stage::Mode => rules::FW_9,
        Stage::Emulation => rules::FW_10,
    }
}

fn check_model(disk: &Disk, partition: &Partition, model: BoardModel, found: &mut Findings) {
    let hardware = Hardware { model, serial: 0 };
    let evaluation = boot::evaluate(disk, &hardware);
    for (stage, error) in &evaluation.stops {
        let rule = rule_of(*stage);
        let rule = error.remedy().map_or(rule, |remedy| rule.with(remedy));
        let place = Place {
            partition: Some(evaluation.partition.unwrap_or(partition.number)),
            ..match error.file() {
                Some(file) => Place::file(partition, file),
                None => Place::partition(partition),
            }
        };
        found.add(rule, place, format!("for {model}: {error}"));
    }
    found.note(model, &evaluation.notes);
}
