use std::io::Write;
use std::os::unix::fs::MetadataExt;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use proptest::prelude::*;

use super::*;

/// Bytes of a cluster of a test file.
pub(in super::super) const CLUSTER: usize = 1 << 16;

/// What a cluster of a test file is.
pub(in super::super) enum Cluster {
    Unallocated,
    Zeros,
    Plain(u8),
    Deflated(u8),
    Zstd(u8),
}

/// A file of version 3 with one L2 table: header, L1, L2, then the clusters.
pub(in super::super) fn qcow2(clusters: &[Cluster], size: u64) -> Vec<u8> {
    let has_zstd = clusters.iter().any(|c| matches!(c, Cluster::Zstd(_)));
    let mut file = vec![0; 3 * CLUSTER];
    file[..4].copy_from_slice(b"QFI\xfb");
    file[4..8].copy_from_slice(&3_u32.to_be_bytes());
    file[20..24].copy_from_slice(&16_u32.to_be_bytes());
    file[24..32].copy_from_slice(&size.to_be_bytes());
    file[36..40].copy_from_slice(&1_u32.to_be_bytes());
    file[40..48].copy_from_slice(&(CLUSTER as u64).to_be_bytes());
    file[72..80].copy_from_slice(&(u64::from(has_zstd) << 3).to_be_bytes());
    file[100..104].copy_from_slice(&112_u32.to_be_bytes());
    file[104] = has_zstd.into();
    file[CLUSTER..CLUSTER + 8].copy_from_slice(&((1 << 63) | (2 * CLUSTER as u64)).to_be_bytes());
    for (index, cluster) in clusters.iter().enumerate() {
        let place = file.len() as u64;
        let packed_entry = |length: usize| {
            let sectors = (place % 512 + length as u64 - 1) / 512;
            COMPRESSED | sectors << (62 - 8) | place
        };
        let entry = match cluster {
            Cluster::Unallocated => 0,
            Cluster::Zeros => 1,
            Cluster::Plain(byte) => {
                file.resize(file.len() + CLUSTER, *byte);
                1 << 63 | place
            }
            Cluster::Deflated(byte) => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&vec![*byte; CLUSTER]).unwrap();
                let packed = encoder.finish().unwrap();
                file.extend(&packed);
                packed_entry(packed.len())
            }
            Cluster::Zstd(byte) => {
                let packed = zstd::encode_all(&vec![*byte; CLUSTER][..], 1).unwrap();
                file.extend(&packed);
                packed_entry(packed.len())
            }
        };
        // Plain clusters start at multiples of their size.
        file.resize(file.len().next_multiple_of(CLUSTER), 0);
        let at = 2 * CLUSTER + 8 * index;
        file[at..at + 8].copy_from_slice(&entry.to_be_bytes());
    }
    file
}

fn converted(file: &[u8]) -> Result<(Vec<u8>, u64), Qcow2Error> {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(file).unwrap();
    let output = tempfile::NamedTempFile::new().unwrap();
    convert(&input, output.as_file())?;
    let blocks = output.as_file().metadata().unwrap().blocks();
    Ok((std::fs::read(output.path()).unwrap(), blocks * 512))
}

fn refused(change: impl Fn(&mut Vec<u8>)) -> String {
    let mut file = qcow2(&[Cluster::Plain(7)], 1 << 20);
    change(&mut file);
    converted(&file).unwrap_err().to_string()
}

#[test]
fn clusters_of_every_kind_are_read() {
    use Cluster::{Deflated, Plain, Unallocated, Zeros, Zstd};
    let size = (5 * CLUSTER - 100) as u64;
    for (packed, clusters) in [
        (8, [Plain(7), Unallocated, Zeros, Deflated(8), Plain(9)]),
        (6, [Plain(7), Unallocated, Zeros, Zstd(6), Plain(9)]),
    ] {
        let (bytes, on_disk) = converted(&qcow2(&clusters, size)).unwrap();
        assert_eq!(bytes.len() as u64, size);
        let firsts: Vec<_> = bytes
            .chunks(CLUSTER)
            .map(|c| (c[0], c[c.len() - 1]))
            .collect();
        assert_eq!(firsts, [(7, 7), (0, 0), (0, 0), (packed, packed), (9, 9)]);
        assert!(on_disk <= 3 * CLUSTER as u64, "{on_disk}");
    }
}

#[test]
fn what_is_not_read_is_named() {
    insta::assert_snapshot!(refused(|f| f[15] = 1), @"it has a backing file, which is not read here; convert it with `qemu-img convert -O raw`");
    insta::assert_snapshot!(refused(|f| f[35] = 1), @"it has encryption, which is not read here; convert it with `qemu-img convert -O raw`");
    insta::assert_snapshot!(refused(|f| f[79] = 2), @"damaged: QEMU has marked it as corrupt at byte 72");
    insta::assert_snapshot!(refused(|f| f[79] = 4), @"it has an external data file, which is not read here; convert it with `qemu-img convert -O raw`");
    insta::assert_snapshot!(refused(|f| f[79] = 16), @"it has subclusters, which is not read here; convert it with `qemu-img convert -O raw`");
    insta::assert_snapshot!(refused(|f| f[79] = 32), @"it has an unknown feature, which is not read here; convert it with `qemu-img convert -O raw`");
    insta::assert_snapshot!(refused(|f| f[7] = 9), @"it has another version of the format, which is not read here; convert it with `qemu-img convert -O raw`");
}

#[test]
fn damage_is_named_with_its_place() {
    insta::assert_snapshot!(refused(|f| f[23] = 60), @"damaged: an impossible size of clusters at byte 20");
    insta::assert_snapshot!(refused(|f| f[24] = 60), @"its disk has 4323455642276724736 bytes, more than an image may have");
    insta::assert_snapshot!(refused(|f| f[39] = 0), @"damaged: an L1 table of an impossible size at byte 36");
    insta::assert_snapshot!(refused(|f| f[42] = 60), @"damaged: an L1 table that is not in the file at byte 65970697732096");
    insta::assert_snapshot!(refused(|f| f[CLUSTER + 2] = 60), @"damaged: an L2 table that is not in the file at byte 65970697797632");
    insta::assert_snapshot!(refused(|f| f[2 * CLUSTER + 2] = 60), @"damaged: a cluster that is not in the file at byte 65970697863168");
    insta::assert_snapshot!(refused(|f| f[2 * CLUSTER] = 0x40), @"damaged: a packed cluster that cannot be unpacked at byte 196608");
    assert!(refused(|f| f.truncate(60)).contains("damaged"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_damaged_file_is_read_or_refused(changes in proptest::collection::vec((0_usize..200, any::<u8>()), 1..5)) {
        let mut file = qcow2(&[Cluster::Plain(7), Cluster::Deflated(8)], 1 << 20);
        for (at, byte) in changes {
            // The header, the first entries of both tables.
            let at = match at {
                0..112 => at,
                112..150 => CLUSTER + (at - 112) % 8,
                _ => 2 * CLUSTER + at - 150,
            };
            file[at] = byte;
        }
        // A disk may be claimed to be large; its holes cost nothing.
        let _ = converted_size(&file);
    }
}

/// As [`converted`], without reading the result, which may have gigabytes of holes.
fn converted_size(file: &[u8]) -> Result<u64, Qcow2Error> {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(file).unwrap();
    let output = tempfile::tempfile().unwrap();
    convert(&input, &output)?;
    Ok(output.metadata()?.len())
}
