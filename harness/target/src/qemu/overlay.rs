//! A copy-on-write overlay over a disk image: an empty qcow2 file with a backing file.
//!
//! Source: QEMU's docs/interop/qcow2, version 3 header. The file holds a header, one refcount table, one refcount block and an empty
//! L1 table, one cluster each; QEMU allocates everything else on the first write.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::MachineError;

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
const HEADER_LENGTH: u32 = 104;
/// Clusters that the empty file uses: header, refcount table, refcount block, L1 table.
const USED: u64 = 4;

/// Creates an overlay over the raw image `base`, which is never written to. QEMU's SD card wants a power of two in size: the
/// overlay is as large as the next one, as a card is larger than the image written to it. What is behind the image reads as zeros.
///
/// # Errors
/// The base cannot be read, or the overlay cannot be written.
pub fn create_overlay(base: &Path, overlay: &Path) -> Result<(), MachineError> {
    let io = MachineError::io;
    let base = fs::canonicalize(base).map_err(io("open", base))?;
    let size = fs::metadata(&base).map_err(io("read", &base))?.len();
    let size = size.next_power_of_two();
    let bytes = empty_qcow2(base.as_os_str().as_bytes(), size);
    let mut file = fs::File::create(overlay).map_err(io("create", overlay))?;
    file.write_all(&bytes).map_err(io("write", overlay))
}

/// The bytes of an empty qcow2 file of `size` bytes over the raw file named `base`.
fn empty_qcow2(base: &[u8], size: u64) -> Vec<u8> {
    let l1_entries = size.div_ceil(CLUSTER * (CLUSTER / 8)).max(1);
    let header_extensions = {
        let mut bytes = Vec::new();
        bytes.extend(0xE279_2ACA_u32.to_be_bytes()); // backing file format
        bytes.extend(3_u32.to_be_bytes());
        bytes.extend(*b"raw\0\0\0\0\0");
        bytes.extend([0; 8]); // end of extensions
        bytes
    };
    let name_offset = u64::from(HEADER_LENGTH) + header_extensions.len() as u64;

    let mut out = Vec::with_capacity((USED * CLUSTER) as usize);
    out.extend(*b"QFI\xfb");
    out.extend(3_u32.to_be_bytes());
    out.extend(name_offset.to_be_bytes());
    out.extend((base.len() as u32).to_be_bytes());
    out.extend(CLUSTER_BITS.to_be_bytes());
    out.extend(size.to_be_bytes());
    out.extend(0_u32.to_be_bytes()); // no encryption
    out.extend((l1_entries as u32).to_be_bytes());
    out.extend((3 * CLUSTER).to_be_bytes()); // L1 table
    out.extend(CLUSTER.to_be_bytes()); // refcount table
    out.extend(1_u32.to_be_bytes()); // its clusters
    out.extend([0; 12]); // no snapshots
    out.extend([0; 24]); // no feature bits
    out.extend(4_u32.to_be_bytes()); // 16-bit refcounts
    out.extend(HEADER_LENGTH.to_be_bytes());
    out.extend(header_extensions);
    out.extend(base);

    out.resize(CLUSTER as usize, 0);
    out.extend((2 * CLUSTER).to_be_bytes()); // refcount block
    out.resize(2 * CLUSTER as usize, 0);
    for _ in 0..USED {
        out.extend(1_u16.to_be_bytes());
    }
    out.resize((USED * CLUSTER) as usize, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_names_its_base_and_leaves_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("card.img");
        fs::write(&base, vec![7; 1 << 16]).unwrap();
        let overlay = folder.path().join("card.qcow2");
        create_overlay(&base, &overlay).unwrap();
        let bytes = fs::read(&overlay).unwrap();
        assert_eq!(&bytes[..4], b"QFI\xfb");
        assert_eq!(bytes.len() as u64, USED * CLUSTER);
        let name = fs::canonicalize(&base).unwrap();
        let name = name.as_os_str().as_bytes();
        assert!(bytes.windows(name.len()).any(|w| w == name));
        assert_eq!(fs::read(&base).unwrap(), vec![7; 1 << 16]);
    }

    #[test]
    fn a_card_is_larger_than_an_image_of_an_odd_size() {
        let folder = tempfile::tempdir().unwrap();
        let (base, overlay) = (folder.path().join("card.img"), folder.path().join("o"));
        fs::write(&base, vec![0; 3 << 16]).unwrap();
        create_overlay(&base, &overlay).unwrap();
        let size = fs::read(&overlay).unwrap()[24..32].to_vec();
        assert_eq!(size, (4_u64 << 16).to_be_bytes());
        assert_eq!(fs::metadata(&base).unwrap().len(), 3 << 16);
    }
}
