//! A FAT file system inside a disk image.
//!
//! Life cycle: [`FatVolume::format`] or [`FatVolume::open`], then read and write files, then [`FatVolume::finish`], which writes
//! everything to the image. A volume that is dropped instead leaves the image as it was, as far as its cache had not run full.
//! The same calls give the same bytes: time stamps are constant and the volume's identifier is the caller's.
//! Layout: Microsoft, "FAT: General Overview of On-Disk Format", version 1.03.

mod clusters;

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

pub(crate) use clusters::ClusterMap;

use super::page_cache::SharedCache;
use super::partitions::SECTOR;

/// Directories deeper than this are refused when listing: no image needs them, and a damaged one may have a loop.
const MAX_DEPTH: usize = 16;
/// Files and directories listed at most.
const MAX_ENTRIES: usize = 65_536;
/// Offset of the field `BPB_HiddSec` in the boot sector: sectors in front of the volume.
const HIDDEN_SECTORS_OFFSET: u64 = 0x1c;
/// Bytes of an entry in a directory.
const DIRECTORY_ENTRY: usize = 32;
/// The attribute byte of an entry that holds a part of a long name.
const LONG_NAME_ATTRIBUTE: u8 = 0x0f;
/// Where a FAT32 volume has the copy of its boot sector.
const FAT32_BACKUP_BOOT_SECTOR: u64 = 6;

/// The width of a volume's allocation table. The number of clusters decides it, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FatKind {
    /// Found on small images; never made here.
    Fat12,
    /// 4 MiB to 2 GiB, the kind that the ROM of every Pi reads.
    Fat16,
    /// From 34 MiB.
    Fat32,
}

/// What a new volume is to be.
#[derive(Debug, Clone, Copy)]
pub struct FatFormat {
    /// Width of the table.
    pub kind: FatKind,
    /// Serial number of the volume.
    pub volume_id: u32,
    /// Label, upper case, padded with spaces.
    pub label: [u8; 11],
}

/// What can go wrong in a FAT file system.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// The boot sector is not one of a FAT file system.
    #[error("no FAT file system: {0}")]
    NoFileSystem(io::Error),
    /// The volume cannot be made as asked for.
    #[error("cannot make a {kind:?} file system of {size} bytes")]
    Format {
        /// Width of the table asked for.
        kind: FatKind,
        /// Size of the partition.
        size: u64,
    },
    /// A file is not there.
    #[error("{0} does not exist")]
    NotFound(String),
    /// Reading or writing a file failed.
    #[error("cannot {action} {file}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file, by its path in the volume.
        file: String,
        /// What went wrong.
        source: io::Error,
    },
    /// A file is larger than the caller wants to hold in memory.
    #[error("{file} has {size} bytes, more than the {limit} it may have")]
    TooLarge {
        /// The file, by its path in the volume.
        file: String,
        /// Its size.
        size: u64,
        /// The largest size accepted.
        limit: u64,
    },
    /// The boot sector contradicts itself, or describes a volume that does not fit into its partition.
    #[error("the boot sector describes a volume that cannot be in this partition")]
    Geometry,
    /// The directories do not end.
    #[error(
        "{0}: directories are nested too deeply or hold too many files; is the file system damaged?"
    )]
    Endless(String),
    /// The disk did not take the data.
    #[error("cannot write the file system: {0}")]
    WriteBack(io::Error),
}

/// A mounted volume on a disk `D`.
pub struct FatVolume<D: Read + Write + Seek> {
    file_system: fatfs::FileSystem<SharedCache<D>>,
    cache: SharedCache<D>,
}

