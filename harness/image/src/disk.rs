//! An image opened for reading: the file, its partition table, its volumes.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::ImageError;
use super::fat::FatVolume;
use super::partitions::{Partition, PartitionTable};
use super::source::Source;

/// A raw image. It is open for reading only.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    file: File,
    /// Its partition table, with whatever faults it has.
    pub table: PartitionTable,
}

impl Disk {
    /// Opens an image and reads its partition table.
    ///
    /// # Errors
    /// [`ImageError::Io`], [`ImageError::Table`] when there is no table at all.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let file = File::open(path).map_err(ImageError::io("open", path))?;
        Self::from_file(file, path)
    }

    /// The same of an image that was opened already.
    ///
    /// # Errors
    /// As for [`Disk::open`].
    pub fn of(source: &Source) -> Result<Self, ImageError> {
        let file = source.file().try_clone();
        let file = file.map_err(ImageError::io("open", &source.name))?;
        Self::from_file(file, &source.name)
    }

    pub(super) fn from_file(file: File, path: &Path) -> Result<Self, ImageError> {
        let table = PartitionTable::read(&mut &file).map_err(ImageError::table(path))?;
        Ok(Self {
            path: path.into(),
            file,
            table,
        })
    }

    /// The image's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The image's file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The EFI system partition.
    ///
    /// # Errors
    /// [`ImageError::NoPartition`].
    pub fn esp(&self) -> Result<&Partition, ImageError> {
        self.table.esp().ok_or_else(|| ImageError::NoPartition {
            path: self.path.clone(),
            what: "EFI system partition (type 0xef in an MBR)",
        })
    }

    /// Mounts the FAT file system of a partition.
    ///
    /// # Errors
    /// [`ImageError::Fat`].
    pub fn volume(&self, partition: &Partition) -> Result<FatVolume<&File>, ImageError> {
        FatVolume::open(&self.file, &partition.bytes())
            .map_err(ImageError::fat(&self.path, partition.number))
    }
}
