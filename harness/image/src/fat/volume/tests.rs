use std::io::Cursor;

use super::*;
use crate::fat::FatFormat;

const MIB: u64 = 1 << 20;
const FORMAT: FatFormat = FatFormat {
    kind: FatKind::Fat16,
    volume_id: 0x5eed_0001,
    label: *b"FIRMWARE   ",
};

/// A disk of `size` bytes with a volume that starts at its second MiB.
fn disk(size: u64) -> (Vec<u8>, Range<u64>) {
    (vec![0; (size + MIB) as usize], MIB..size + MIB)
}

fn occurrences(haystack: &[u8], needle: &[u8]) -> usize {
    haystack
        .windows(needle.len())
        .filter(|window| *window == needle)
        .count()
}

#[test]
fn files_and_directories_survive_a_remount() {
    for (kind, size) in [(FatKind::Fat16, 4 * MIB), (FatKind::Fat32, 48 * MIB)] {
        let (mut disk, window) = disk(size);
        let long: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let volume = FatVolume::format(
            Cursor::new(&mut disk[..]),
            &window,
            &FatFormat { kind, ..FORMAT },
        )
        .unwrap();
        volume.write("/EFI/BOOT/BOOTAA64.EFI", &long[..]).unwrap();
        volume
            .write("a rather long name.txt", &b"text"[..])
            .unwrap();
        volume.write("empty", io::empty()).unwrap();
        volume.finish().unwrap();

        assert!(
            disk[..MIB as usize].iter().all(|byte| *byte == 0),
            "wrote outside the partition"
        );
        let volume = FatVolume::open(Cursor::new(&mut disk[..]), &window).unwrap();
        assert_eq!(volume.kind(), kind);
        assert_eq!(volume.read("efi/boot/bootaa64.efi", MIB).unwrap(), long);
        let listed = volume.list().unwrap();
        let expected = [
            ("/EFI/BOOT/BOOTAA64.EFI", 200_000),
            ("/a rather long name.txt", 4),
            ("/empty", 0),
        ];
        assert_eq!(listed, expected.map(|(name, size)| (name.to_owned(), size)));
        assert!(
            matches!(volume.read("nowhere/at all", MIB), Err(FatError::NotFound(file)) if file == "nowhere/at all")
        );
        assert!(matches!(
            volume.read("a rather long name.txt", 3),
            Err(FatError::TooLarge {
                size: 4,
                limit: 3,
                ..
            })
        ));
        assert!(!volume.has_file("EFI"));
    }
}

#[test]
fn a_replaced_file_leaves_no_byte_behind() {
    let (mut disk, window) = disk(8 * MIB);
    let volume = FatVolume::format(Cursor::new(&mut disk[..]), &window, &FORMAT).unwrap();
    // Long, then shorter in the same clusters, so that the tail of the first lies in the slack of the second.
    volume
        .write("key", "SECRET-1 ".repeat(2000).as_bytes())
        .unwrap();
    volume.write("other", &b"in between"[..]).unwrap();
    volume
        .write("key", "SECRET-2 ".repeat(700).as_bytes())
        .unwrap();
    volume.finish().unwrap();
    assert_eq!(occurrences(&disk, b"SECRET-1"), 0);
    assert!(occurrences(&disk, b"SECRET-2") > 600);

    let volume = FatVolume::open(Cursor::new(&mut disk[..]), &window).unwrap();
    volume.write("key", &b"harmless"[..]).unwrap();
    volume.finish().unwrap();
    assert_eq!(occurrences(&disk, b"SECRET-"), 0);
    assert_eq!(occurrences(&disk, b"in between"), 1);
}

#[test]
fn the_slack_of_a_truncated_file_is_zeroed_too() {
    let (mut disk, window) = disk(8 * MIB);
    let volume = FatVolume::format(Cursor::new(&mut disk[..]), &window, &FORMAT).unwrap();
    {
        let root = volume.file_system.root_dir();
        let mut file = root.create_file("key").unwrap();
        file.write_all("SECRET ".repeat(70).as_bytes()).unwrap();
        file.seek(SeekFrom::Start(10)).unwrap();
        file.truncate().unwrap();
    }
    volume.write("key", &b"new"[..]).unwrap();
    volume.finish().unwrap();
    assert_eq!(occurrences(&disk, b"SECRET"), 0);
}

#[test]
fn equal_inputs_give_equal_bytes() {
    let build = || {
        let (mut disk, window) = disk(4 * MIB);
        let volume = FatVolume::format(Cursor::new(&mut disk[..]), &window, &FORMAT).unwrap();
        volume.write("a/b/c.bin", &[7; 9999][..]).unwrap();
        volume.finish().unwrap();
        disk
    };
    assert!(build() == build());
}

#[test]
fn a_full_volume_is_an_error_that_names_the_file() {
    let (mut disk, window) = disk(4 * MIB);
    let volume = FatVolume::format(Cursor::new(&mut disk[..]), &window, &FORMAT).unwrap();
    let error = volume
        .write("big.bin", io::repeat(1).take(5 * MIB))
        .unwrap_err();
    assert!(error.to_string().contains("big.bin"), "{error}");
}

/// A disk that can only be read.
struct ReadOnly<'a>(Cursor<&'a mut [u8]>);

impl Read for ReadOnly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for ReadOnly<'_> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for ReadOnly<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn errors_of_the_disk_surface() {
    let (mut disk, window) = disk(4 * MIB);
    FatVolume::format(Cursor::new(&mut disk[..]), &window, &FORMAT)
        .unwrap()
        .finish()
        .unwrap();
    let volume = FatVolume::open(ReadOnly(Cursor::new(&mut disk[..])), &window).unwrap();
    volume.write("file", &b"bytes"[..]).unwrap();
    assert!(matches!(volume.finish(), Err(FatError::WriteBack(_))));
}

#[test]
fn sizes_that_do_not_suit_the_kind_are_refused() {
    for (kind, size) in [(FatKind::Fat32, 4 * MIB), (FatKind::Fat16, MIB)] {
        let (mut disk, window) = disk(size);
        let result = FatVolume::format(
            Cursor::new(&mut disk[..]),
            &window,
            &FatFormat { kind, ..FORMAT },
        );
        assert!(matches!(result, Err(FatError::Format { .. })));
    }
    let (mut disk, window) = disk(MIB);
    assert!(matches!(
        FatVolume::open(Cursor::new(&mut disk[..]), &window),
        Err(FatError::Damaged { .. })
    ));
}

#[test]
fn directories_begin_with_dot_and_dot_dot() {
    let (mut disk, window) = disk(4 * MIB);
    let volume = FatVolume::format(Cursor::new(&mut disk[..]), &window, &FORMAT).unwrap();
    volume.write("outer/inner/file", &b"contents"[..]).unwrap();
    volume.write("outer/other", &b"contents"[..]).unwrap();
    volume.finish().unwrap();
    let sectors = disk.chunks(512);
    let mut directories = sectors.filter(|sector| sector.starts_with(b".          \x10"));
    for name in [b"INNER      \x10", b"FILE       \x20"] {
        let sector = directories.next().unwrap();
        assert!(sector[32..].starts_with(b"..         \x10"));
        // A long name, and then the short one.
        assert_eq!(&sector[96..107], &name[..11]);
    }
    assert!(directories.next().is_none());
}
