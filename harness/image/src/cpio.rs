//! Writes "newc" cpio archives, and says what is in one: the format in which the kernel takes its initial file system.
//!
//! An [`Archive`] collects entries in any order and turns them into bytes once, with [`Archive::to_bytes`]. Entries come out
//! sorted by path, every missing parent directory is added, owner and time are fixed and inode numbers count up, so the same
//! entries always give the same bytes. A header's size and its data come from the same slice: a short write cannot be expressed.
//!
//! Several archives may follow each other in memory and the kernel unpacks them in turn; a run appends a small one with its own
//! certificate authority.
//!
//! Source: the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`.

use std::collections::BTreeMap;

/// The magic of a header without checksum.
const MAGIC: &str = "070701";
/// Bytes of a header: the magic, and 13 fields of 8 digits.
const HEADER: usize = 6 + 13 * 8;
/// Name of the entry that ends an archive.
const TRAILER: &str = "TRAILER!!!";
/// Headers and data both start at multiples of this many bytes.
const ALIGNMENT: usize = 4;
/// Mode of a directory that is there only because something lies in it.
const PARENT_MODE: u32 = 0o755;

const S_IFMT: u32 = 0o170_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// Why an entry cannot be put into an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CpioError {
    /// The path is empty, leaves the archive, or has a name that cannot be stored.
    #[error(
        "'{0}' is no path inside an archive: use names joined by single slashes, without '.' and '..'"
    )]
    Path(String),
    /// There is another entry at this path.
    #[error("'{0}' is in the archive already: add each path once")]
    Taken(String),
    /// The content does not fit the 32-bit size field.
    #[error("'{0}' is larger than the 4 GiB that a cpio entry can hold")]
    TooLarge(String),
}

/// A file system in the making: paths and what is at them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    mode: u32,
    device: (u32, u32),
    data: Vec<u8>,
}

impl Archive {
    /// An archive without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory. `mode` is its permission bits, for example `0o755`.
    pub fn dir(&mut self, path: &str, mode: u32) -> Result<&mut Self, CpioError> {
        self.add(path, S_IFDIR | mode & 0o7777, (0, 0), Vec::new())
    }

    /// Adds a regular file. `mode` is its permission bits, for example `0o644`.
    pub fn file(
        &mut self,
        path: &str,
        mode: u32,
        data: impl Into<Vec<u8>>,
    ) -> Result<&mut Self, CpioError> {
        self.add(path, S_IFREG | mode & 0o7777, (0, 0), data.into())
    }

    /// Adds a symbolic link at `path` whose text is `target`.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<&mut Self, CpioError> {
        self.add(path, S_IFLNK | 0o777, (0, 0), target.into())
    }

    /// Adds a character device. `mode` is its permission bits.
    pub fn char_device(
        &mut self,
        path: &str,
        mode: u32,
        major: u32,
        minor: u32,
    ) -> Result<&mut Self, CpioError> {
        self.add(path, S_IFCHR | mode & 0o7777, (major, minor), Vec::new())
    }

    /// The paths that were added, sorted, without implied parents.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The archive's bytes, a multiple of four long.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let parent = Entry {
            mode: S_IFDIR | PARENT_MODE,
            device: (0, 0),
            data: Vec::new(),
        };
        let mut all: BTreeMap<&str, &Entry> = BTreeMap::new();
        for (path, entry) in &self.entries {
            for (end, _) in path.match_indices('/') {
                all.entry(path.get(..end).unwrap_or_default())
                    .or_insert(&parent);
            }
            all.insert(path, entry);
        }
        let mut out = Vec::with_capacity(all.values().map(|entry| entry.data.len() + 256).sum());
        for (inode, (path, entry)) in (1..).zip(all) {
            write_entry(&mut out, inode, path, entry);
        }
        let end = Entry {
            mode: 0,
            device: (0, 0),
            data: Vec::new(),
        };
        write_entry(&mut out, 0, TRAILER, &end);
        out
    }

    fn add(
        &mut self,
        path: &str,
        mode: u32,
        device: (u32, u32),
        data: Vec<u8>,
    ) -> Result<&mut Self, CpioError> {
        let bad_name = |name: &str| matches!(name, "" | "." | "..") || name.contains('\0');
        if path == TRAILER || path.split('/').any(bad_name) {
            return Err(CpioError::Path(path.into()));
        }
        if u32::try_from(data.len()).is_err() {
            return Err(CpioError::TooLarge(path.into()));
        }
        if self.entries.contains_key(path) {
            return Err(CpioError::Taken(path.into()));
        }
        self.entries
            .insert(path.into(), Entry { mode, device, data });
        Ok(self)
    }
}