impl<D: Read + Write + Seek> FatVolume<D> {
    /// Makes an empty volume of the bytes `window` of `disk`, which must hold zeros.
    ///
    /// # Errors
    /// [`FatError::Format`] when the size does not suit the kind, [`FatError::WriteBack`] when the disk fails.
    pub fn format(disk: D, window: &Range<u64>, format: &FatFormat) -> Result<Self, FatError> {
        let size = window.end.saturating_sub(window.start);
        let unsuitable = || FatError::Format {
            kind: format.kind,
            size,
        };
        let cluster = cluster_size(format.kind, size).ok_or_else(unsuitable)?;
        let kind = match format.kind {
            FatKind::Fat12 => fatfs::FatType::Fat12,
            FatKind::Fat16 => fatfs::FatType::Fat16,
            FatKind::Fat32 => fatfs::FatType::Fat32,
        };
        let options = fatfs::FormatVolumeOptions::new()
            .fat_type(kind)
            .bytes_per_cluster(cluster)
            .heads(255)
            .sectors_per_track(63)
            .volume_id(format.volume_id)
            .volume_label(format.label);
        let mut cache = SharedCache::new(disk, window);
        fatfs::format_volume(&mut cache, options).map_err(|_| unsuitable())?;
        set_hidden_sectors(&mut cache, window.start / SECTOR, format.kind)
            .map_err(FatError::WriteBack)?;
        let volume = Self::mount(cache)?;
        // Counts the free clusters, which a FAT32 volume has on record.
        volume.file_system.stats().map_err(FatError::WriteBack)?;
        if volume.kind() == format.kind {
            Ok(volume)
        } else {
            Err(unsuitable())
        }
    }

    /// Mounts the volume in the bytes `window` of `disk`.
    ///
    /// # Errors
    /// [`FatError::NoFileSystem`].
    pub fn open(disk: D, window: &Range<u64>) -> Result<Self, FatError> {
        Self::mount(SharedCache::new(disk, window))
    }

    fn mount(mut cache: SharedCache<D>) -> Result<Self, FatError> {
        cache.rewind().map_err(FatError::NoFileSystem)?;
        let options = fatfs::FsOptions::new().time_provider(&ConstantTime);
        let file_system =
            fatfs::FileSystem::new(cache.clone(), options).map_err(FatError::NoFileSystem)?;
        Ok(Self { file_system, cache })
    }

    /// Width of the volume's table.
    #[must_use]
    pub fn kind(&self) -> FatKind {
        match self.file_system.fat_type() {
            fatfs::FatType::Fat12 => FatKind::Fat12,
            fatfs::FatType::Fat16 => FatKind::Fat16,
            fatfs::FatType::Fat32 => FatKind::Fat32,
        }
    }

    /// Whether there is a file (not a directory) at `path`.
    #[must_use]
    pub fn has_file(&self, path: &str) -> bool {
        self.file_system.root_dir().open_file(path).is_ok()
    }

    /// The volume's label.
    #[must_use]
    pub fn label(&self) -> String {
        self.file_system.volume_label()
    }

    /// Bytes that no file has.
    ///
    /// # Errors
    /// [`FatError::Io`] when the allocation table cannot be read.
    pub fn free_bytes(&self) -> Result<u64, FatError> {
        let stats = self.file_system.stats();
        let stats = stats.map_err(io_error("count the free clusters of", "the volume"))?;
        Ok(u64::from(stats.free_clusters()) * u64::from(stats.cluster_size()))
    }

    /// Where in the volume a file's first byte is, in bytes; `None` for an empty file.
    ///
    /// # Errors
    /// [`FatError::NotFound`], [`FatError::Io`].
    pub(crate) fn first_byte(&self, path: &str) -> Result<Option<u64>, FatError> {
        let failed = io_error("read", path);
        let mut file = self
            .file_system
            .root_dir()
            .open_file(path)
            .map_err(&failed)?;
        // Whoever reads a file begins at its first cluster, which the library tells nobody in another way.
        let cache = self.cache.clone();
        cache.take_first_read();
        let length = file.read(&mut [0]).map_err(&failed)?;
        Ok(cache.take_first_read().filter(|_| length != 0))
    }

