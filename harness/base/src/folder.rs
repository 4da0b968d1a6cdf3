//! A run's folder: the one place that names its files.
//!
//! Life cycle: created when the run begins, for its user alone (there is a private key in it while the run lasts); filled while it lasts;
//! read by every later look at the run; removed by [`RunFolder::prune`] when newer runs have taken its place.
//!
//! The serial ports' files are written by the console's recorder, which names them by the same functions.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::timeline::BoardId;

pub use crate::run_name::RunName;

/// How many runs are kept below one folder of runs.
pub const KEPT: usize = 100;
/// A run without a report may still be under way when it is younger than this.
const UNDER_WAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// Which run this is.
    pub const IDENTITY: &str = "run.txt";
    /// The report, for programs.
    pub const REPORT: &str = "report.json";
    /// The report, for people.
    pub const PAGE: &str = "report.html";
    /// Every event, a line of JSON each.
    pub const TIMELINE: &str = "timeline.jsonl";
    /// The servers' part of it.
    pub const JOURNAL: &str = "journal.jsonl";
    /// The boot server's requests.
    pub const ACCESS_LOG: &str = "access.log";
    /// The lines of all serial ports.
    pub const TRANSCRIPT: &str = "transcript.log";
    /// Every frame on the LAN.
    pub const CAPTURE: &str = "lan.pcapng";
    /// The emulator's command line.
    pub const QEMU_COMMAND: &str = "qemu-command.txt";
    /// The emulator's standard error.
    pub const QEMU_STDERR: &str = "qemu-stderr.txt";
    /// How to get at a board that is kept on.
    pub const ATTACH: &str = "attach.json";
    /// What is needed to make the run again elsewhere.
    pub const BUNDLE: &str = "bundle.tar.zst";
    /// What the kernel said on the console.
    pub const KERNEL_LOG: &str = "kernel.log";
    /// What the containers said on the console.
    pub const CONTAINER_LOG: &str = "container.log";
    /// Folder of what the guest put into its bucket of the scratch space.
    pub const GUEST: &str = "guest";
    /// Folder of the pictures of the screen.
    pub const SCREENS: &str = "screens";
    /// What was in the board's memory.
    pub const MEMORY: &str = "memory.elf";
    /// Folder of the working files: the card, which holds a private key.
    pub const WORK: &str = "work";

    /// What each file holds, for people; `*` stands for any text.
    pub const FILES: &[(&str, &str)] = &[
        (Self::PAGE, "the run on one page that needs nothing else"),
        (Self::REPORT, "the report, for programs"),
        (Self::TIMELINE, "everything that happened, an event a line"),
        (Self::JOURNAL, "requests and handshakes of the servers"),
        (Self::TRANSCRIPT, "the lines of all serial ports"),
        (Self::QEMU_COMMAND, "the emulator's command line"),
        (Self::QEMU_STDERR, "what the emulator complained about"),
        (
            Self::ACCESS_LOG,
            "the boot server's requests, as other servers log them",
        ),
        (Self::ATTACH, "where the board's sockets were"),
        (
            Self::BUNDLE,
            "everything that is needed to make the run again elsewhere; of a failed run",
        ),
        (Self::IDENTITY, "which run this is"),
        (
            Self::CAPTURE,
            "every frame with the TLS secrets, for Wireshark; of a failed run or with `--keep`",
        ),
        (Self::KERNEL_LOG, "what the kernel said on the console"),
        (
            Self::CONTAINER_LOG,
            "what the containers said on the console",
        ),
        (
            Self::MEMORY,
            "what was in the board's memory, for gdb; of a failed run with `--dump-memory`",
        ),
        (
            "guest/",
            "what the guest put into its bucket of the scratch space (`${s3_bucket_name}`)",
        ),
        (
            "NAME/",
            "of several boards the one of this name: its serial ports, and its emulator's command line and complaints",
        ),
        ("*.cast", "a serial port, for asciinema play"),
        ("*.raw", "a serial port, byte for byte"),
        (
            "screens/",
            "the framebuffer when a stage was reached, where it had changed",
        ),
    ];

    /// The folder of a run that is there or will be.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self(path.into())
    }

    /// Where a run in `path` has what is of one of its boards: a folder in its own, or that itself where there is one board.
    #[must_use]
    pub fn of_board(path: &Path, board: Option<&BoardId>) -> PathBuf {
        match board {
            Some(board) => path.join(board.to_string()),
            None => path.into(),
        }
    }

    /// Creates the folder, which nobody but its user may enter. One that is there is closed to others.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
            }
            created => created?,
        }
        Ok(Self::of(path))
    }

    /// The path of one of its files.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The bytes of a serial port.
    #[must_use]
    pub fn raw(&self, uart: u8) -> PathBuf {
        self.file(&format!("uart{uart}.raw"))
    }

    /// The recording of a serial port, with its times.
    #[must_use]
    pub fn cast(&self, uart: usize) -> PathBuf {
        self.file(&format!("uart{uart}.cast"))
    }

    /// What a file of this name holds, for people; empty for one that is not ours.
    #[must_use]
    pub fn about(name: &str) -> &'static str {
        let is_it = |(known, _): &&(&str, &str)| match known.strip_prefix('*') {
            Some(end) => name.ends_with(end),
            None => name == *known,
        };
        Self::FILES
            .iter()
            .find(is_it)
            .map_or("", |(_, about)| about)
    }

    /// Removes the oldest runs below `runs` until [`KEPT`] are left. What is no run, or may be one that is under way, stays.
    ///
    /// # Errors
    /// A folder cannot be removed.
    pub fn prune(runs: &Path, now: SystemTime) -> io::Result<usize> {
        Self::keep(runs, now, KEPT)
    }

    fn keep(runs: &Path, now: SystemTime, kept: usize) -> io::Result<usize> {
        let mut ended: Vec<(u128, PathBuf)> = fs::read_dir(runs)?
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                let began = name.split_once('-')?.0.parse().ok()?;
                let folder = Self::of(&entry.path());
                let is_run = folder.file(Self::IDENTITY).is_file();
                (is_run && folder.has_ended(now)).then(|| (began, entry.path()))
            })
            .collect();
        ended.sort();
        let surplus = ended.len().saturating_sub(kept);
        for (_, path) in ended.iter().take(surplus) {
            fs::remove_dir_all(path)?;
        }
        Ok(surplus)
    }

    fn has_ended(&self, now: SystemTime) -> bool {
        let age = fs::metadata(&self.0).and_then(|m| m.modified());
        let age = age.ok().and_then(|then| now.duration_since(then).ok());
        self.file(Self::REPORT).is_file() || age.is_some_and(|age| age > UNDER_WAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_its_users_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("runs/1-2-s-b");
        RunFolder::create(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        RunFolder::create(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn the_oldest_runs_that_have_ended_go() {
        let root = tempfile::tempdir().unwrap();
        let run = |name: &str, files: &[&str]| {
            let folder = RunFolder::create(&root.path().join(name)).unwrap();
            for file in files {
                fs::write(folder.file(file), "").unwrap();
            }
        };
        let whole = [RunFolder::IDENTITY, RunFolder::REPORT];
        run("100-1-a-b", &whole);
        run("99-1-under-way", &[RunFolder::IDENTITY]);
        run("98-1-not-ours", &[]);
        run("9-1-oldest", &whole);
        run("101-1-newest", &whole);
        run("checkpoints", &whole);
        assert_eq!(
            RunFolder::keep(root.path(), SystemTime::now(), 1).unwrap(),
            2
        );
        let mut left: Vec<_> = fs::read_dir(root.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "101-1-newest",
                "98-1-not-ours",
                "99-1-under-way",
                "checkpoints"
            ]
        );
        let later = SystemTime::now() + 2 * UNDER_WAY;
        assert_eq!(RunFolder::keep(root.path(), later, 1).unwrap(), 1);
    }

    #[test]
    fn files_are_told_apart() {
        assert_eq!(
            RunFolder::about("uart1.raw"),
            "a serial port, byte for byte"
        );
        assert_eq!(
            RunFolder::about("lan.pcapng"),
            "every frame with the TLS secrets, for Wireshark; of a failed run or with `--keep`"
        );
        assert_eq!(RunFolder::about("notes.txt"), "");
    }
}