/// Appends one header with its name and data. The caller has checked that its size fits 32 bits.
fn write_entry(out: &mut Vec<u8>, inode: u32, path: &str, entry: &Entry) {
    let links = if entry.mode & S_IFMT == S_IFDIR { 2 } else { 1 };
    let fields: [usize; 13] = [
        inode as usize,
        entry.mode as usize,
        0, // owner
        0, // group
        links,
        0, // time of change
        entry.data.len(),
        0, // device that holds the file, major
        0, // and minor
        entry.device.0 as usize,
        entry.device.1 as usize,
        path.len() + 1, // the name's NUL counts
        0,              // checksum, unused in this variant
    ];
    out.extend_from_slice(MAGIC.as_bytes());
    for field in fields {
        out.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(&entry.data);
    pad(out);
}

/// The files of an archive with their sizes in bytes, as they come, or `None` if this is no archive of this format. Directories and links are left
/// out, and so is what follows the first archive's end.
#[must_use]
pub fn files(archive: &[u8]) -> Option<Vec<(String, u64)>> {
    let mut files = Vec::new();
    let mut at = 0_usize;
    loop {
        let header = archive.get(at..at.checked_add(HEADER)?)?;
        if !header.starts_with(MAGIC.as_bytes()) {
            return None;
        }
        let field = |number: usize| {
            let digits = header.get(MAGIC.len() + number * 8..)?.get(..8)?;
            u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
        };
        let (mode, size, name) = (field(1)?, field(6)? as usize, field(11)? as usize);
        let begin = at + HEADER;
        let path = archive.get(begin..begin.checked_add(name)?)?;
        let path = String::from_utf8_lossy(path.strip_suffix(b"\0")?);
        if path == TRAILER {
            return Some(files);
        }
        if mode & S_IFMT == S_IFREG {
            files.push((path.into_owned(), size as u64));
        }
        let data = (begin + name).next_multiple_of(ALIGNMENT);
        at = data.checked_add(size)?.next_multiple_of(ALIGNMENT);
    }
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the kernel would see of one entry: path, mode, device, data.
    type Seen = (String, u32, (u32, u32), Vec<u8>);

    /// Reads an archive as the kernel does: header, name, padding, data, padding, until the trailer.
    fn read(bytes: &[u8]) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut at = 0;
        loop {
            assert_eq!(&bytes[at..at + 6], b"070701");
            let field = |n: usize| {
                let text = std::str::from_utf8(&bytes[at + 6 + 8 * n..at + 14 + 8 * n]).unwrap();
                u32::from_str_radix(text, 16).unwrap()
            };
            let (name_len, data_len) = (field(11) as usize, field(6) as usize);
            let name = std::str::from_utf8(&bytes[at + 110..at + 109 + name_len]).unwrap();
            assert_eq!(bytes[at + 109 + name_len], 0, "{name} has no NUL");
            let data_at = (at + 110 + name_len).next_multiple_of(4);
            if name == TRAILER {
                assert_eq!(data_at, bytes.len(), "something follows the trailer");
                return seen;
            }
            let data = bytes[data_at..data_at + data_len].to_vec();
            assert_eq!(field(0) as usize, seen.len() + 1, "inodes count up");
            assert_eq!(
                [field(2), field(3), field(5)],
                [0, 0, 0],
                "owner and time are fixed"
            );
            seen.push((name.into(), field(1), (field(9), field(10)), data));
            at = (data_at + data_len).next_multiple_of(4);
        }
    }

    #[test]
    fn every_kind_of_entry_is_written_as_the_format_says() {
        let mut archive = Archive::new();
        archive.file("init", 0o755, "#!/bin/sh\n").unwrap();
        archive.char_device("dev/console", 0o600, 5, 1).unwrap();
        archive.symlink("bin", "usr/bin").unwrap();
        archive.dir("tmp", 0o1777).unwrap();
        let text = archive
            .to_bytes()
            .iter()
            .map(|b| b.escape_ascii().to_string())
            .collect::<String>();
        insta::assert_snapshot!(text.replace("070701", "\n070701"), @r"

        070701000000010000A1FF0000000000000000000000010000000000000007000000000000000000000000000000000000000400000000bin\x00\x00\x00usr/bin\x00
        07070100000002000041ED0000000000000000000000020000000000000000000000000000000000000000000000000000000400000000dev\x00\x00\x00
        07070100000003000021800000000000000000000000010000000000000000000000000000000000000005000000010000000C00000000dev/console\x00\x00\x00
        07070100000004000081ED000000000000000000000001000000000000000A000000000000000000000000000000000000000500000000init\x00\x00#!/bin/sh\n\x00\x00
        07070100000005000043FF0000000000000000000000020000000000000000000000000000000000000000000000000000000400000000tmp\x00\x00\x00
        07070100000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000B00000000TRAILER!!!\x00\x00\x00\x00
        ");
    }

    #[test]
    fn parents_are_added_once_and_before_what_they_hold() {
        let mut archive = Archive::new();
        archive
            .file("a/b/c", 0o644, "1")
            .unwrap()
            .dir("a/b", 0o700)
            .unwrap()
            .file("a-b", 0o644, "2")
            .unwrap();
        let seen: Vec<_> = read(&archive.to_bytes())
            .into_iter()
            .map(|(path, mode, ..)| (path, mode))
            .collect();
        let expected = [
            ("a", 0o40755),
            ("a-b", 0o100_644),
            ("a/b", 0o40700),
            ("a/b/c", 0o100_644),
        ];
        assert_eq!(seen, expected.map(|(path, mode)| (path.to_owned(), mode)));
    }

    #[test]
    fn paths_that_an_archive_cannot_hold_are_refused() {
        for path in [
            "", "/etc", "etc/", "a//b", "../up", "a/./b", "nul\0", TRAILER,
        ] {
            assert_eq!(
                Archive::new().dir(path, 0o755).unwrap_err(),
                CpioError::Path(path.into())
            );
        }
        let mut archive = Archive::new();
        archive.dir("a", 0o755).unwrap();
        assert_eq!(
            archive.symlink("a", "b").unwrap_err(),
            CpioError::Taken("a".into())
        );
    }

    #[test]
    fn the_files_of_an_archive_are_listed() {
        let mut archive = Archive::new();
        archive.file("usr/bin/a", 0o755, vec![1; 5]).unwrap();
        archive.file("b", 0o644, Vec::new()).unwrap();
        archive.symlink("c", "b").unwrap();
        let bytes = archive.to_bytes();
        let listed = [("b".into(), 0), ("usr/bin/a".into(), 5)];
        assert_eq!(files(&bytes).unwrap(), listed);
        // What is cut off, or something else, is no archive.
        for end in 0..bytes.len() - 16 {
            assert_eq!(files(&bytes[..end]), None, "{end}");
        }
        assert_eq!(files(&[0xff; 4096]), None);
        assert_eq!(files(&[b'F'; 200]), None);
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_whatever_the_order(
            files in proptest::collection::btree_map("[a-z]{1,9}", proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            seed in any::<u64>(),
        ) {
            let mut order: Vec<_> = files.iter().collect();
            let (mut one, mut two) = (Archive::new(), Archive::new());
            for (path, data) in &order {
                one.file(path, 0o644, data.as_slice()).unwrap();
            }
            order.sort_by_key(|(path, _)| path.bytes().fold(seed, |h, b| h.wrapping_mul(31).wrapping_add(b.into())));
            for (path, data) in &order {
                two.file(path, 0o644, data.as_slice()).unwrap();
            }
            let bytes = one.to_bytes();
            prop_assert_eq!(&bytes, &two.to_bytes());
            prop_assert_eq!(bytes.len() % 4, 0);
            let seen: Vec<_> = read(&bytes).into_iter().map(|(path, _, _, data)| (path, data)).collect();
            prop_assert_eq!(seen, files.into_iter().collect::<Vec<_>>());
        }
    }
}