    /// The contents of a file of at most `limit` bytes. Paths are separated by `/`, case does not matter.
    ///
    /// # Errors
    /// [`FatError::NotFound`], [`FatError::TooLarge`], [`FatError::Io`].
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, FatError> {
        let failed = io_error("read", path);
        let mut file = self
            .file_system
            .root_dir()
            .open_file(path)
            .map_err(&failed)?;
        let size = file.seek(SeekFrom::End(0)).map_err(&failed)?;
        if size > limit {
            return Err(FatError::TooLarge {
                file: path.into(),
                size,
                limit,
            });
        }
        file.rewind().map_err(&failed)?;
        let mut contents = Vec::new();
        file.take(limit)
            .read_to_end(&mut contents)
            .map_err(&failed)?;
        if contents.len() as u64 != size {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(contents)
    }

    /// Every file with its size in bytes, by path, in the order of the directories.
    ///
    /// # Errors
    /// [`FatError::Io`], and [`FatError::Endless`] for a volume that no sane tool has made.
    pub fn list(&self) -> Result<Vec<(String, u64)>, FatError> {
        let mut files = Vec::new();
        let mut rest = MAX_ENTRIES;
        list_into(&self.file_system.root_dir(), "", 0, &mut rest, &mut files)?;
        Ok(files)
    }

    /// Writes a file, and the directories above it. A file that exists is replaced, and no byte of what it held stays in the
    /// volume.
    ///
    /// # Errors
    /// [`FatError::Io`] when the volume is full or damaged, or a name is not a FAT name.
    pub fn write(&self, path: &str, mut contents: impl Read) -> Result<(), FatError> {
        self.remove(path)?;
        let root = self.file_system.root_dir();
        let separators = path.trim_matches('/').match_indices('/');
        for (end, _) in separators {
            let directory = path.trim_matches('/').get(..end).unwrap_or_default();
            let failed = io_error("make directory", directory);
            root.create_dir(directory).map_err(&failed)?;
            self.straighten_directory(directory).map_err(&failed)?;
        }
        let failed = io_error("write", path);
        let mut file = root.create_file(path).map_err(&failed)?;
        io::copy(&mut contents, &mut file).map_err(&failed)?;
        file.flush().map_err(&failed)
    }

    /// Takes the long names away that version 0.3 of the library gives to `.` and `..` in a new directory. They must be its
    /// first two entries; file system checkers take anything else for damage.
    fn straighten_directory(&self, path: &str) -> io::Result<()> {
        let directory = self.file_system.root_dir().open_dir(path)?;
        let mut cache = self.cache.clone();
        cache.take_first_read();
        // Whoever reads a directory begins at its first cluster, which the library tells nobody in another way.
        directory.iter().next().transpose()?;
        let start = cache.take_first_read();
        let start = start.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut entries = [[0; DIRECTORY_ENTRY]; 4];
        cache.seek(SeekFrom::Start(start))?;
        cache.read_exact(entries.as_flattened_mut())?;
        let [long_dot, dot, long_dot_dot, dot_dot] = entries;
        let is_long = |entry: &[u8; DIRECTORY_ENTRY]| entry.get(11) == Some(&LONG_NAME_ATTRIBUTE);
        if is_long(&long_dot)
            && dot.starts_with(b".  ")
            && is_long(&long_dot_dot)
            && dot_dot.starts_with(b".. ")
        {
            cache.seek(SeekFrom::Start(start))?;
            cache.write_all(
                [dot, dot_dot, [0; DIRECTORY_ENTRY], [0; DIRECTORY_ENTRY]].as_flattened(),
            )?;
        }
        Ok(())
    }

    /// Removes a file if it exists, after zeroing every cluster it had.
    ///
    /// # Errors
    /// [`FatError::Io`].
    pub fn remove(&self, path: &str) -> Result<(), FatError> {
        let failed = io_error("remove", path);
        let root = self.file_system.root_dir();
        let mut file = match root.open_file(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let size = file.seek(SeekFrom::End(0)).map_err(&failed)?;
        file.rewind().map_err(&failed)?;
        // To the end of the last cluster, where an older and longer version may have left its tail.
        let zeros = size.next_multiple_of(u64::from(self.file_system.cluster_size()));
        io::copy(&mut io::repeat(0).take(zeros), &mut file).map_err(&failed)?;
        file.flush().map_err(&failed)?;
        drop(file);
        root.remove(path).map_err(&failed)
    }

    /// Writes everything to the disk.
    ///
    /// # Errors
    /// [`FatError::WriteBack`].
    pub fn finish(self) -> Result<(), FatError> {
        self.file_system.unmount().map_err(FatError::WriteBack)?;
        self.cache.write_back().map_err(FatError::WriteBack)
    }
}

/// The smallest cluster with which a volume of `size` bytes has few enough of them for its kind, or `None`.
fn cluster_size(kind: FatKind, size: u64) -> Option<u32> {
    // From the specification, with some room below each limit for the tables, which the library subtracts exactly.
    let clusters = match kind {
        FatKind::Fat12 => 1..4085,
        FatKind::Fat16 => 4120..65_525,
        FatKind::Fat32 => 66_000..1 << 28,
    };
    // More than the smallest possible number of clusters costs time and table space; 4 KiB is what FAT32 tools choose.
    let smallest: u32 = if kind == FatKind::Fat32 && size >= 512 << 20 {
        4096
    } else {
        512
    };
    let sizes = std::iter::successors(Some(smallest), |size| size.checked_mul(2))
        .take_while(|size| *size <= 32_768);
    sizes
        .into_iter()
        .find(|cluster| clusters.contains(&(size / u64::from(*cluster))))
}

/// The library leaves the field 0, which is right only for a volume without a partition table in front.
fn set_hidden_sectors<D: Write + Seek>(
    cache: &mut D,
    sectors: u64,
    kind: FatKind,
) -> io::Result<()> {
    let sectors = u32::try_from(sectors).map_err(|_| io::ErrorKind::InvalidInput)?;
    let copies: &[u64] = match kind {
        FatKind::Fat32 => &[0, FAT32_BACKUP_BOOT_SECTOR],
        FatKind::Fat12 | FatKind::Fat16 => &[0],
    };
    for sector in copies {
        cache.seek(SeekFrom::Start(sector * SECTOR + HIDDEN_SECTORS_OFFSET))?;
        cache.write_all(&sectors.to_le_bytes())?;
    }
    Ok(())
}

fn list_into<D: Read + Write + Seek>(
    directory: &fatfs::Dir<'_, SharedCache<D>>,
    path: &str,
    depth: usize,
    rest: &mut usize,
    files: &mut Vec<(String, u64)>,
) -> Result<(), FatError> {
    for entry in directory.iter() {
        let entry = entry.map_err(io_error("list", path))?;
        *rest = rest.saturating_sub(1);
        if depth > MAX_DEPTH || *rest == 0 {
            return Err(FatError::Endless(path.into()));
        }
        let name = entry.file_name();
        match name.as_str() {
            "." | ".." => {}
            _ if entry.is_dir() => {
                let path = format!("{path}/{name}");
                list_into(&entry.to_dir(), &path, depth + 1, rest, files)?
            }
            _ => files.push((format!("{path}/{name}"), entry.len())),
        }
    }
    Ok(())
}

fn io_error<'a>(action: &'static str, file: &'a str) -> impl Fn(io::Error) -> FatError + use<'a> {
    move |source| match source.kind() {
        io::ErrorKind::NotFound => FatError::NotFound(file.into()),
        _ => FatError::Io {
            action,
            file: file.into(),
            source,
        },
    }
}

/// Every time stamp is the first that FAT can say. When a file was written into an image says nothing about the file, and a
/// constant keeps equal inputs at equal bytes.
#[derive(Debug)]
struct ConstantTime;

impl fatfs::TimeProvider for ConstantTime {
    fn get_current_date(&self) -> fatfs::Date {
        fatfs::Date {
            year: 1980,
            month: 1,
            day: 1,
        }
    }

    fn get_current_date_time(&self) -> fatfs::DateTime {
        fatfs::DateTime {
            date: self.get_current_date(),
            time: fatfs::Time {
                hour: 0,
                min: 0,
                sec: 0,
                millis: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests;
