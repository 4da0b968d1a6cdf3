//! The bundle of a run that has failed.

use std::path::PathBuf;

use super::Job;
use super::live::WORK;
use crate::report::bundle::{self, BundleError, ContainerItem, Contents, Item, Manifest};

/// Writes the bundle of a failed run into its folder.
pub(super) fn write(job: &Job<'_>) -> Result<PathBuf, BundleError> {
    let parts = job.parts;
    let layers = parts.container.image.layers();
    let manifest = Manifest {
        format: Manifest::FORMAT,
        shakedown: env!("CARGO_PKG_VERSION").into(),
        scenario: job.scenario.name.clone(),
        board: job.board.name.clone(),
        image: Item::of(&parts.prebuilt, &*parts.prebuilt_source)?,
        image_included: false,
        kernel: Item::of(&parts.kernel, "`cargo xtask fixtures fetch`")?,
        initramfs: Item::of(&parts.initramfs, &*parts.initramfs_source)?,
        container: ContainerItem {
            source: parts.container.source.clone(),
            stand_in: parts.container.stand_in,
            layers: layers.iter().map(|l| l.digest().to_string()).collect(),
        },
        qemu: parts.qemu.version.clone(),
        reproduce: job.reproduce.clone(),
        left_out: Vec::new(),
    };
    bundle::write(Contents {
        manifest,
        boards: &job.board.sources,
        scenario: &job.scenario.source,
        folder: &job.folder,
        without: &[WORK],
        image: job.extras.bundle_image.then_some(&*parts.prebuilt),
    })
}
