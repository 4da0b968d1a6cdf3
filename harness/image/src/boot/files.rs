//! Files on a firmware partition, read with a reason and within bounds.

use std::cell::Cell;
use std::fs::File;
use std::path::Path;

use super::{CONFIG_TXT, FirmwareError};
use crate::config_txt::Sourced;
use crate::fat::{FatError, FatVolume};
use crate::partitions::Partition;
use crate::{Disk, ImageError, LIMITS};

/// A file on the firmware partition, and what asks for it.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) reason: String,
}

impl Wanted {
    /// The file that `setting` names, or else `default`.
    pub(super) fn new(setting: Option<&Sourced<String>>, key: &str, default: &str) -> Self {
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
    pub(super) fn prefixed(self, prefix: &str) -> Self {
        let name = match self.name.strip_prefix('/') {
            Some(absolute) => absolute.to_owned(),
            None => format!("{prefix}{}", self.name),
        };
        Self { name, ..self }
    }
}

/// A partition that the firmware reads.
pub(super) struct BootPartition<'a> {
    image: &'a Path,
    pub(super) number: u32,
    pub(super) volume: FatVolume<&'a File>,
    /// Bytes that RAM file systems may still take.
    initramfs_left: Cell<u64>,
}

impl<'a> BootPartition<'a> {
    pub(super) fn open(disk: &'a Disk, partition: &Partition) -> Result<Self, FirmwareError> {
        Ok(Self {
            image: disk.path(),
            number: partition.number,
            volume: disk.volume(partition)?,
            initramfs_left: Cell::new(LIMITS.initramfs),
        })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.volume.has_file(name)
    }

    /// A program; it must be there and hold something.
    pub(super) fn read(&self, wanted: &Wanted) -> Result<Vec<u8>, FirmwareError> {
        self.read_at_most(wanted, LIMITS.program)
    }

    /// A RAM file system, of which all together have a bound.
    pub(super) fn read_initramfs(&self, wanted: &Wanted) -> Result<Vec<u8>, FirmwareError> {
        let left = self.initramfs_left.get();
        let contents = self.read_at_most(wanted, left)?;
        self.initramfs_left
            .set(left.saturating_sub(contents.len() as u64));
        Ok(contents)
    }

    pub(super) fn read_at_most(
        &self,
        wanted: &Wanted,
        limit: u64,
    ) -> Result<Vec<u8>, FirmwareError> {
        match self.read_optional(&wanted.name, limit)? {
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

    pub(super) fn read_optional(
        &self,
        name: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, FirmwareError> {
        match self.volume.read(name, limit) {
            Ok(contents) => Ok(Some(contents)),
            Err(FatError::NotFound(_)) => Ok(None),
            Err(source @ (FatError::Io { .. } | FatError::TooLarge { .. })) => {
                Err(FirmwareError::Unreadable {
                    partition: self.number,
                    file: name.into(),
                    source,
                })
            }
            Err(error) => Err(ImageError::fat(self.image, self.number)(error).into()),
        }
    }
}
