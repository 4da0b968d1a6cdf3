//! What the tests of this room share.

use std::path::Path;

use super::{Container, Parts};
use crate::machine::QemuProgram;
use crate::services::{ConfigSpec, Layer, OciImage, Platform};

/// Parts that are all this file, and whose content does not matter.
pub(crate) fn parts(file: &Path) -> Parts {
    Parts {
        qemu: QemuProgram {
            program: file.into(),
            ..QemuProgram::default()
        },
        image: file.into(),
        image_source: "the test".into(),
        provisioned: None,
        firmware: vec![],
        kernel: file.into(),
        initramfs: file.into(),
        initramfs_source: "the test".into(),
        files: vec![],
        container: Container {
            image: image(),
            source: "nothing".into(),
            stand_in: true,
        },
        versions: vec![],
    }
}

/// A small image that is the same each time, in a stored gzip member, so that no version of a compressor decides over the digest.
fn image() -> OciImage {
    let layer: &[u8] =
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x03\0\xfc\xffabc\xc2\x41\x24\x35\x03\0\0\0";
    let layer = Layer::from_tar_gz("test", bytes::Bytes::from_static(layer).into());
    let spec = ConfigSpec::new(Platform::linux_arm64());
    OciImage::new(vec![layer.unwrap()], &spec).unwrap()
}
