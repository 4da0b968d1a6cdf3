//! What tells one checkpoint from another.

use std::fmt::Debug;
use std::path::Path;
use std::time::SystemTime;

use crate::plan::Job;
use crate::services::Digest;
use crate::world::registries;

/// The name of a run's checkpoint: a digest of everything that it must depend on.
pub(crate) fn key(job: &Job<'_>, stage: &str) -> String {
    let Job {
        board,
        scenario,
        parts,
        ..
    } = job;
    let program = std::env::current_exe().unwrap_or_default();
    let files = [
        &program,
        &parts.qemu.program,
        &parts.image,
        &parts.kernel,
        &parts.initramfs,
    ];
    let files = files.map(|path| Stamp::of(path));
    let told = registries::guest_files(&scenario.registry);
    let all: [&dyn Debug; 9] = [
        &job.stages_until(stage),
        &files,
        &parts.qemu.version,
        &parts.versions,
        board,
        &scenario.boot,
        &scenario.dhcp,
        &scenario.firmware,
        &told,
    ];
    Digest::of(format!("{all:?}").as_bytes()).hex()
}

/// What tells a file from what it was before, without reading it.
#[derive(Debug)]
#[expect(dead_code, reason = "only its Debug form is used")]
struct Stamp<'a> {
    path: &'a Path,
    /// Length, and time of the last change.
    state: Option<(u64, SystemTime)>,
}

impl<'a> Stamp<'a> {
    fn of(path: &'a Path) -> Self {
        let state = path.metadata().ok();
        let state = state.and_then(|meta| Some((meta.len(), meta.modified().ok()?)));
        Self { path, state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Board;
    use crate::plan::{Extras, Parts, Start, testing};
    use crate::scenario::Scenario;

    #[test]
    fn what_comes_before_the_stage_counts_and_what_comes_after_does_not() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let board = Board::read(&project.join("boards"), "raspi3b").unwrap();
        let scenario = |name: &str| {
            let path = project.join("scenarios").join(name).with_extension("toml");
            Scenario::read_for(&path, &board).unwrap()
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("part");
        std::fs::write(&file, "a").unwrap();
        let parts = testing::parts(&file);
        let key = |scenario: &Scenario, parts: &Parts| {
            let job = Job {
                board: &board,
                scenario,
                parts,
                others: &[],
                start: Start::Card,
                folder: folder.path().into(),
                keep: false,
                checkpoints: None,
                extras: Extras::default(),
                reproduce: String::new(),
            };
            super::key(&job, "/init")
        };
        let limited = scenario("registry-429");
        let of_limited = key(&limited, &parts);
        assert_eq!(key(&scenario("layer-zstd"), &parts), of_limited);
        // The board is told of the mirror, and of an account.
        assert_ne!(key(&scenario("mirror"), &parts), of_limited);
        assert_ne!(key(&scenario("registry-login"), &parts), of_limited);

        let mut another_script = limited.clone();
        another_script.boot.script.push('#');
        assert_ne!(key(&another_script, &parts), of_limited);
        let mut another_part = parts.clone();
        another_part.kernel = folder.path().join("another");
        assert_ne!(key(&limited, &another_part), of_limited);
        std::fs::write(&file, "ab").unwrap();
        assert_ne!(key(&limited, &parts), of_limited);
    }
}
