//! The bundle of a run that has failed.

use std::path::PathBuf;

use crate::folder::RunFolder;
use crate::mac::Mac;
use crate::plan::Job;
use crate::report::bundle::{self, BundleError, ContainerItem, Contents, Item, Manifest};

/// Writes the bundle of a failed run into its folder; `mac` is its board's, if it had come to have one.
pub(crate) fn write(job: &Job<'_>, mac: Option<Mac>) -> Result<PathBuf, BundleError> {
    let parts = job.parts;
    let layers = parts.container.image.layers();
    let manifest = Manifest {
        format: Manifest::FORMAT,
        shakedown: env!("CARGO_PKG_VERSION").into(),
        scenario: job.scenario.name.clone(),
        board: job.board.name.clone(),
        mac,
        seed: job.scenario.seed_of_faults(),
        is_chaos: job.scenario.is_chaos,
        image: Item::of(&parts.image, &*parts.image_source)?,
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
    let others = job.others.iter().flat_map(|(board, _)| &board.sources);
    let mut sources = job.board.sources.to_vec();
    // A chain is of several boards.
    let more: Vec<_> = others.filter(|s| !sources.contains(s)).cloned().collect();
    sources.extend(more);
    bundle::write(Contents {
        manifest,
        boards: &sources,
        scenario: &job.scenario.source,
        folder: &job.folder,
        without: &[RunFolder::WORK, RunFolder::MEMORY],
        image: job.extras.bundle_image.then_some(&*parts.image),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::board::Board;
    use crate::image::Sizes;
    use crate::image::prebuilt::{self, EFI_BOOT_FILE, PrebuiltSpec, SourceFile};
    use crate::plan::{Extras, Parts, Start, testing};
    use crate::report::Verdict;
    use crate::report::bundle::Bundle;
    use crate::run::run;
    use crate::scenario::Scenario;
    use crate::timeline::Timeline;

    /// Parts whose image has no firmware: a run of them ends after its card has been provisioned.
    fn parts(folder: &Path) -> Parts {
        let file = folder.join("some-file");
        std::fs::write(&file, b"bytes").unwrap();
        let image = folder.join("prebuilt.img");
        let spec = PrebuiltSpec {
            sizes: Sizes::SMALL,
            esp_files: vec![SourceFile::new(EFI_BOOT_FILE, &file)],
            ..PrebuiltSpec::default()
        };
        prebuilt::build(&spec, &image).unwrap();
        Parts {
            image,
            ..testing::parts(&file)
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_bundle_of_a_run_holds_its_definitions_and_no_key_of_it() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let board = Board::read(&project.join("boards"), "raspi3b").unwrap();
        let path = project.join("scenarios/alpine-https.toml");
        let scenario = Scenario::read_for(&path, &board).unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("run");
        let job = Job {
            board: &board,
            scenario: &scenario,
            parts: &parts(temporary.path()),
            others: &[],
            start: Start::Card,
            folder: folder.clone(),
            // The card, with the key on it, stays in the folder.
            keep: true,
            checkpoints: None,
            extras: Extras::default(),
            reproduce: "cargo xtask e2e alpine-https".into(),
        };
        let report = run(&job, &Timeline::start(), std::future::pending()).await;
        assert_ne!(report.verdict, Verdict::Passed);

        let card = std::fs::read(folder.join(RunFolder::WORK).join("card.img")).unwrap();
        let key_hex = key_on(&card);
        assert!(key_hex.len() > 2000, "{key_hex}");
        let key = hex::decode(&key_hex).unwrap();
        let path = folder.join(bundle::FILE_NAME);
        let archive = zstd::decode_all(std::fs::File::open(&path).unwrap()).unwrap();
        // Any part of it would do harm.
        let parts_of_key = key
            .chunks_exact(16)
            .chain(key_hex.as_bytes().chunks_exact(32));
        for part in parts_of_key {
            assert!(!archive.windows(part.len()).any(|w| w == part));
        }
        assert!(!archive.windows(11).any(|w| w == b"PRIVATE KEY"));

        let bundle = Bundle::read(&path).unwrap();
        let text = |name: &str| std::fs::read(project.join(name)).unwrap();
        let held = |name: &str| bundle.files().find(|(n, _)| *n == name).unwrap().1;
        for name in ["boards/raspi3b.toml", "boards/netboot.chain.toml"] {
            assert!(held(name) == text(name), "{name}");
        }
        // With what it extends.
        let held = held("scenarios/alpine-https.toml");
        assert!(held == scenario.source.text.as_bytes());
        assert!(bundle.run_file("timeline.jsonl").is_some());
        assert!(bundle.run_file("report.json").is_some());
    }

    /// The hex digits of the key that the card's boot script gives iPXE.
    fn key_on(card: &[u8]) -> String {
        let mark = b"privkey:hexraw ";
        let start = card.windows(mark.len()).position(|w| w == mark).unwrap() + mark.len();
        let digits = card[start..].iter().take_while(|b| b.is_ascii_hexdigit());
        digits.map(|b| char::from(*b)).collect()
    }
}
