//! One function for each target. It panics when a parser breaks a promise; that it ends is for the fuzzer to watch.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

use shakedown_harness::image::config_txt::{self, BoardModel, Conditions, Hardware};
use shakedown_harness::image::efivar::VariableStore;
use shakedown_harness::image::fat::{self, FatVolume};
use shakedown_harness::image::partitions::PartitionTable;
use shakedown_harness::image::uboot_env;

const SECTOR: usize = 512;
/// Sectors of a disk at most: 64 MiB, which is enough for FAT32.
const MAX_SECTORS: u32 = 1 << 17;

/// A disk that takes memory only for the sectors that are not zero, so that a small input can stand for a large disk.
///
/// The input has the number of sectors (u32, little endian), and then sectors with their numbers (u32) in front. The bytes
/// behind the last whole sector are cut off the disk's end, which makes its size odd.
#[derive(Debug, Clone)]
pub struct SparseDisk {
    size: u64,
    sectors: BTreeMap<u64, [u8; SECTOR]>,
    position: u64,
}

impl SparseDisk {
    /// The disk that `input` stands for.
    #[must_use]
    pub fn decode(input: &[u8]) -> Self {
        let (size, rest) = input.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let size = u32::from_le_bytes(*size) % (MAX_SECTORS + 1);
        let (sectors, odd) = rest.as_chunks::<{ 4 + SECTOR }>();
        let sectors = sectors.iter().filter_map(|sector| {
            let (number, bytes) = sector.split_first_chunk()?;
            Some((u32::from_le_bytes(*number).into(), *bytes.first_chunk()?))
        });
        Self {
            size: (u64::from(size) * SECTOR as u64).saturating_sub(odd.len() as u64),
            sectors: sectors.collect(),
            position: 0,
        }
    }

    /// Bytes of the disk.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The sector at the position, where in it the position is, and how many of `wanted` bytes may be had there.
    fn place(&self, wanted: usize) -> (u64, usize, usize) {
        let offset = (self.position % SECTOR as u64) as usize;
        let left = self.size.saturating_sub(self.position).min(SECTOR as u64) as usize;
        let length = wanted.min(SECTOR - offset).min(left);
        (self.position / SECTOR as u64, offset, length)
    }
}

impl Read for SparseDisk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (sector, offset, length) = self.place(buffer.len());
        match self.sectors.get(&sector) {
            Some(bytes) => buffer[..length].copy_from_slice(&bytes[offset..offset + length]),
            None => buffer[..length].fill(0),
        }
        self.position += length as u64;
        Ok(length)
    }
}

impl Write for SparseDisk {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let (sector, offset, length) = self.place(buffer.len());
        let bytes = self.sectors.entry(sector).or_insert([0; SECTOR]);
        bytes[offset..offset + length].copy_from_slice(&buffer[..length]);
        self.position += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for SparseDisk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
            SeekFrom::End(delta) => self.size.checked_add_signed(delta),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// Partition tables of every kind. A table without a fault has only partitions that are on the disk and apart from each other.
pub fn partitions(input: &[u8]) {
    let mut disk = SparseDisk::decode(input);
    let Ok(table) = PartitionTable::read(&mut disk) else {
        return;
    };
    for fault in &table.faults {
        let text = fault.to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
    }
    let Ok(table) = table.checked() else {
        return;
    };
    for (index, one) in table.partitions.iter().enumerate() {
        let bytes = one.bytes();
        assert!(
            bytes.start < bytes.end && bytes.end <= disk.size(),
            "{one:?}"
        );
        for other in &table.partitions[index + 1..] {
            let other = other.bytes();
            assert!(bytes.end <= other.start || other.end <= bytes.start);
        }
    }
}

/// FAT volumes. What passes the check can be listed, read and written to, and passes the check again.
pub fn fat(input: &[u8]) {
    const LIMIT: u64 = 1 << 20;
    let mut disk = SparseDisk::decode(input);
    let window = 0..disk.size();
    let report = match fat::check(disk.clone(), &window) {
        Ok(report) => report,
        Err(error) => panic!("a disk in memory cannot fail: {error}"),
    };
    assert!(report.findings.len() <= 101);
    let volume = match (
        FatVolume::open(Borrowed(&mut disk), &window),
        report.damage(),
    ) {
        (Ok(volume), None) => volume,
        (Err(_), Some(_)) => return,
        (result, damage) => panic!("{damage:?}, but {:?}", result.err()),
    };
    let files = match volume.list() {
        Ok(files) => files,
        Err(error) => panic!("{error}"),
    };
    for (path, size) in files.iter().filter(|(_, size)| *size <= LIMIT) {
        // The library and the file's directory may see its name in different ways, but never its contents.
        if let Ok(contents) = volume.read(path, LIMIT) {
            assert_eq!(contents.len() as u64, *size, "{path}");
        }
    }
    let written = volume.write("fuzz/a new file.txt", &[0x5a; 3000][..]);
    let removed = files
        .first()
        .map_or(Ok(()), |(path, _)| volume.remove(path));
    if written.is_err() || removed.is_err() || volume.finish().is_err() {
        return;
    }
    match fat::check(disk, &window) {
        Ok(report) => assert!(report.damage().is_none(), "{:?}", report.findings),
        Err(error) => panic!("{error}"),
    }
}

/// A disk that is still there when its volume is finished.
struct Borrowed<'a>(&'a mut SparseDisk);

