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
    writer.write_all(b"raw").unwrap();
    drop(writer);
    let source = unpack(File::from(OwnedFd::from(reader)), "a pipe".into(), false).unwrap();
    assert_eq!(std::fs::read(source.path()).unwrap(), b"raw");
}
