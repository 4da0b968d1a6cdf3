//! Which project is meant, and what it has.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tempfile::TempDir;

use super::config::{Defaults, PROJECT_FILE, ProjectFile, configuration_folder};
use super::error::ProjectError;
use crate::board::Board;
use crate::folder::RunName;
use crate::input::{BuiltinFile, Library};
use crate::scenario::Scenario;

/// The boards, chains and scenarios that the program brings with it.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// Boards and chains.
    pub boards: &'static [BuiltinFile],
    /// Scenarios.
    pub scenarios: &'static [BuiltinFile],
}

/// Every board and scenario of a project, read and checked.
#[derive(Debug)]
pub struct Project {
    root: PathBuf,
    runs: PathBuf,
    scenarios_folder: PathBuf,
    library: Library,
    defaults: Defaults,
    pub(super) boards: Vec<Board>,
    pub(super) scenarios: Vec<Scenario>,
    /// Names of the scenarios that lie in the project; the others are built in.
    pub(super) own: BTreeSet<String>,
}

impl Project {
    /// Finds the project and reads it: the one in `folder`, else the nearest above the current folder, else the built-in files alone.
    ///
    /// # Errors
    /// `folder` is no project, or a file of it is wrong.
    pub fn open(folder: Option<&Path>, builtin: Builtin) -> Result<Self, ProjectError> {
        let current = std::env::current_dir().map_err(ProjectError::NoCurrentFolder)?;
        Self::open_in(folder, &current, configuration_folder().as_deref(), builtin)
    }

    fn open_in(
        folder: Option<&Path>,
        current: &Path,
        configuration: Option<&Path>,
        builtin: Builtin,
    ) -> Result<Self, ProjectError> {
        let user = Defaults::of_user(configuration)?;
        let Some(root) = root(folder, current)? else {
            let file = ProjectFile::default();
            return Self::read(current, file, user, builtin, false);
        };
        let file = ProjectFile::read(&root)?;
        Self::read(&root, file, user, builtin, true)
    }

    fn read(
        root: &Path,
        file: ProjectFile,
        user: Defaults,
        builtin: Builtin,
        is_project: bool,
    ) -> Result<Self, ProjectError> {
        let library = |folder: &Path, files: &'static [BuiltinFile]| {
            let folder = root.join(folder);
            // Without a project a folder of that name is somebody else's.
            let library = match is_project && folder.is_dir() {
                true => Library::folder(folder),
                false => Library::default(),
            };
            library.with_builtin(files.iter().copied())
        };
        let boards = Board::read_all(library(&file.boards, builtin.boards))?;
        let scenarios = library(&file.scenarios, builtin.scenarios);
        Ok(Self {
            own: scenarios.own_names()?,
            scenarios: Scenario::read_all(&scenarios, &boards)?,
            boards,
            runs: root.join(&file.runs),
            scenarios_folder: root.join(&file.scenarios),
            library: scenarios,
            defaults: file.defaults.or(user),
            root: root.into(),
        })
    }

    /// The project's folder; where there is no project the current one.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What commands take when their options say nothing.
    #[must_use]
    pub fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// Every board.
    #[must_use]
    pub fn boards(&self) -> &[Board] {
        &self.boards
    }

    /// Every scenario.
    #[must_use]
    pub fn scenarios(&self) -> &[Scenario] {
        &self.scenarios
    }

    /// Where scenarios are read from.
    #[must_use]
    pub fn scenario_library(&self) -> &Library {
        &self.library
    }

    /// Whether a scenario lies in the project; the others are built in.
    #[must_use]
    pub fn is_own(&self, scenario: &Scenario) -> bool {
        let file = scenario.files.first();
        file.is_some_and(|file| self.own.contains(file.as_str()))
    }

    /// The folder that the project's scenarios lie in.
    #[must_use]
    pub fn scenarios_folder(&self) -> &Path {
        &self.scenarios_folder
    }

    /// The folder that holds the folders of all runs.
    #[must_use]
    pub fn runs_folder(&self) -> &Path {
        &self.runs
    }

    /// A new folder for a run.
    #[must_use]
    pub fn run_folder(&self, scenario: &Scenario, board: &Board) -> PathBuf {
        let name = RunName {
            began: moment().into(),
            process: std::process::id(),
            of: format!("{}-{}", scenario.name, board.name),
        };
        self.runs.join(name.to_string())
    }

    /// The folder for what clients of a scenario's servers need.
    #[must_use]
    pub fn serve_folder(&self, scenario: &Scenario) -> PathBuf {
        self.runs.join("serve").join(&scenario.name)
    }

    /// The folder for checkpoints. They are of use to the program that created them only, so they go with its runs.
    #[must_use]
    pub fn checkpoints_folder(&self) -> PathBuf {
        self.runs.join("checkpoints")
    }

    /// A new folder on the disk of the runs, for what is not kept. It goes when it is dropped.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn scratch_folder(&self) -> Result<TempDir, ProjectError> {
        let failed = |source| ProjectError::Folder {
            path: self.runs.clone(),
            source,
        };
        fs::create_dir_all(&self.runs).map_err(failed)?;
        let mut folder = tempfile::Builder::new();
        folder
            .prefix("scratch-")
            .tempdir_in(&self.runs)
            .map_err(failed)
    }
}