impl Read for Borrowed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Borrowed<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Borrowed<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// EFI variable stores. What was read is written back with the same meaning.
pub fn efivar(input: &[u8]) {
    for file in [input.to_vec(), sealed(input)] {
        if let Ok(store) = VariableStore::decode(&file) {
            let again = store.encode().and_then(|file| VariableStore::decode(&file));
            assert_eq!(again, Ok(store));
        }
    }
}

/// A variable store with these entries: few inputs have the checksum of their own bytes.
fn sealed(entries: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 8];
    file.extend(0x0161_5669_6645_6255_u64.to_le_bytes());
    file.extend((24 + entries.len() as u32).to_le_bytes());
    file.extend(crc32fast::hash(entries).to_le_bytes());
    file.extend(entries);
    file
}

/// `config.txt`, with files that include themselves and each other.
pub fn config_txt(input: &[u8]) {
    let conditions = Conditions {
        hardware: Hardware {
            model: BoardModel::Pi3B,
            serial: 0x1234_5678,
        },
        partition: 1,
    };
    let mut parts = input.split(|byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    let other = parts.next().unwrap_or_default();
    let mut include = |name: &str| match name {
        "config.txt" => Some(text.to_vec()),
        "other.txt" => Some(other.to_vec()),
        _ => None,
    };
    match config_txt::parse(text, "config.txt", &conditions, &mut include) {
        Ok(config) => {
            // What is said is said of a line that is there.
            let lines = |file: &str| {
                let text = if file == "config.txt" { text } else { other };
                text.split(|byte| *byte == b'\n').count()
            };
            let kernel = config.kernel.as_ref().map(|setting| &setting.at);
            for at in config.notes.iter().map(|note| &note.at).chain(kernel) {
                assert!((1..=lines(&at.file)).contains(&at.line), "{at}");
            }
        }
        Err(error) => {
            let again = config_txt::parse(text, "config.txt", &conditions, &mut include);
            assert_eq!(again, Err(error));
        }
    }
}

/// U-Boot's environment, as a file and inside of its binary.
pub fn uboot_env(input: &[u8]) {
    let mut file = vec![0; 0x4000];
    let length = input.len().min(file.len() - 4);
    file[4..4 + length].copy_from_slice(&input[..length]);
    let sum = crc32fast::hash(&file[4..]);
    file[..4].copy_from_slice(&sum.to_le_bytes());
    for file in [input, &file] {
        if let Ok(variables) = uboot_env::decode(file) {
            let is_plain = |text: &str| !text.contains('\0');
            let all = variables.iter();
            assert!(
                all.clone()
                    .all(|(name, value)| is_plain(name) && is_plain(value))
            );
            assert!(
                all.map(|(name, value)| name.len() + value.len() + 2)
                    .sum::<usize>()
                    <= 3 * file.len()
            );
        }
    }
    if let Ok(file) = uboot_env::with_changes(input, &[("bootdelay", "0")]) {
        let variables = uboot_env::decode(&file);
        let last = variables.as_ref().ok().and_then(|all| all.last());
        assert_eq!(last, Some(&("bootdelay".into(), "0".into())));
    }
}
