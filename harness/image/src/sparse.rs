//! Files that are written beside their place and moved there when complete, and copies that keep holes.

use std::cell::Cell;
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, SeekFrom};
use tempfile::NamedTempFile;

use super::ImageError;
use super::page_cache::is_zero;

/// Copied at once; zeros shorter than this are copied as they are.
const CHUNK: usize = 64 * 1024;
/// Of a stream, zeros as long as a block of the usual file systems become a hole.
const BLOCK: usize = 4096;

/// A file that becomes `path` by [`Output::commit`], and vanishes when dropped before, or when the process is killed.
pub(super) struct Output<'a> {
    path: &'a Path,
    file: Unfinished,
}

/// A file that is not in its place yet.
enum Unfinished {
    /// It has no name, and so leaves nothing behind (`O_TMPFILE`).
    Nameless(File),
    /// On file systems that have no files without a name.
    Named(NamedTempFile),
}

impl<'a> Output<'a> {
    /// An empty file of `size` bytes, all of them a hole, in the folder of `path`. The system's umask narrows `mode`.
    pub(super) fn create(path: &'a Path, size: u64, mode: u32) -> Result<Self, ImageError> {
        let failed = ImageError::io("create", path);
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = match rustix::fs::open(directory(path), flags, Mode::from_raw_mode(mode)) {
            Ok(nameless) => Unfinished::Nameless(nameless.into()),
            Err(_) => {
                let mut builder = builder();
                builder.permissions(Permissions::from_mode(mode));
                let named = builder.tempfile_in(directory(path)).map_err(&failed)?;
                Unfinished::Named(named)
            }
        };
        let output = Self { path, file };
        output.file().set_len(size).map_err(&failed)?;
        Ok(output)
    }

    /// The file to write to.
    pub(super) fn file(&self) -> &File {
        match &self.file {
            Unfinished::Nameless(file) => file,
            Unfinished::Named(file) => file.as_file(),
        }
    }

    /// Moves the file to its place. Where it takes the place of another, it is written to the disk first: after a power cut there is the old
    /// one or the new one, and no empty one.
    pub(super) fn commit(self) -> Result<(), ImageError> {
        let path = self.path;
        let failed = ImageError::io("write", path);
        if path.exists() {
            self.file().sync_all().map_err(&failed)?;
        }
        match self.file {
            Unfinished::Named(file) => {
                let persisted = file.persist(path).map(drop);
                persisted.map_err(|error| failed(error.error))
            }
            Unfinished::Nameless(file) => {
                let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
                // A link cannot take the place of another file, a file with a name can.
                let named = builder().make_in(directory(path), |name| {
                    let follow = AtFlags::SYMLINK_FOLLOW;
                    Ok(rustix::fs::linkat(CWD, &nameless, CWD, name, follow)?)
                });
                let persisted = named.map_err(&failed)?.persist(path).map(drop);
                persisted.map_err(|error| failed(error.error))
            }
        }
    }
}

/// The folder of a file.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".image-");
    builder
}

/// Copies `source` into `target` from byte `offset` on, except for zeros, which `target` must have there already.
pub(super) fn copy(source: &File, target: &File, offset: u64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    for Range { start, end } in data_extents(source)? {
        copy_extent(source, target, start, end, offset, &mut buffer)?;
    }
    Ok(())
}

/// Bounds of a stream.
#[derive(Debug)]
pub(super) struct StreamLimits<'a> {
    /// Bytes, holes included.
    pub(super) size: u64,
    /// Bytes that are written.
    pub(super) data: u64,
    /// Bytes of the archive that the stream is unpacked from, as far as it has been read.
    pub(super) taken: Option<&'a Cell<u64>>,
}

impl StreamLimits<'_> {
    /// Data that an archive may hold whatever its size.
    const FREE: u64 = 1 << 30;
    /// Data for each byte of an archive past that. Disk images are packed to a third, seldom to a fiftieth.
    const RATIO: u64 = 1000;

    fn check(&self, size: u64, data: u64) -> io::Result<()> {
        let Self {
            size: most,
            data: most_data,
            ..
        } = self;
        let taken = self.taken.map_or(u64::MAX, Cell::get);
        let text = match () {
            () if size > *most => format!("it has more than {most} bytes"),
            () if data > *most_data => {
                format!("it has more than {most_data} bytes that are not zero")
            }
            () if data > Self::FREE && data / Self::RATIO > taken => {
                format!("it unpacks to more than {} times its size", Self::RATIO)
            }
            () => return Ok(()),
        };
        Err(io::Error::other(text))
    }
}

/// Copies what `source` gives, within `limits`, to the start of `target`, an empty file. Zeros become holes.
pub(super) fn copy_stream(
    source: &mut dyn Read,
    target: &File,
    limits: &StreamLimits<'_>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    let mut data = 0;
    loop {
        let length = read_full(source, &mut buffer)?;
        limits.check(at + length as u64, data)?;
        for (block, bytes) in (0..).zip(buffer.get(..length).unwrap_or_default().chunks(BLOCK)) {
            if !is_zero(bytes) {
                target.write_all_at(bytes, at + block * BLOCK as u64)?;
                data += bytes.len() as u64;
            }
        }
        at += length as u64;
        if length < CHUNK {
            return target.set_len(at);
        }
    }
}

