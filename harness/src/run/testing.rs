//! What the tests of this room share.

use std::path::Path;

use super::{Container, Parts};
use crate::machine::QemuProgram;
use crate::services::testing;

/// Parts that are all this file, and whose content does not matter.
pub(super) fn parts(file: &Path) -> Parts {
    Parts {
        qemu: QemuProgram {
            program: file.into(),
            ..QemuProgram::default()
        },
        image: file.into(),
        image_source: "the test".into(),
        given: None,
        kernel: file.into(),
        initramfs: file.into(),
        initramfs_source: "the test".into(),
        files: vec![],
        container: Container {
            image: testing::image(),
            source: "nothing".into(),
            stand_in: true,
        },
        versions: vec![],
    }
}
