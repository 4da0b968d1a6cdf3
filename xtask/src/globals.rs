//! Options that every command has.

use std::path::PathBuf;

use anyhow::Result;
use shakedown_common::view::Color;
use shakedown_harness::project::{Builtin, Project};

/// What the program brings with it.
pub(crate) const BUILTIN: Builtin = Builtin {
    boards: shakedown_builtin::boards(),
    scenarios: shakedown_builtin::scenarios(),
};

/// Options that every command has.
#[derive(clap::Args)]
pub(crate) struct Globals {
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// The project: a folder with shakedown.toml. By default the nearest one above the current folder; where there is none, the built-in
    /// boards and scenarios.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
}

impl Globals {
    /// Finds the project and reads it.
    pub(crate) fn project(&self) -> Result<Project> {
        Ok(Project::open(self.project.as_deref(), BUILTIN)?)
    }
}
