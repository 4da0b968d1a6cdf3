//! What the tests of this room share: a board with a disk and parts.

use std::path::{Path, PathBuf};

use super::{Handover, Input, start};
use crate::board::{Board, Capability};
use crate::error::RunError;
use crate::image::prebuilt::{self, PrebuiltSpec, SourceFile};
use crate::image::script::BootSource;
use crate::image::{Sizes, provision, source};
use crate::mac::Mac;
use crate::plan::{Parts, testing};
use crate::scenario::Scenario;

/// A board with what its firmware needs.
pub(super) struct Bench {
    folder: tempfile::TempDir,
    board: Board,
    scenario: Scenario,
    pub(super) parts: Parts,
}

impl Bench {
    /// The project's board of this name; every file of its firmware has these contents.
    pub(super) fn new(board: &str, contents: &[u8]) -> Self {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let board = Board::read(&project.join("boards"), board).unwrap();
        let scenario = match board.lacks.contains_key(&Capability::Ipxe) {
            false => "alpine-https.toml",
            true => "from-spl.toml",
        };
        let scenario = Scenario::read_for(&project.join("scenarios").join(scenario), &board);
        let folder = tempfile::tempdir().unwrap();
        let ipxe = folder.path().join("ipxe.efi");
        std::fs::write(&ipxe, b"MZ iPXE initialising").unwrap();
        let mut parts = testing::parts(&ipxe);
        for file in board.firmware.files() {
            let name = Path::new(&file.path).file_name().unwrap();
            let path = folder.path().join(name);
            std::fs::write(&path, contents).unwrap();
            parts.firmware.push((file.clone(), path));
        }
        let spec = PrebuiltSpec {
            sizes: Sizes {
                firmware: 0,
                ..Sizes::SMALL
            },
            esp_files: vec![SourceFile::new(board.machine.arch.efi_boot_file(), &ipxe)],
            ..PrebuiltSpec::default()
        };
        prebuilt::build(&spec, &folder.path().join("prebuilt.img")).unwrap();
        Self {
            folder,
            board,
            scenario: scenario.unwrap(),
            parts,
        }
    }

    /// Where a file of the firmware is.
    pub(super) fn part(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the firmware on a disk that was provisioned so.
    pub(super) fn start(&self, boot: &BootSource) -> Result<Handover, RunError> {
        let prebuilt = source::open(&self.part("prebuilt.img")).unwrap();
        let disk = self.part("disk.img");
        provision::provision(&prebuilt, boot, None, &disk).unwrap();
        start(&Input {
            board: &self.board,
            scenario: &self.scenario,
            parts: &self.parts,
            disk: &disk,
            mac: Mac([0x52, 0x54, 0, 1, 2, 3]),
            folder: self.folder.path(),
        })
    }
}
