use std::io::Write;
use std::os::unix::fs::MetadataExt;

use flate2::Compression;
use flate2::write::GzEncoder;
use liblzma::write::XzEncoder;

use super::*;

/// Two mebibytes with something at the front and at the end.
fn image() -> Vec<u8> {
    let mut image = vec![0; 2 << 20];
    image[..5].copy_from_slice(b"front");
    image[(2 << 20) - 3..].copy_from_slice(b"end");
    image
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// With a checksum, as the program zstd writes it.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What is in a file with these contents, whatever its name says.
fn opened(contents: &[u8]) -> Result<(Vec<u8>, Source), ImageError> {
    let mut file = tempfile::Builder::new().suffix(".img").tempfile().unwrap();
    file.write_all(contents).unwrap();
    let source = open(file.path())?;
    let bytes = std::fs::read(source.path()).unwrap();
    Ok((bytes, source))
}

#[test]
fn every_format_gives_the_same_image() {
    let image = image();
    let packed = [
        (gzip(&image), vec![Format::Gzip]),
        (xz(&image), vec![Format::Xz]),
        (zstd(&image), vec![Format::Zstd]),
        (gzip(&xz(&image)), vec![Format::Gzip, Format::Xz]),
        (image.clone(), vec![]),
    ];
    for (contents, formats) in packed {
        let (bytes, source) = opened(&contents).unwrap();
        assert!(bytes == image, "{formats:?}");
        assert_eq!(source.formats, formats);
        if !formats.is_empty() {
            let blocks = source.file().metadata().unwrap().blocks();
            assert!(blocks * 512 < 1 << 20, "{formats:?}: {blocks} blocks");
        }
    }
}

#[test]
fn several_streams_in_a_row_are_one_image() {
    let image = image();
    let (front, back) = image.split_at(1 << 20);
    for pack in [gzip, xz, zstd] {
        let (bytes, _) = opened(&[pack(front), pack(back)].concat()).unwrap();
        assert!(bytes == image);
    }
}

#[test]
fn damaged_and_truncated_files_are_errors_that_name_the_format() {
    for (pack, name) in [
        (gzip as fn(&[u8]) -> Vec<u8>, "gzip"),
        (xz, "xz"),
        (zstd, "zstd"),
    ] {
        let whole = pack(&image());
        let error = opened(&whole[..whole.len() - 9]).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        let mut damaged = whole.clone();
        // All three end in sums over what was packed.
        let sum = damaged.len() - 3;
        damaged[sum] ^= 0x55;
        assert!(opened(&damaged).is_err(), "{name}");
    }
    let mut layered = image();
    for _ in 0..4 {
        layered = gzip(&layered);
    }
    let error = opened(&layered).unwrap_err().to_string();
    assert!(error.contains("more than three times"), "{error}");
}

#[test]
fn a_pipe_is_read_to_its_end() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let packed = gzip(&image());
    let thread = std::thread::spawn(move || writer.write_all(&packed).unwrap());
    let file = File::from(OwnedFd::from(reader));
    let source = unpack(file, "a pipe".into(), false).unwrap();
    thread.join().unwrap();
    assert!(std::fs::read(source.path()).unwrap() == image());
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"\0raw").unwrap();
    drop(writer);
    let source = unpack(File::from(OwnedFd::from(reader)), "a pipe".into(), false).unwrap();
    assert_eq!(std::fs::read(source.path()).unwrap(), b"\0raw");
}

/// A frame of Zstandard that readers pass over, as pzstd writes it in front of each frame.
fn skippable(contents: &[u8]) -> Vec<u8> {
    let length = (contents.len() as u32).to_le_bytes();
    [&[0x50, 0x2a, 0x4d, 0x18], &length[..], contents].concat()
}

#[test]
fn archives_of_several_parts_give_one_image() {
    let image = image();
    let (front, back) = image.split_at(1 << 20);
    let packed = [
        [gzip(front), gzip(back)].concat(),
        [gzip(front), vec![0; 700], gzip(back), vec![0; 100_000]].concat(),
        [xz(front), xz(back)].concat(),
        [zstd(front), zstd(back)].concat(),
        [
            skippable(&[9, 0, 0, 0]),
            zstd(front),
            skippable(b""),
            zstd(back),
        ]
        .concat(),
        [zstd(&image), skippable(b"a seek table")].concat(),
    ];
    for (number, contents) in packed.iter().enumerate() {
        assert!(opened(contents).unwrap().0 == image, "case {number}");
    }
    let stray = [gzip(&image), b"stray".to_vec()].concat();
    let said = opened(&stray).unwrap_err().to_string();
    assert!(
        said.contains("what follows its last member is no gzip"),
        "{said}"
    );
    for behind in [vec![0; 700], b"stray".to_vec()] {
        let padded = [zstd(&image), behind].concat();
        let said = opened(&padded).unwrap_err().to_string();
        assert!(
            said.contains("what follows its last frame is no Zstandard"),
            "{said}"
        );
    }
}

#[test]
fn what_is_no_disk_image_is_named() {
    let at = |offset: usize, bytes: &[u8]| {
        let mut file = vec![0; 64 << 10];
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
        file
    };
    let log = b"[    0.000000] Booting Linux on physical CPU 0x0\r\n".repeat(10);
    let cases: [(Vec<u8>, &str); 14] = [
        (at(0, b"BZh91AY&SY"), "is a bzip2 archive"),
        (at(0, &[0x04, 0x22, 0x4d, 0x18]), "is an lz4 archive"),
        (at(0, b"PK\x03\x04"), "is a zip archive"),
        (at(257, b"ustar\x0000"), "is a tar archive"),
        (at(0, b"KDMV\x01"), "is a VMDK disk"),
        (at(0, b"conectix"), "is a VHD disk"),
        (
            at((64 << 10) - 512, b"conectix"),
            "is a VHD disk of fixed size",
        ),
        (at(0, b"vhdxfile"), "is a VHDX disk"),
        (at(0x40, &[0x7f, 0x10, 0xda, 0xbe]), "is a VDI disk"),
        (at(0x8001, b"CD001"), "is an ISO 9660 image"),
        (
            at(0, &[0x3a, 0xff, 0x26, 0xed]),
            "is an Android sparse image",
        ),
        (log.clone(), "is text"),
        (gzip(&log), "is gzip around text"),
        (xz(&at(257, b"ustar\x0000")), "is xz around a tar archive"),
    ];
    for (contents, expected) in cases {
        let error = opened(&contents).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    // The first sector of an image for cards may be that of an ISO 9660 image, too.
    let mut hybrid = at(0x8001, b"CD001");
    hybrid[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert!(opened(&hybrid).is_ok());
}