/// Reads until `buffer` is full or the source has ended.
fn read_full(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Where `file` has data, as far as its file system knows, in order. Everything else is zeros.
pub(super) fn data_extents(file: &File) -> io::Result<Vec<Range<u64>>> {
    let mut extents = Vec::new();
    let mut position = 0;
    while let Some(data) = next_data(file, position)? {
        position = rustix::fs::seek(file, SeekFrom::Hole(data))?;
        extents.push(data..position);
    }
    Ok(extents)
}

/// Makes the bytes `range` of a file zero. What is zero already is not written, so that holes stay.
pub(super) fn zero(file: &File, range: &Range<u64>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    for extent in data_extents(file)? {
        let mut at = extent.start.max(range.start);
        let end = extent.end.min(range.end);
        while at < end {
            let length = (end - at).min(CHUNK as u64) as usize;
            let bytes = buffer.get_mut(..length).unwrap_or_default();
            file.read_exact_at(bytes, at)?;
            if !is_zero(bytes) {
                bytes.fill(0);
                file.write_all_at(bytes, at)?;
            }
            at += length as u64;
        }
    }
    Ok(())
}

/// The first byte at or behind `position` that is in no hole, or `None` when only holes follow.
fn next_data(file: &File, position: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, SeekFrom::Data(position)) {
        Ok(data) => Ok(Some(data)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn copy_extent(
    mut source: &File,
    mut target: &File,
    from: u64,
    to: u64,
    offset: u64,
    buffer: &mut [u8],
) -> io::Result<()> {
    source.seek(io::SeekFrom::Start(from))?;
    let mut rest = source.take(to - from);
    let mut at = offset + from;
    loop {
        let length = match rest.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        if !is_zero(bytes) {
            target.seek(io::SeekFrom::Start(at))?;
            target.write_all(bytes)?;
        }
        at += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn streams_are_bounded() {
        let limits = |taken| StreamLimits {
            size: 64 << 30,
            data: 16 << 30,
            taken: Some(taken),
        };
        let (little, much) = (Cell::new(1 << 20), Cell::new(1 << 30));
        assert!(
            limits(&little).check(8 << 30, 1 << 30).is_ok(),
            "zeros are free"
        );
        assert!(limits(&little).check(8 << 30, 2 << 30).is_err());
        assert!(limits(&much).check(8 << 30, 2 << 30).is_ok());
        assert!(limits(&much).check(20 << 30, 17 << 30).is_err());
        assert!(limits(&much).check(65 << 30, 0).is_err());
    }

    #[test]
    fn what_is_not_finished_has_no_name_and_what_is_takes_the_place_of_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        let entries = || std::fs::read_dir(&directory).unwrap().count();
        for contents in [b"one", b"two"] {
            let before = entries();
            let output = Output::create(&path, 3, 0o600).unwrap();
            output.file().write_all_at(contents, 0).unwrap();
            let has_no_name = matches!(output.file, Unfinished::Nameless(_));
            assert!(
                !has_no_name || entries() == before,
                "a killed process leaves it"
            );
            output.commit().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), contents);
            assert_eq!(entries(), 1);
        }
        drop(Output::create(&path, 3, 0o600).unwrap());
        assert_eq!(
            (entries(), std::fs::read(&path).unwrap()),
            (1, b"two".to_vec())
        );
        let nowhere = directory.path().join("gone/image");
        assert!(Output::create(&nowhere, 3, 0o600).is_err());
    }

    #[test]
    fn a_copy_has_the_same_bytes_and_stays_sparse() {
        let directory = tempfile::tempdir().unwrap();
        let source = tempfile::tempfile_in(&directory).unwrap();
        source.set_len(16 << 20).unwrap();
        source.write_all_at(b"front", 0).unwrap();
        source.write_all_at(b"middle", (8 << 20) + 77).unwrap();
        source.write_all_at(&[0; 1 << 20], 10 << 20).unwrap();
        let path = directory.path().join("copy");
        let output = Output::create(&path, (16 << 20) + 512, 0o600).unwrap();
        copy(&source, output.file(), 512).unwrap();
        assert!(
            !path.exists(),
            "the file must appear only when it is complete"
        );
        output.commit().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), (16 << 20) + 512);
        assert!(bytes[512..].starts_with(b"front"));
        assert!(bytes[512 + (8 << 20) + 77..].starts_with(b"middle"));
        assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 11);
        let metadata = path.metadata().unwrap();
        assert!(
            metadata.blocks() * 512 < 1 << 20,
            "{} blocks",
            metadata.blocks()
        );
        assert_eq!(metadata.mode() & 0o777, 0o600);
    }
}
