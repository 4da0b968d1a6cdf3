//! What the firmware would load, looked over without stopping at the first thing that is missing.

use super::{BootPartition, FirmwareError, Wanted, boot_partition};
use crate::Disk;
use crate::config_txt::{Config, Hardware};

/// What the firmware of a board makes of an image.
#[derive(Debug, Default)]
pub struct Survey {
    /// The settings that apply to the board.
    pub config: Option<Config>,
    /// The boot loader's name and contents.
    pub kernel: Option<(String, Vec<u8>)>,
    /// The device tree's name and contents.
    pub device_tree: Option<(String, Vec<u8>)>,
    /// Everything that would stop it.
    pub stops: Vec<(Stop, FirmwareError)>,
}

/// Where the firmware would stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// At the search for its partition.
    Partition,
    /// At its own files.
    Start,
    /// At its settings.
    Config,
    /// At the boot loader, or a RAM file system for it.
    Kernel,
    /// At the device tree.
    DeviceTree,
}

/// Looks over what the firmware of `hardware` would do with an image.
#[must_use]
pub fn survey(disk: &Disk, hardware: &Hardware) -> Survey {
    let mut survey = Survey::default();
    if let Err(stop) = survey.look(disk, hardware) {
        survey.stops.push(stop);
    }
    survey
}

impl Survey {
    fn look(&mut self, disk: &Disk, hardware: &Hardware) -> Result<(), (Stop, FirmwareError)> {
        let at = |stop| move |error: FirmwareError| (stop, error);
        let partition = boot_partition(disk, &mut Vec::new()).map_err(at(Stop::Partition))?;
        let volume = disk
            .volume(partition)
            .map_err(|e| (Stop::Partition, e.into()))?;
        let boot = BootPartition {
            image: disk.path(),
            number: partition.number,
            volume,
        };
        let config = boot.config(hardware).map_err(at(Stop::Config))?;
        let config = self.config.insert(config).clone();
        for wanted in super::firmware_files(&config) {
            self.read(&boot, &wanted, Stop::Start);
        }
        let names = boot
            .names(&config, hardware)
            .map_err(at(Stop::DeviceTree))?;
        self.kernel = self.read(&boot, &names.kernel, Stop::Kernel);
        self.device_tree = self.read(&boot, &names.device_tree, Stop::DeviceTree);
        for wanted in names.initramfs(&config) {
            self.read(&boot, &wanted, Stop::Kernel);
        }
        Ok(())
    }

    /// A file with its name; what stands in the way is noted.
    fn read(
        &mut self,
        boot: &BootPartition<'_>,
        wanted: &Wanted,
        stop: Stop,
    ) -> Option<(String, Vec<u8>)> {
        match boot.read(wanted) {
            Ok(contents) => Some((wanted.name.clone(), contents)),
            Err(error) => {
                self.stops.push((stop, error));
                None
            }
        }
    }
}