/// Milliseconds since the epoch, never the same twice in this process: repetitions of a run may begin at once.
fn moment() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = since_epoch.unwrap_or_default().as_millis();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    let next = |last: u64| now.max(last.saturating_add(1));
    let set = LAST.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last)));
    set.map_or(now, next)
}

/// The folder of the project that is meant.
fn root(folder: Option<&Path>, current: &Path) -> Result<Option<PathBuf>, ProjectError> {
    let is_project = |folder: &&Path| folder.join(PROJECT_FILE).is_file();
    let Some(folder) = folder else {
        return Ok(current.ancestors().find(is_project).map(Path::to_path_buf));
    };
    let path = current.join(folder);
    match path.is_dir() {
        false => Err(ProjectError::NoFolder { path }),
        true if is_project(&&*path) => Ok(Some(path)),
        true => Err(ProjectError::NoProject { path }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::selection::tests::BUILTIN;
    use super::*;

    fn names(project: &Project) -> Vec<&str> {
        project.scenarios.iter().map(|s| &*s.name).collect()
    }

    fn open(folder: Option<&Path>, current: &Path) -> Result<Project, ProjectError> {
        Project::open_in(folder, current, None, BUILTIN)
    }

    #[test]
    fn without_a_project_there_is_what_the_program_brings() {
        let folder = tempfile::tempdir().unwrap();
        // Somebody else's, which must not be read.
        fs::create_dir(folder.path().join("scenarios")).unwrap();
        fs::write(folder.path().join("scenarios/theirs.toml"), "?").unwrap();
        let project = open(None, folder.path()).unwrap();
        assert!(names(&project).contains(&"alpine-http"));
        assert!(project.own.is_empty());
        assert_eq!(
            project.runs_folder(),
            folder.path().join("target/shakedown")
        );
    }

    #[test]
    fn a_project_is_found_from_below_and_comes_before_what_is_built_in() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write(root.join(PROJECT_FILE), "runs = \"out\"\n").unwrap();
        for name in ["scenarios", "boards", "deep/er"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let mine = "extends = \"alpine-http\"\ntitle = \"Mine\"\nboards = [\"my-board\"]\n";
        fs::write(root.join("scenarios/mine.toml"), mine).unwrap();
        let board = "extends = \"raspi3b\"\ntitle = \"My board\"\n";
        fs::write(root.join("boards/my-board.toml"), board).unwrap();
        let project = open(None, &root.join("deep/er")).unwrap();
        assert_eq!(project.root(), root);
        assert_eq!(project.runs_folder(), root.join("out"));
        assert_eq!(project.own, ["mine".to_owned()].into());
        let mine = project.scenarios.iter().find(|s| s.name == "mine").unwrap();
        assert_eq!(
            (&*mine.title, &*mine.boards),
            ("Mine", &["my-board".parse().unwrap()][..])
        );
        assert!(!mine.boot.script.is_empty());
        assert!(names(&project).contains(&"alpine-https"));
        assert_eq!(project.board("my-board").unwrap().title, "My board");
    }

    #[test]
    fn no_two_runs_have_one_folder() {
        let moments: BTreeSet<_> = (0..100).map(|_| moment()).collect();
        assert_eq!(moments.len(), 100);
    }

    #[test]
    fn a_folder_that_is_named_must_be_a_project() {
        let folder = tempfile::tempdir().unwrap();
        let error = |path: &str| open(Some(Path::new(path)), folder.path()).unwrap_err();
        assert!(
            error(".")
                .to_string()
                .ends_with("`shakedown init` makes one")
        );
        assert!(matches!(error("gone"), ProjectError::NoFolder { .. }));
    }
}
