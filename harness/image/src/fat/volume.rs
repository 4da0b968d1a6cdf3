//! A volume whose files can be read and written.
//!
//! Life cycle: [`FatVolume::format`] or [`FatVolume::open`], then read and write files, then [`FatVolume::finish`], which writes
//! everything to the image. A volume that is dropped instead leaves the image as it was, as far as its cache had not run full.
//! The same calls give the same bytes: time stamps are constant and the volume's identifier is the caller's.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use super::check::check_cached;
use super::directory::LONG_NAME;
use super::name::ENTRY;
use super::{FatError, FatKind, lookup};
use crate::page_cache::SharedCache;

/// A mounted volume on a disk `D`.
pub struct FatVolume<D: Read + Write + Seek> {
    file_system: fatfs::FileSystem<SharedCache<D>>,
    cache: SharedCache<D>,
}

impl<D: Read + Write + Seek> FatVolume<D> {
    /// Checks the volume in the bytes `window` of `disk`, and mounts it if it is sound. The library behind it would follow a
    /// chain that comes back to itself for ever.
    ///
    /// # Errors
    /// [`FatError::Damaged`], [`FatError::Read`], [`FatError::Mount`].
    pub fn open(disk: D, window: &Range<u64>) -> Result<Self, FatError> {
        let cache = SharedCache::new(disk, window);
        let report = check_cached(&cache, window)?;
        match report.damage() {
            Some(first) => Err(FatError::Damaged {
                first: first.clone(),
                others: report.findings.len() - 1 + report.omitted,
            }),
            None => Self::mount(cache),
        }
    }

    /// Mounts a volume that is known to be sound.
    pub(super) fn mount(mut cache: SharedCache<D>) -> Result<Self, FatError> {
        cache.rewind().map_err(FatError::Mount)?;
        let options = fatfs::FsOptions::new().time_provider(&ConstantTime);
        let file_system =
            fatfs::FileSystem::new(cache.clone(), options).map_err(FatError::Mount)?;
        Ok(Self { file_system, cache })
    }

    /// Counts the free clusters, which a FAT32 volume has on record.
    pub(super) fn count_free(&self) -> Result<(), FatError> {
        let stats = self.file_system.stats();
        stats.map(drop).map_err(FatError::WriteBack)
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
        let found = lookup::find(&self.cache, path).map_err(io_error("read", path))?;
        match found.filter(|found| !found.is_directory) {
            Some(file) => Ok(file.start),
            None => Err(FatError::NotFound(path.into())),
        }
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
    /// [`FatError::Io`].
    pub fn list(&self) -> Result<Vec<(String, u64)>, FatError> {
        let mut files = Vec::new();
        list_into(&self.file_system.root_dir(), "", &mut files)?;
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
    /// first two entries, and `..` has no cluster where it stands for the root directory; file system checkers take anything else
    /// for damage.
    fn straighten_directory(&self, path: &str) -> io::Result<()> {
        let mut cache = self.cache.clone();
        let found = lookup::find(&cache, path)?.and_then(|found| found.start);
        let start = found.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut entries = [[0; ENTRY]; 4];
        cache.seek(SeekFrom::Start(start))?;
        cache.read_exact(entries.as_flattened_mut())?;
        let [long_dot, dot, long_dot_dot, mut dot_dot] = entries;
        let is_long = |entry: &[u8; ENTRY]| entry.get(11) == Some(&LONG_NAME);
        if is_long(&long_dot)
            && dot.starts_with(b".  ")
            && is_long(&long_dot_dot)
            && dot_dot.starts_with(b".. ")
        {
            if !path.contains('/') {
                let [high, low] = [20..22, 26..28];
                dot_dot[high].fill(0);
                dot_dot[low].fill(0);
            }
            cache.seek(SeekFrom::Start(start))?;
            cache.write_all([dot, dot_dot, [0; ENTRY], [0; ENTRY]].as_flattened())?;
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

fn list_into<D: Read + Write + Seek>(
    directory: &fatfs::Dir<'_, SharedCache<D>>,
    path: &str,
    files: &mut Vec<(String, u64)>,
) -> Result<(), FatError> {
    for entry in directory.iter() {
        let entry = entry.map_err(io_error("list", path))?;
        let name = entry.file_name();
        match name.as_str() {
            "." | ".." => {}
            _ if entry.is_dir() => list_into(&entry.to_dir(), &format!("{path}/{name}"), files)?,
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
