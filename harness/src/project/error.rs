//! Why a project cannot be used.

use std::io;
use std::path::PathBuf;

use crate::input::InputError;

/// A project that cannot be used, or does not have what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// A file of it is wrong.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The folder that was named is not there.
    #[error("{}: there is no such folder", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The folder that was named is no project.
    #[error("{} has no shakedown.toml: `shakedown init` makes one", path.display())]
    NoProject {
        /// The folder.
        path: PathBuf,
    },
    /// There is no current folder.
    #[error("there is no current folder: {0}")]
    NoCurrentFolder(io::Error),
    /// No scenario has the names that were asked for.
    #[error(
        "no scenario fits; there is: {scenarios} on {boards} (`--tier full` adds those of the full tier)"
    )]
    NoScenario {
        /// Names of scenarios.
        scenarios: String,
        /// Names of boards.
        boards: String,
    },
    /// A filter cannot be read.
    #[error("the filter `{text}`, column {column}: {message}")]
    Filter {
        /// The filter.
        text: String,
        /// Where in it, in characters from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// Only scenarios with similar names exist.
    #[error("there is no scenario `{name}`, only: {like}")]
    OnlyLike {
        /// The name.
        name: String,
        /// Their names.
        like: String,
    },
    /// There is no such board.
    #[error("there is no board `{name}`; there is: {boards}")]
    NoBoard {
        /// The name.
        name: String,
        /// Names of boards.
        boards: String,
    },
    /// A provisioned image boots in another way than every scenario that was asked for.
    #[error(
        "the image is provisioned for another way to boot than that of any of these scenarios; give the prebuilt image"
    )]
    OtherWayToBoot,
    /// A folder cannot be created.
    #[error("cannot create a folder in {}: {source}", path.display())]
    Folder {
        /// The folder that it should be in.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
