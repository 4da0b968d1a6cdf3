//! `console --record FILE`: where the scenario goes that a session makes.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use shakedown_harness::board::Board;
use shakedown_harness::input::{Library, ScenarioName};
use shakedown_harness::scenario::Scenario;

/// Who may read and write the file, as far as the user's mask allows.
const MODE: u32 = 0o666;

/// A file that does not exist yet, for the scenario that a session makes.
#[derive(Debug)]
pub(crate) struct RecordFile {
    path: PathBuf,
    folder: PathBuf,
    name: String,
}

impl RecordFile {
    /// Checks before anything is started that the scenario can be written there.
    ///
    /// # Errors
    /// The file exists, its folder does not exist, or a scenario cannot have its name.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(stem) = name.strip_suffix(".toml") else {
            bail!(
                "{} is no file of a scenario: name it NAME.toml",
                path.display()
            );
        };
        stem.parse::<ScenarioName>()
            .with_context(|| format!("the name of {}", path.display()))?;
        if !folder.is_dir() {
            bail!("there is no folder {}: create it first", folder.display());
        }
        let file = Self {
            path: path.into(),
            folder: folder.into(),
            name: name.into_owned(),
        };
        if path.symlink_metadata().is_ok() {
            return Err(file.exists());
        }
        Ok(file)
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the scenario as a run of it would, and puts it into its file, whole or not at all.
    ///
    /// # Errors
    /// It cannot be read, the file exists by now, or it cannot be written.
    pub(crate) fn write(&self, text: &str, library: &Library, board: &Board) -> Result<()> {
        let checked = self.check(text, library, board);
        checked.with_context(|| {
            format!("what was typed makes no scenario, so nothing was written; it would have been:\n{text}")
        })?;
        let put = self.put(text);
        match put.with_context(|| format!("cannot write {}", self.path.display()))? {
            true => Ok(()),
            false => {
                let unwritten = format!("nothing was written; it would have been:\n{text}");
                Err(self.exists().context(unwritten))
            }
        }
    }

    /// `false` if the file exists.
    fn put(&self, text: &str) -> io::Result<bool> {
        let mut new = tempfile::Builder::new()
            .permissions(Permissions::from_mode(MODE))
            .tempfile_in(&self.folder)?;
        new.write_all(text.as_bytes())?;
        new.as_file().sync_all()?;
        match new.persist_noclobber(&self.path) {
            Ok(_) => Ok(true),
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e.error),
        }
    }

    fn exists(&self) -> anyhow::Error {
        anyhow::anyhow!(
            "{} exists, and is never overwritten: take another name, or move it away",
            self.path.display()
        )
    }

    /// The scenario stands in front of those of the library, as in the project's folder.
    fn check(&self, text: &str, library: &Library, board: &Board) -> Result<()> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join(&self.name), text)?;
        let library = library.clone().with_folder(folder.path());
        Scenario::read_from(&library, &self.name, board)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::globals::BUILTIN;
    use shakedown_harness::project::Project;

    fn project() -> Project {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        Project::open(Some(&root), BUILTIN).unwrap()
    }

    fn write(file: &RecordFile, text: &str) -> Result<()> {
        let project = project();
        let board = project.board("raspi3b").unwrap();
        file.write(text, project.scenario_library(), board)
    }

    const GOOD: &str = "extends = \"alpine-http\"\ntitle = \"A session\"\n";

    #[test]
    fn a_scenario_is_written_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let file = RecordFile::at(&path).unwrap();
        let error = write(&file, "extends = \"alpine-http\"\ntitel = \"A\"\n").unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.contains("titel = \"A\"") && error.contains(":2:1"),
            "{error}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        write(&file, GOOD).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), GOOD);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_exists_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let file = RecordFile::at(&path).unwrap();
        // Somebody was faster.
        fs::write(&path, "theirs").unwrap();
        let error = format!("{:#}", write(&file, GOOD).unwrap_err());
        assert!(
            error.contains("never overwritten") && error.contains(GOOD),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        let error = RecordFile::at(&path).unwrap_err().to_string();
        assert!(error.contains("never overwritten"), "{error}");
    }

    #[test]
    fn what_can_be_no_scenario_is_refused_before_anything_is_started() {
        let folder = tempfile::tempdir().unwrap();
        for (name, what) in [
            ("mine", "NAME.toml"),
            ("my session.toml", "the name of a scenario"),
            ("lost/mine.toml", "there is no folder"),
            ("a.b.toml", "the name of a scenario"),
        ] {
            let error = RecordFile::at(&folder.path().join(name)).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(what), "{name}: {error}");
        }
    }
}
