//! `shakedown.toml` of a project, and `config.toml` of a user.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::input::{Document, InputError};

/// The file that makes a folder a project.
pub const PROJECT_FILE: &str = "shakedown.toml";
/// The file with a user's defaults, below the user's configuration folder.
pub const CONFIG_FILE: &str = "shakedown/config.toml";

/// `shakedown.toml`: where a project has what, and what its commands take when nothing is said. Paths are relative to its folder.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Project")]
pub(crate) struct ProjectFile {
    /// The folder of boards and chains; it need not be there.
    pub(super) boards: PathBuf,
    /// The folder of scenarios; it need not be there.
    pub(super) scenarios: PathBuf,
    /// The folder that runs leave their records in.
    pub(super) runs: PathBuf,
    /// What commands take when nothing is said.
    pub(super) defaults: Defaults,
}

impl Default for ProjectFile {
    fn default() -> Self {
        Self {
            boards: "boards".into(),
            scenarios: "scenarios".into(),
            runs: "target/shakedown".into(),
            defaults: Defaults::default(),
        }
    }
}

/// `config.toml`: a user's defaults for all projects.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ConfigFile {
    defaults: Defaults,
}

/// What commands take when their options say nothing. Options and environment variables come first, then the project, then the user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// The board: `--board`.
    pub board: Option<String>,
    /// The disk image to boot: `--image`.
    pub image: Option<PathBuf>,
    /// The initramfs to boot: `--initramfs`.
    pub initramfs: Option<PathBuf>,
    /// The container image to serve, a folder in OCI image layout: `--container`.
    pub container: Option<PathBuf>,
    /// Use only what has been fetched before: `--offline`.
    pub offline: Option<bool>,
    /// Runs at a time: `--jobs`.
    pub jobs: Option<usize>,
    /// The cache folder: `SHAKEDOWN_CACHE`.
    pub cache: Option<PathBuf>,
}

impl ProjectFile {
    /// Reads the file of a project's folder.
    pub(super) fn read(folder: &Path) -> Result<Self, InputError> {
        let mut file: Self = Document::read(&folder.join(PROJECT_FILE))?.parse()?;
        file.defaults.below(folder);
        Ok(file)
    }
}

impl Defaults {
    /// The user's, from `config.toml` in the user's configuration folder if it is there.
    pub(super) fn of_user(configuration: Option<&Path>) -> Result<Self, InputError> {
        let Some(path) = configuration.map(|folder| folder.join(CONFIG_FILE)) else {
            return Ok(Self::default());
        };
        if !path.is_file() {
            return Ok(Self::default());
        }
        let file: ConfigFile = Document::read(&path)?.parse()?;
        let mut defaults = file.defaults;
        defaults.below(path.parent().unwrap_or(Path::new("")));
        Ok(defaults)
    }

    /// These, and where they say nothing those of `other`.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            board: self.board.or(other.board),
            image: self.image.or(other.image),
            initramfs: self.initramfs.or(other.initramfs),
            container: self.container.or(other.container),
            offline: self.offline.or(other.offline),
            jobs: self.jobs.or(other.jobs),
            cache: self.cache.or(other.cache),
        }
    }

    /// Makes paths that are relative to a folder absolute.
    fn below(&mut self, folder: &Path) {
        let paths = [
            &mut self.image,
            &mut self.initramfs,
            &mut self.container,
            &mut self.cache,
        ];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }
}

/// The user's configuration folder (XDG base directory specification): `$XDG_CONFIG_HOME`, else `~/.config`.
pub(super) fn configuration_folder() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    match folder("XDG_CONFIG_HOME") {
        Some(folder) => Some(folder.into()),
        None => Some(PathBuf::from(folder("HOME")?).join(".config")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_project_comes_before_its_user() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join(CONFIG_FILE);
        fs::create_dir_all(config.parent().unwrap()).unwrap();
        fs::write(
            config,
            "[defaults]\nboard = \"a\"\njobs = 3\ncache = \"c\"\n",
        )
        .unwrap();
        fs::write(
            folder.path().join(PROJECT_FILE),
            "[defaults]\nboard = \"b\"\nimage = \"out/my.img\"\n",
        )
        .unwrap();
        let project = ProjectFile::read(folder.path()).unwrap();
        assert_eq!(project.runs, Path::new("target/shakedown"));
        let both = project
            .defaults
            .or(Defaults::of_user(Some(folder.path())).unwrap());
        let expected = Defaults {
            board: Some("b".into()),
            image: Some(folder.path().join("out/my.img")),
            jobs: Some(3),
            cache: Some(folder.path().join("shakedown/c")),
            ..Defaults::default()
        };
        assert_eq!(both, expected);
    }

    #[test]
    fn a_key_that_is_none_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PROJECT_FILE);
        fs::write(&path, "scenario = \"x\"\n").unwrap();
        let error = ProjectFile::read(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("shakedown.toml:1:1: unknown field `scenario`"),
            "{error}"
        );
        assert_eq!(Defaults::of_user(None).unwrap(), Defaults::default());
    }
}
